"""What a run needs of its surroundings: the seam between `Run` and `Owner`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from action_runtime.wire.values import Head
from invoker_ext.containers.job import Containers
from invoker_ext.contract.graph import Graph
from invoker_ext.contract.messages import ActivationMessage, Identity
from invoker_ext.contract.records import Activation
from invoker_ext.dataflow.events import Event
from invoker_ext.inline.call import Call, Evaluated
from invoker_ext.owner.clock import Clock
from invoker_ext.sink.datum import Stored

if TYPE_CHECKING:
    from invoker_ext.owner.actions import Actions
    from invoker_ext.owner.run import Run


Copy = Callable[[Stored], Awaitable[Stored]]
"""Returns a datum that is here, with a reference of its own: one of another host is pulled. Raises DataflowError."""


class Lending(Containers, Protocol):
    """A pool that reaches over several hosts (`lending.borrower`).

    Attributes:
        data_lost: To be called with data whose host is gone.
    """

    data_lost: Callable[[Collection[Stored]], None]

    async def copy(self, stored: Stored) -> Stored:
        """See Copy."""

    def let_go(self, stored: Stored) -> None:
        """See `Host.let_go`."""

    def release(self, run: str) -> None:
        """A run has ended: let go of it on all hosts."""


class Sink(Protocol):
    """The part of the sink that the owner uses."""

    def put_bytes(self, head: Head, data: bytes | memoryview, owner: str = "") -> Stored:
        """Hold bytes that the invoker itself made."""

    def pin(self, stored: Stored) -> None:
        """Keep a datum, and where it is, until `unpin`: for a thread that reads it."""

    def unpin(self, stored: Stored) -> None:
        """Let go of it again."""


class Functions(Protocol):
    """What evaluates inline functions, `invoker_ext.inline.functions.Functions` for one."""

    def evaluate(self, call: Call, done: Callable[[Evaluated], None]) -> int:
        """Evaluate a function; `done` is called once, not from within. Returns a ticket for `cancel`."""

    def cancel(self, ticket: int) -> None:
        """Nobody wants the answer any more. Idempotent."""


class Ear(Protocol):
    """Who asked for a firing, and hears of it: a run, or a region in one."""

    @property
    def brings(self) -> bool:
        """Whole results that were made on other hosts are brought here before it hears of them."""

    def post(self, event: Event) -> None:
        """Take an event about the firing."""

    def wants(self, step: str) -> Mapping[str, str]:
        """Return the outputs of a step that somebody reads."""


class Host(Protocol):
    """Services of the owner for its runs. Everything on the loop."""

    @property
    def clock(self) -> Clock:
        """Its clock."""

    @property
    def sink(self) -> Sink:
        """Where data are."""

    @property
    def containers(self) -> Containers:
        """The pool."""

    @property
    def actions(self) -> Actions:
        """Where actions are read that only a running composition names."""

    @property
    def compile(self) -> Callable[[str, Identity, str], Awaitable[Mapping[str, Any]]]:
        """Asks at a controller's door what an action runs that is none of the plain ones; see `parts.Compile`."""

    @property
    def functions(self) -> Functions:
        """What evaluates inline functions of compositions."""

    @property
    def spans(self) -> bool:
        """Firings may be executed on other hosts."""

    @property
    def halted(self) -> bool:
        """The invoker ends: what happens from now on happens to no run; the journal has them for the next start."""

    @property
    def copy(self) -> Copy:
        """How data of other hosts come here."""

    @property
    def let_go(self) -> Callable[[Stored], None]:
        """Drops a run's reference to a datum that nobody in it reads any more, on all hosts."""

    def keep(self, records: Sequence[Activation], user: Identity) -> None:
        """Journal records and write them to the store, behind the response."""

    def place(self, datum: Stored) -> str | None:
        """Have the store keep a large JSON datum, ahead of the records that hold it; None: it must be read."""

    def begin(self, run: str) -> None:
        """Journal, before it happens, that a function begins which must not begin twice.

        Raises:
            JournalFull: That cannot be written down, so it must not begin.
        """

    def answered(self, run: str, record: Activation) -> None:
        """Tell who waits for a plain action its result; its end follows when its log is collected."""

    def ended(self, run: Run, record: Activation) -> None:
        """Journal the end, then tell the controller; of a run that has no parent."""

    def forget(self, run: Run) -> None:
        """The run holds nothing any more."""

    async def launch(self, message: ActivationMessage, graph: Graph) -> None:
        """Accept a run that another one starts and does not wait for; it ends in a record, whatever dies.

        Raises:
            StoreUnavailable: Its graph cannot be kept.
        """

    def adopt(self, run: Run) -> None:
        """A run started by another one."""

    def later(self, delay_s: float, call: Callable[[], None]) -> Callable[[], None]:
        """Call back after a delay; returns what cancels it."""

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Run a coroutine in the owner's task group."""
