"""Graphs of what compositions name by their data: asked for by the owner of a run at the controller's door."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

from action_runtime.wire.errors import DataflowError
from controller_ext.entities.catalog import ACTIVATE, Catalog
from controller_ext.entities.errors import Forbidden, KindForbidden, NotFound, WrongCollection
from controller_ext.entities.names import Name
from controller_ext.runs.plan import Planner
from controller_ext.settings import Settings
from controller_ext.system import kinds_of, limits_of
from invoker_ext.contract import naming
from invoker_ext.contract.messages import Identity
from invoker_ext.door.body import Body
from invoker_ext.store import EntityStore, StoreUnavailable

_BY_CONTROL_FLOW: Final = (
    "/{} runs by control flow, or has a part that does, and cannot be named by data here: name it in the program, "
    "or annotate the composition `dataflow: false`."
)
_AT_ONCE: Final = 4
"""Compilations; each takes a thread, and more wait."""


class Compiler:
    """Makes plans in the balancer's process, where they are seldom needed and none is kept. Lives on the loop.

    Args:
        settings: Of the controller.
        entities: Opens the store; called once, in a thread, when somebody asks first.
    """

    def __init__(self, settings: Settings, entities: Callable[[], EntityStore]) -> None:
        self._settings = settings
        self._entities = entities
        self._catalog: Catalog | None = None
        self._opening = asyncio.Lock()  # guards _catalog
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def answer(self, fields: dict[str, Any]) -> tuple[dict[str, Any], Body | None]:
        """Answer a call.

        Args:
            fields: `user`, and `action`, the full name of what it asked for.

        Returns:
            `name`, `version`, `graph`, the digest of what is now in the store, and `parameters`, JSON of its own; or
            `fault`: why it cannot be run.

        Raises:
            ValueError: It is no such call.
            StoreUnavailable: Nothing can be told.
        """
        try:
            user, name = Identity.from_json(fields["user"]), str(fields["action"])
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"no call to compile: {error!r}") from error
        async with self._opening:
            if self._catalog is None:
                self._catalog = Catalog(await asyncio.to_thread(self._entities))
        async with self._turns:
            return await asyncio.to_thread(self._compile, self._catalog, user, Name.split(name)), None

    def _compile(self, catalog: Catalog, user: Identity, name: Name) -> dict[str, Any]:
        planner = Planner(catalog, kinds_of(self._settings), limits_of(self._settings))
        try:
            catalog.authorize(user, ACTIVATE, name)
            plan = planner.plan(user, name)
        except (Forbidden, KindForbidden):
            return {"fault": naming.out_of_reach(name)}
        except (NotFound, WrongCollection):
            return {"fault": naming.absent(name)}
        except StoreUnavailable:
            raise
        except DataflowError as error:
            return {"fault": str(error)}
        if plan.graph is None:
            return {"fault": _BY_CONTROL_FLOW.format(plan.name)}
        given = plan.joined.decode()
        return {"name": plan.name, "version": plan.version, "graph": plan.graph, "parameters": given}
