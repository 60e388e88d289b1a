"""One job of an owner elsewhere: tells that owner what the own pool does with it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from invoker_ext.containers.job import Failure, Job, Report, Timing, Warmth
from invoker_ext.lending.forms import report_form
from invoker_ext.lending.inflow import Inflow
from invoker_ext.sink.datum import Stored

LOG_CHARACTERS: Final = 512 * 1024
"""Of lines in one message."""
Form = dict[str, Any]


class Lent:
    """Implements `containers.job.Listener`.

    Attributes:
        job: In the own pool; None: it waits for code or inputs.
        killed: Its owner wants it no more.
        streams: Its streamed inputs, by name.
    """

    def __init__(
        self, tell: Callable[[str, Form, bytes], None], offer: Callable[[Stored], str], over: Callable[[Lent], None]
    ) -> None:
        """Take a job.

        Args:
            tell: Sends its owner a message about it.
            offer: Takes over a datum's reference; returns the name by which hosts may pull it.
            over: Called once, when it has told all.
        """
        self.job: Job | None = None
        self.killed = False
        self.streams: dict[str, Inflow[Form]] = {}
        self._made: list[Stored] = []
        self._tell = tell
        self._offer = offer
        self._over = over
        self._failed = False

    def owns(self, made: Sequence[Stored]) -> None:
        """Take over references that are kept until it is over."""
        self._made += made

    def break_off(self, failure: Failure, detail: Any, lost: Sequence[str] = ()) -> None:
        """End it before the pool had it.

        Args:
            failure: Why.
            detail: Of that.
            lost: Names of data that it reads and that cannot be had.
        """
        self._fail(failure, detail, False, lost)
        self.logs([], False)

    # -- Listener ------------------------------------------------------------------------------

    def began(self, timing: Timing, warmth: Warmth, container: str) -> None:
        """See Listener; the owner hears it after the fact."""
        ago_s = time.monotonic() - timing.started
        self._tell(
            "began", {"started": ago_s, "init": timing.init_s, "warmth": warmth.value, "container": container}, b""
        )

    def emitted(self, output: str, index: int, how: str, value: Stored) -> None:
        """See Listener."""
        form = {"output": output, "index": index, "how": how, **value.head.to_meta()}
        inline = value.inline
        if inline is None:
            self._tell("committed", {**form, "name": self._offer(value)}, b"")
        else:
            self._tell("committed", form, inline)
            value.release()

    def answered(self, report: Report, at: float) -> None:
        """See Listener; its owner hears of the return."""

    def returned(self, report: Report, at: float) -> None:
        """See Listener."""
        self._tell("returned", report_form(report), report.body or b"")

    def taken(self, name: str, count: int) -> None:
        """See Listener; the owner needs it not."""
        stream = self.streams.get(name)
        if stream is not None:
            stream.taken(count)

    def logs(self, lines: Sequence[str], truncated: bool) -> None:
        """See Listener."""
        for batch, joins, more in _batches(lines):
            self._tell("logs", {"lines": batch, "joins": joins, "truncated": truncated, "more": more}, b"")
        if self._failed:
            self._over(self)

    def drained(self, at: float, refusal: str | None = None) -> None:
        """See Listener."""
        self._end()
        self._tell("drained", {"refusal": refusal}, b"")
        self._over(self)

    def failed(self, failure: Failure, detail: Any, began: bool, at: float) -> None:
        """See Listener."""
        self._fail(failure, detail, began, ())

    def _fail(self, failure: Failure, detail: Any, began: bool, lost: Sequence[str]) -> None:
        self._end()
        self._failed = True
        form = {"failure": failure.value, "detail": detail, "began": began, "lost": list(lost)}
        self._tell("failed", form, b"")

    def _end(self) -> None:
        for stream in self.streams.values():
            stream.stop()
        made, self._made = self._made, []
        for stored in made:
            stored.release()


def _batches(lines: Sequence[str]) -> Iterator[tuple[list[str], bool, bool]]:
    """Yield lines in messages that are not too large, one at least.

    Yields:
        Lines; whether the first one goes on with the last one of the message before; whether more messages follow.
    """
    batch: list[str] = []
    characters = 0
    joins = False
    for line in lines:
        for at in range(0, max(1, len(line)), LOG_CHARACTERS):
            piece = line[at : at + LOG_CHARACTERS]
            if batch and characters + len(piece) > LOG_CHARACTERS:
                yield batch, joins, True
                batch, characters, joins = [], 0, at > 0
            batch.append(piece)
            characters += len(piece)
    yield batch, joins, False
