"""Actions that a composition names by its data: plain ones from the store, others as a controller compiles them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from action_runtime.wire.errors import DataflowError
from invoker_ext.contract.graph import ActionCall, Fault, WorkflowCall
from invoker_ext.owner.actions import ActionDoc
from invoker_ext.owner.naming import NotPlain

if TYPE_CHECKING:
    from invoker_ext.owner.run import Run

Docs = Mapping[tuple[str, str | None], ActionDoc]

MAX_LEVELS: Final = 101
MAX_RUNS: Final = 10_000
_TOO_MANY: Final = "Too many actions in the composition."
_NO_DOOR: Final = "/{} cannot be named by data in a run that was accepted before its controller could compile it."


@dataclass(slots=True)
class Naming:
    """What a run, and all that are inside it, may still name that is a run of its own: a name can lead back to it."""

    runs: int = MAX_RUNS


async def call_named(run: Run, action: str) -> tuple[ActionCall | WorkflowCall | Fault, Docs]:
    """Return what a name stands for, with the actions that it needs.

    Args:
        run: That names it.
        action: The name, as data.
    """
    host, spec = run.host, run.spec
    try:
        named = await asyncio.to_thread(host.actions.named, spec.user, action)
        if isinstance(named, Fault):
            return named, {}
        if not isinstance(named, NotPlain):
            call, doc = named
            return call, {(call.name, call.revision): doc}
        if spec.door is None:
            return Fault(_NO_DOOR.format(named.name)), {}
        if spec.level >= MAX_LEVELS or spec.naming.runs <= 0:
            return Fault(_TOO_MANY), {}
        spec.naming.runs -= 1
        return await _compiled(run, await host.compile(spec.door, spec.user, named.name))
    except DataflowError as error:
        return Fault(str(error)), {}


async def _compiled(run: Run, told: Mapping[str, Any]) -> tuple[WorkflowCall | Fault, Docs]:
    if "fault" in told:
        return Fault(str(told["fault"])), {}
    name, version = str(told["name"]), str(told["version"])
    program = await asyncio.to_thread(run.host.actions.fetch_program, str(told["graph"]), name, None)
    return WorkflowCall(name, version, program.graph, str(told["parameters"])), program.docs
