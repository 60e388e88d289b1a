"""One job of this host that reads data of others: they are pulled before it is given to the pool."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from invoker_ext.containers.job import Failure, Job, Listener, Report, Timing, Warmth
from invoker_ext.dataflow.commands import Bound
from invoker_ext.lending.inflow import Inflow
from invoker_ext.relay.json_form import localised
from invoker_ext.sink.datum import Stored


class Here:
    """Stands between a job's listener and the pool, as its `Listener`, and lets go of what was pulled.

    Attributes:
        job: As its owner made it.
        inner: As the pool has it; None: not yet.
        streams: Its streamed inputs, by name.
    """

    def __init__(self, job: Job, over: Callable[[Here], None]) -> None:
        """Take a job.

        Args:
            job: With data of other hosts among its inputs, or streams that may bring some.
            over: Called once when it holds nothing any more.
        """
        self.job: Final = job
        self.inner: Job | None = None
        self.streams: dict[str, Inflow[Stored]] = {}
        self._listener: Final[Listener] = job.listener
        self._pulled: list[Stored] = []
        self._over = over
        self._ended = False

    @property
    def ended(self) -> bool:
        """Its listener has heard how it ended."""
        return self._ended

    def ready(self, copies: Mapping[int, Stored]) -> Job:
        """Return the job for the pool.

        Args:
            copies: Id of each datum of another host → its copy here; references are taken over.
        """
        self._pulled += copies.values()
        inputs = [Bound(bound.name, localised(bound.value, copies)) for bound in self.job.inputs]
        self.inner = replace(self.job, inputs=inputs, listener=self)
        for stream in self.streams.values():
            stream.open()
        return self.inner

    def break_off(self, failure: Failure, detail: Any, at: float) -> None:
        """End it before the pool had it."""
        if not self._ended:
            self.failed(failure, detail, False, at)
            self._listener.logs([], False)

    # -- Listener ------------------------------------------------------------------------------

    def began(self, timing: Timing, warmth: Warmth, container: str) -> None:
        """See Listener."""
        self._listener.began(timing, warmth, container)

    def emitted(self, output: str, index: int, how: str, value: Stored) -> None:
        """See Listener."""
        self._listener.emitted(output, index, how, value)

    def answered(self, report: Report, at: float) -> None:
        """See Listener."""
        self._listener.answered(report, at)

    def returned(self, report: Report, at: float) -> None:
        """See Listener."""
        self._listener.returned(report, at)

    def taken(self, name: str, count: int) -> None:
        """See Listener."""
        stream = self.streams.get(name)
        if stream is not None:
            stream.taken(count)
        self._listener.taken(name, count)

    def logs(self, lines: Sequence[str], truncated: bool) -> None:
        """See Listener."""
        self._listener.logs(lines, truncated)

    def drained(self, at: float, refusal: str | None = None) -> None:
        """See Listener."""
        self._end()
        self._listener.drained(at, refusal)

    def failed(self, failure: Failure, detail: Any, began: bool, at: float) -> None:
        """See Listener."""
        self._end()
        self._listener.failed(failure, detail, began, at)

    def _end(self) -> None:
        self._ended = True
        for stream in self.streams.values():
            stream.stop()
        pulled, self._pulled = self._pulled, []
        for stored in pulled:
            stored.release()
        self._over(self)
