"""What the owner of a run asks of the pool, and what it hears back. The seam between `owner` and `containers`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

from invoker_ext.contract.graph import ActionCall
from invoker_ext.contract.messages import Identity
from invoker_ext.dataflow.commands import Bound
from invoker_ext.sink.datum import Stored


class Warmth(Enum):
    """How a container was had."""

    COLD = "cold"
    PREWARM = "prewarm"
    WARM = "warm"


class Failure(Enum):
    """Why an attempt ended without a RETURNED frame. `owner/outcomes.py` maps these to status and text."""

    INIT_FAILED = "init-failed"  # detail: the `error` value the runtime gave, or None
    INIT_DIED = "init-died"
    INIT_TIMED_OUT = "init-timed-out"
    RUN_DIED = "run-died"
    RUN_TIMED_OUT = "run-timed-out"
    OUT_OF_MEMORY = "out-of-memory"
    IMAGE_NOT_PULLED = "image-not-pulled"  # detail: its name
    NOTHING_TO_RUN = "nothing-to-run"  # the image lacks its executable; detail: its name
    KIND_MISSING = "kind-missing"  # no runtime of its kind is here (any more); detail: the sentence
    NOT_STARTED = "not-started"  # no container could be had; detail: why
    WRITE_REFUSED = "write-refused"  # the sink can never hold it


@dataclass(slots=True, frozen=True)
class Report:
    """The RETURNED frame, read.

    Attributes:
        status: `ok error invalid null exited` (PROTOCOL.md).
        characters: Of the raw body; the record's `size`.
        counts: Output → (how, number), for every output that was produced.
        body: JSON text of the result if it came inline; None: it is the datum of output WHOLE, or stayed (digest).
        digest: Of a body that stayed in the container.
        clashes: Outputs that were both emitted and returned.
    """

    status: str
    characters: int
    counts: Mapping[str, tuple[str, int]]
    body: bytes | None
    digest: str | None
    clashes: tuple[str, ...] = ()


@dataclass(slots=True, frozen=True)
class Timing:
    """When things happened: monotonic seconds of this host (`time.monotonic`)."""

    queued: float
    started: float
    init_s: float | None
    """None: the container was initialised already."""


class Listener(Protocol):
    """Hears of one job, on the loop: began, emitted…, returned, logs, drained; or failed at any point (then logs).

    Before `returned`, or `failed`, may come `answered`. EMITs may come between and after `returned` and `logs`, until
    `drained`.
    """

    def began(self, timing: Timing, warmth: Warmth, container: str) -> None:
        """The function is about to begin: the RUN frame leaves as soon as this returns.

        Raises:
            DataflowError: It must not begin; `failed(NOT_STARTED)` with this text follows.
        """

    def emitted(self, output: str, index: int, how: str, value: Stored) -> None:
        """A datum is in the sink; the listener owns one reference to it."""

    def answered(self, report: Report, at: float) -> None:
        """The function returned, and its log takes a while to be collected; `returned` follows, or `failed`."""

    def returned(self, report: Report, at: float) -> None:
        """The function returned."""

    def taken(self, name: str, count: int) -> None:
        """User code took parts of a streamed input."""

    def logs(self, lines: Sequence[str], truncated: bool) -> None:
        """All lines of this activation, in the form `TIME stdout: text`."""

    def drained(self, at: float, refusal: str | None = None) -> None:
        """All outputs have been committed and no input is mapped any more. Last call.

        Args:
            at: Monotonic seconds.
            refusal: Why the sink refused an output that was still leaving when the function returned.
        """

    def failed(self, failure: Failure, detail: Any, began: bool, at: float) -> None:
        """The attempt is over without a result; logs follow, then nothing."""


@dataclass(slots=True, kw_only=True)
class Job:
    """One attempt of a firing.

    Attributes:
        call: Action and limits; a warm container fits if namespace, name and revision are equal.
        code: The action's `exec` object (`code`, `binary`, `main`), as stored.
        user: On whose behalf.
        activation_id: Of this firing.
        env: Members of the stock `/run` body beside `value`, all strings but the deadline, which the pool adds.
        init_env: Init parameters, as strings.
        inputs: What the machine bound; data are `Stored`.
        wants: Output → `value` | `items`.
        plain: The record needs the whole body.
        opens_streams: In a runtime without a relay: the function begins before its streamed inputs are complete and
            reads them at the local door; else they are among its arguments.
        timeout_s: From the start of the function.
        run: Activation id of the run, for fairness and for data that the job keeps alive.
        listener: Who hears.
        queued: Monotonic seconds.
        epoch: Of the run.
        repeats: It may be done again after its function began.
        brings: Its owner is told of its whole result when that is on the owner's host, wherever it was made.
        before: Called before it is given to another host, where nobody can ask; raises if it must not begin.
        host: Number of the invoker that it was given to; less than 0: nobody placed it.
        pulled_bytes: Of its inputs, that came from other hosts.
    """

    call: ActionCall
    code: Mapping[str, Any]
    user: Identity
    activation_id: str
    env: dict[str, str]
    init_env: dict[str, str]
    inputs: Sequence[Bound]
    wants: Mapping[str, str]
    plain: bool
    timeout_s: float
    run: str
    listener: Listener
    queued: float
    epoch: int = 0
    repeats: bool = True
    brings: bool = False
    before: Callable[[], None] = lambda: None
    host: int = -1
    pulled_bytes: int = 0
    opens_streams: bool = False


class Containers(Protocol):
    """The pool as the owner sees it."""

    def submit(self, job: Job) -> None:
        """Queue a job; never blocks, never raises: troubles come as `failed`."""

    def feed(self, job: Job, name: str, value: Stored) -> None:
        """Hand a part to a streamed input; kept until the container can take it."""

    def feed_end(self, job: Job, name: str, error: str | None) -> None:
        """End a streamed input."""

    def kill(self, job: Job) -> None:
        """End the job's container (or take it out of the queue); `failed(RUN_DIED)` follows."""

    def prewarm(self, calls: Sequence[tuple[ActionCall, Mapping[str, Any], Identity]]) -> None:
        """Start containers for steps that will fire soon, as far as room allows; a hint."""
