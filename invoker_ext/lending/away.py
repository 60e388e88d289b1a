"""One job on another host, as the owner of its run sees it."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Collection
from functools import partial
from typing import Any, Final, Protocol

from action_runtime.wire.errors import DataflowError, ProtocolViolation
from action_runtime.wire.values import WHOLE, Head
from invoker_ext.containers.job import Failure, Job, Report, Timing, Warmth
from invoker_ext.lending.forms import report_of
from invoker_ext.lending.remote import Remote
from invoker_ext.peers.ref import Ref
from invoker_ext.sink.datum import Stored
from invoker_ext.sink.errors import SinkFull

_log = logging.getLogger(__name__)


class Around(Protocol):
    """What a job on another host needs of its borrower."""

    def now(self) -> float:
        """Return monotonic seconds."""

    def put(self, head: Head, data: bytes, owner: str) -> Stored:
        """Hold bytes that came in a message."""

    def found(self, ref: Ref, owner: str) -> Remote:
        """Take over a datum of another host, with one reference."""

    def fetch(self, remote: Remote, then: Callable[[Stored], None], broke: Callable[[DataflowError], None]) -> None:
        """Have a datum here; `then` gets a reference of its own."""

    def missing(self, names: Collection[str]) -> None:
        """Another host cannot get data of these names from where they were."""

    def over(self, away: Away) -> None:
        """It will say no more."""

    def elsewhere(self, away: Away) -> None:
        """Its host does not take it: have it done here."""


class Away:
    """Takes what its host reports, and tells the listener of the job in the same order.

    What the owner must have itself (a result that goes into a record, or that a region holds) is pulled first; whatever
    was reported after it waits until it is here.

    Attributes:
        job: As the owner made it.
        host: Where it is done.
        ticket: Its number there.
        killed: It is to end.
        fed: What its streams were given before its function began: if its host refuses it, another gets that again.
    """

    def __init__(self, job: Job, host: int, ticket: int, around: Around) -> None:
        self.job: Final = job
        self.host: Final = host
        self.ticket: Final = ticket
        self.killed = False
        self.fed: list[tuple[str, Stored | None, str | None]] = []
        self._around = around
        self._began = False
        self._ended = False
        self._whole: Remote | None = None
        self._untold: Remote | None = None
        """Is pulled before the listener hears of it."""
        self._held: deque[Callable[[], None]] = deque()
        self._fetching = False
        self._logs: list[str] = []
        self._logged = False

    @property
    def owner(self) -> str:
        """In whose name the sink accounts its data."""
        return f"{self.job.user.namespace}/{self.job.run}"

    def heard(self, kind: str, meta: dict[str, Any], payload: bytes) -> None:
        """Take a message of its host.

        Raises:
            ProtocolViolation: It is none.
        """
        if kind == "refused":
            self._refused(meta)
            return
        calls = {
            "began": self._on_began,
            "committed": self._on_committed,
            "returned": self._on_returned,
            "logs": self._on_logs,
            "drained": self._on_drained,
            "failed": self._on_failed,
        }
        call = calls.get(kind)
        if call is None:
            raise ProtocolViolation(f"a host reports {kind!r} of a lent job")
        self._deliver(partial(call, meta, payload))

    def lost(self) -> None:
        """Its host is gone, and with it all that it did."""
        self._break(Failure.RUN_DIED, None)

    def _break(self, failure: Failure, detail: str | None) -> None:
        """Hear nothing more of it."""
        self._held.clear()
        untold, self._untold = self._untold, None
        if untold is not None:
            untold.release()
        if not self._ended:
            # Of a function that must not begin twice nobody can say that it did not.
            began = self._began or not self.job.repeats
            self._fail(failure, detail, began, self._around.now())
        if not self._logged:
            self.job.listener.logs(self._logs, False)
        self._around.over(self)

    def refuse(self, error: DataflowError) -> None:
        """End it without a result: it cannot be done anywhere."""
        self._fail(Failure.NOT_STARTED, str(error), False, self._around.now())
        self.job.listener.logs([], False)

    # -- in order ------------------------------------------------------------------------------

    def _deliver(self, call: Callable[[], None]) -> None:
        if self._fetching:
            self._held.append(call)
        else:
            call()

    def _fetch(self, remote: Remote, then: Callable[[Stored], None]) -> None:
        self._fetching = True
        self._around.fetch(remote, partial(self._fetched, then), self._unfetched)

    def _fetched(self, then: Callable[[Stored], None], here: Stored) -> None:
        if self._ended:
            here.release()
            return
        self._fetching = False
        then(here)
        while self._held and not self._fetching:
            self._held.popleft()()

    def _unfetched(self, error: DataflowError) -> None:
        _log.warning("result of a lent job cannot be had", extra={"run": self.job.run, "error": str(error)})
        if isinstance(error, SinkFull):
            self._break(Failure.WRITE_REFUSED, str(error))
        else:
            self.lost()

    # -- what its host reports -----------------------------------------------------------------

    def _on_began(self, meta: dict[str, Any], payload: bytes) -> None:
        self._began = True
        self.fed.clear()
        now = self._around.now()
        timing = Timing(self.job.queued, now - float(meta["started"]), meta["init"])
        try:
            self.job.listener.began(timing, Warmth(meta["warmth"]), f"{self.host}/{meta['container']}")
        except DataflowError as error:  # noted before it was sent away, so it does not come to this
            _log.error("lent job began in vain", extra={"run": self.job.run, "error": str(error)})

    def _on_committed(self, meta: dict[str, Any], payload: bytes) -> None:
        output, index, how = str(meta["output"]), int(meta["index"]), str(meta["how"])
        if "name" not in meta:
            value = self._around.put(Head.from_meta(meta), payload, self.owner)
            self.job.listener.emitted(output, index, how, value)
            return
        remote = self._around.found(Ref(self.host, str(meta["name"]), Head.from_meta(meta)), self.owner)
        if output == WHOLE and (self.job.plain or self.job.brings):
            self._untold = remote
            self._fetch(remote, partial(self._have_whole, remote, index, how))
            return
        if output == WHOLE:
            self._whole = remote
        self.job.listener.emitted(output, index, how, remote)

    def _have_whole(self, remote: Remote, index: int, how: str, here: Stored) -> None:
        """A result that goes into a record is as if it had been made here; any other one stays there, too."""
        self._untold = None
        if self.job.plain:
            remote.release()
            self.job.listener.emitted(WHOLE, index, how, here)
        else:
            here.release()  # its ref keeps the copy
            self._whole = remote
            self.job.listener.emitted(WHOLE, index, how, remote)

    def _on_returned(self, meta: dict[str, Any], payload: bytes) -> None:
        report = report_of(meta, payload)
        whole = self._whole
        if report.status == "ok" or report.body is not None or whole is None:
            self._returned(report)
            return
        self._fetch(whole, partial(self._have_error, report))

    def _have_error(self, report: Report, here: Stored) -> None:
        here.release()  # its ref keeps the copy, which is read in the call below
        self._returned(report)

    def _returned(self, report: Report) -> None:
        self._whole = None
        self.job.listener.returned(report, self._around.now())

    def _on_logs(self, meta: dict[str, Any], payload: bytes) -> None:
        lines = list(meta["lines"])
        if meta["joins"] and self._logs and lines:
            self._logs[-1] += lines.pop(0)
        self._logs += lines
        if meta["more"]:
            return
        self._logged = True
        self.job.listener.logs(self._logs, bool(meta["truncated"]))
        if self._ended:
            self._around.over(self)

    def _on_drained(self, meta: dict[str, Any], payload: bytes) -> None:
        self._ended = True
        self.job.listener.drained(self._around.now(), meta["refusal"])
        self._around.over(self)

    def _on_failed(self, meta: dict[str, Any], payload: bytes) -> None:
        failure = Failure(meta["failure"])
        if failure is Failure.KIND_MISSING and not meta["began"]:
            self._elsewhere()  # hosts need not have the same runtimes
            return
        lost = meta.get("lost")
        if lost:
            self._around.missing(lost)
        self._fail(failure, meta["detail"], bool(meta["began"]), self._around.now())

    def _refused(self, meta: dict[str, Any]) -> None:
        _log.info("lent job refused", extra={"run": self.job.run, "peer": self.host, "reason": meta.get("reason")})
        self._elsewhere()

    def _elsewhere(self) -> None:
        if self.killed:
            self.lost()
        else:
            self._around.elsewhere(self)

    def _fail(self, failure: Failure, detail: Any, began: bool, at: float) -> None:
        self._ended = True
        self.job.listener.failed(failure, detail, began, at)
