"""The end of one run: its result is brought here and read, and becomes what its record says."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final, cast

from action_runtime.wire.errors import DataflowError
from invoker_ext.contract.graph import GraphKind
from invoker_ext.dataflow.commands import Bring, End
from invoker_ext.dataflow.events import Brought, Outcome
from invoker_ext.dataflow.keys import Firing
from invoker_ext.owner.outcomes import Judgement, error_of
from invoker_ext.owner.reading import read_in_thread
from invoker_ext.owner.result import result_of
from invoker_ext.relay.json_form import data_of
from invoker_ext.sink.datum import Stored

if TYPE_CHECKING:
    from invoker_ext.owner.run import Run

_log = logging.getLogger(__name__)

LARGE_BYTES: Final = 1024 * 1024
"""A result above this is put together in a thread."""
_ADDS_UP: Final = (GraphKind.DATAFLOW, GraphKind.COMPOSITION)


class Ending:
    """Of one run. Lives on the loop.

    Attributes:
        sizes: Of the raw responses of its firings: a sequence passes that of a failing one on.
    """

    def __init__(self, run: Run, conclude: Callable[[End, Judgement], None]) -> None:
        """Wait for the end.

        Args:
            run: Whose.
            conclude: Called once, with what the run comes to.
        """
        self.sizes: Final[dict[Firing, int | None]] = {}
        self._run = run
        self._conclude = conclude

    def bring(self, command: Bring) -> None:
        """Have what other hosts hold of the result here, while it can still be made again."""
        run, data = self._run, [cast("Stored", datum) for datum in command.data]
        bound_bytes = run.spec.result_bytes
        if bound_bytes is not None and sum(datum.size_bytes for datum in data) > bound_bytes:
            run.post(Brought(run.host.clock.now()))  # nobody will read it
        else:
            run.host.spawn(self._bring(data), f"result of {run.activation_id} from other hosts")

    async def _bring(self, data: Sequence[Stored]) -> None:
        run = self._run
        made = await asyncio.gather(*map(run.host.copy, data), return_exceptions=True)
        error: DataflowError | None = None
        for one in made:
            if isinstance(one, DataflowError):
                error = one
            elif isinstance(one, BaseException):
                raise one
            else:
                one.release()  # each ref keeps its copy
        run.post(Brought(run.host.clock.now(), None if error is None else str(error)))

    def end(self, end: End) -> None:
        """Put the result together."""
        run = self._run
        data = [datum for bound in end.result for datum in data_of(bound.value)]
        size_bytes, bound_bytes = sum(datum.size_bytes for datum in data), run.spec.result_bytes
        make = partial(result_of, end, self.sizes, run.reads, bound_bytes)
        reads = bound_bytes is None or size_bytes <= bound_bytes
        large = size_bytes > LARGE_BYTES and run.graph.kind in _ADDS_UP
        if reads and (large or any(datum.elsewhere for datum in data)):
            reading = read_in_thread(run.host.sink, data, make, run.host.copy)
            run.host.spawn(self._end_large(end, reading), f"result of {run.activation_id}")
        else:
            self._conclude(end, make({}))

    async def _end_large(self, end: End, reading: Awaitable[Judgement]) -> None:
        try:
            judgement = await reading
        except DataflowError as error:
            judgement = error_of(f"The result cannot be had: {error}", Outcome.PLATFORM_ERROR)
        self._run.turn(partial(self._conclude, end, judgement))
