"""What the API needs of the processes behind it: balancer, peer door, spool, control flow.

The API is written against these protocols only, so a worker can be tested without a balancer. Every
method blocks its caller for a bounded
time, may be called from any thread, and translates errors of sockets to the errors below.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, Protocol

from action_runtime.wire.errors import Blame, DataflowError
from invoker_ext.contract.messages import ActivationMessage, Identity, Spool
from invoker_ext.contract.records import Activation


class Throttled(DataflowError):
    """The namespace is above a limit; the text is stock's. HTTP 429."""

    code = "throttled"
    blame = Blame.CALLER
    retryable = True


class NoInvoker(DataflowError):
    """No invoker is healthy, or none has room. HTTP 503."""

    code = "no-invoker"
    retryable = True


class OnlyStock(NoInvoker):
    """The healthy invokers take plain actions alone: a sequence is to go by stock control flow. HTTP 503."""

    code = "only-stock"


class BalancerUnavailable(DataflowError):
    """The balancer process cannot be reached or did not answer in time. HTTP 503."""

    code = "balancer-unavailable"
    retryable = True


class MessageTooLarge(DataflowError):
    """The message is above what the bus takes. HTTP 413."""

    code = "message-too-large"
    blame = Blame.CALLER


class DoorUnavailable(DataflowError):
    """The peer door of an invoker cannot be reached, or broke off. HTTP 503."""

    code = "door-unavailable"
    retryable = True


class DataGone(DataflowError):
    """The door no longer holds the bytes of that name. HTTP 500."""

    code = "data-gone"


@dataclass(slots=True, frozen=True)
class Accepted:
    """The run is kept: it will end in a record, whatever dies."""

    activation_id: str


@dataclass(slots=True, frozen=True)
class Ended:
    """The run ended within the wait.

    Attributes:
        activation: Its record; of a plain action without logs.
        large: `(door, name, bytes)` at which to pull the result if it is not in the record.
    """

    activation: Activation
    large: tuple[str, str, int] | None = None


@dataclass(slots=True, frozen=True, kw_only=True)
class Needs:
    """What a run takes of an invoker.

    Attributes:
        memory_mb: Of its largest step.
        timeout_s: How long it may take; 0: not known, a sequence that runs by control flow.
        concurrency: So many activations of a plain action share a container.
        pulled: Its image must be pulled first.
        stepwise: It is a sequence or composition, which the controller can run instead.
    """

    memory_mb: int
    timeout_s: float = 0.0
    concurrency: int = 1
    pulled: bool = False
    stepwise: bool = False


class Balancer(Protocol):
    """The one process of a controller that owns bus, slots and throttles, as a worker sees it."""

    def invoke(
        self, message: ActivationMessage, needs: Needs, *, wait_s: float | None, repeated: bool = False
    ) -> Accepted | Ended:
        """Hand a run to an invoker.

        Counts the run for the throttles of `message.user` (per minute only if the message has no
        cause).

        Args:
            message: What to run.
            needs: What to charge the invoker for, and until when.
            wait_s: How long to wait for the end; None: return once the run is accepted. At the
                bound the run goes on and Accepted is returned.
            repeated: This activation id may have been handed over before: such a run is joined, not started again, and
                the store is looked into for its end.

        Raises:
            Throttled: The namespace is above a limit; nothing was started.
            NoInvoker: Nobody can take it; nothing was started.
            OnlyStock: Nobody can take the sequence or composition, which was not counted; only if `needs.stepwise` and
                not `repeated`.
            MessageTooLarge: Nothing was started.
            BalancerUnavailable: Not known to be started.
        """

    def charge(self, user: Identity) -> None:
        """Count an invocation that is refused before it reaches `invoke` (404, 403, bad body).

        Stock throttles before it looks at anything else, so a refused request counts too, and a
        throttled namespace hears 429 first.

        Raises:
            Throttled: The namespace is above a limit.
        """

    def charge_fire(self, user: Identity) -> None:
        """Count a fire of a trigger, whatever comes of it; apart from invocations.

        Raises:
            Throttled: The namespace is above its limit of fires.
            BalancerUnavailable: Not counted.
        """

    def invokers(self) -> Mapping[str, str]:
        """Return `{"invoker0/0": "up"}`, one member an invoker known."""

    def in_flight(self) -> int:
        """Return how many activations are published and not ended."""


class Cancelled(Enum):
    """What came of a wish to cancel a run."""

    CANCELLED = "cancelled"
    ENDED = "ended"
    """It had ended before."""
    UNKNOWN = "unknown"


class Door(Protocol):
    """The peer doors of the invokers."""

    def settle(self) -> None:
        """Have every invoker write out its pending records; ≤ 1 s in any case, raises nothing."""

    def cancel(self, namespace: str, activation_id: str) -> Cancelled:
        """End a run of this namespace, UNKNOWN if no invoker has it; raises DoorUnavailable."""

    def trace(self, namespace: str, activation_id: str) -> dict[str, Any] | None:
        """Return what an invoker knows of a run of this namespace, None if none has it; raises DoorUnavailable.

        Returns:
            `{"name", "kind", "accepted", "now", "ended", "ids", "live"}`: `ids` are those of all firings so far, `live`
            has the time line of each that is at work, instants are epoch milliseconds.
        """

    def usage(self) -> Sequence[Mapping[str, Any]]:
        """Return what each invoker that answers within a second holds; raises nothing.

        Returns:
            `{"name", "runs", "sink", "spare_bytes", "pool", "peers"}`, the last one of those that have peers alone.
        """

    def pull(self, door: str, name: str, size_bytes: int) -> Iterator[bytes]:
        """Yield the bytes of a large result, `size_bytes` in all.

        Raises:
            DoorUnavailable: Also while iterating.
            DataGone: Before the first chunk.
        """


class Spooler(Protocol):
    """Keeps parameters above the inline bound on disk, where the owner of the run pulls them.

    Attributes:
        door: Address of the door at which the controller answers owners.
    """

    door: str

    def put(self, members: Mapping[str, bytes]) -> Spool:
        """Write a JSON object, given as the JSON text of each member; its new name is fit to be an activation id.

        Raises:
            StoreUnavailable: The disk is full.
        """

    def put_text(self, content: bytes) -> Spool:
        """Write parameters that nobody takes apart, given as JSON; else as `put`."""


@dataclass(slots=True, frozen=True, kw_only=True)
class SequenceRun:
    """A sequence to be run action by action by the controller: annotated `dataflow: false`, or with a conductor in it.

    Attributes:
        message: The sequence's own message: its action, version, binding, activation id, payload
            (`content`, unmerged), user, transid,
            cause. Not to be sent itself.
        components: `namespace/[package/]name` of each, as written.
        limits: `timeout` (ms) and `logs` (MB) of the sequence itself, for its record; stock's defaults if missing.
    """

    message: ActivationMessage
    components: tuple[str, ...]
    limits: Mapping[str, int] = field(default_factory=dict)


@dataclass(slots=True, frozen=True, kw_only=True)
class ConductorRun:
    """A composition: an action annotated `conductor`, run again after every component that it asks for.

    Attributes:
        message: The composition's own; its content lies over the defaults. Runs of the conductor are sent by copies.
        defaults: Parameters of the conductor → JSON text.
        needs: Of one run of the conductor; the composition itself has no bound of time.
        limits: As of `SequenceRun`.
    """

    message: ActivationMessage
    defaults: Mapping[str, bytes]
    needs: Needs
    limits: Mapping[str, int] = field(default_factory=dict)


@dataclass(slots=True, frozen=True)
class Prepared:
    """An invocation that passed all checks.

    Attributes:
        message: Ready for the balancer, or the frame of `composed`.
        needs: What it takes.
        composed: Set if it runs by stock control flow.
        fallback: How it runs if the balancer says OnlyStock.
    """

    message: ActivationMessage
    needs: Needs
    composed: SequenceRun | ConductorRun | None = None
    fallback: SequenceRun | ConductorRun | None = None

    def under(self, message: ActivationMessage) -> Prepared:
        """Return the same invocation with another message."""
        composed, fallback = self.composed, self.fallback
        if fallback is not None:
            # Its parameters are with it, even where those of the message are in a spool.
            own = replace(message, content=fallback.message.content, spool=None)
            fallback = replace(fallback, message=own)
        return Prepared(message, self.needs, None if composed is None else replace(composed, message=message), fallback)


class Gap(Enum):
    """Why there is no component of a name."""

    OUT_OF_REACH = "out of reach"
    ABSENT = "absent"


class ControlFlow(Protocol):
    """Runs sequences and compositions the stock way; see `control_flow.ControlFlow(balancer, prepare, records)`."""

    def run(self, composed: SequenceRun | ConductorRun, *, wait_s: float | None) -> Accepted | Ended:
        """Run the components one after the other and write the record of the whole.

        Args:
            composed: What to run.
            wait_s: None: return at once and go on in the background; else return at the end, or
                Accepted at the bound.

        Raises:
            Throttled: Before the first component; later ones end in the record.
        """


class Prepare(Protocol):
    """How control flow prepares one component. Implemented by `accept.Acceptor.component`."""

    def __call__(
        self, name: str, content: bytes | None, parent: ActivationMessage, *, stepwise: bool
    ) -> Prepared | Gap:
        """Make the message of a component: own id, blocking; cause, user, transid by the parent.

        Args:
            name: `namespace/[package/]name`.
            content: Raw JSON (an object or an array) it gets; None: nothing.
            parent: The enclosing message.
            stepwise: A sequence runs by control flow, whatever it says.

        Returns:
            A gap if the component does not exist, or is out of the user's reach.

        Raises:
            Refused: It must not be invoked.
            DefinitionError: It is a workflow that cannot be compiled (any more).
        """
