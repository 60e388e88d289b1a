"""The workers' side of the balancer: blocking, one send and one receive an invocation on a connection of its own."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import Any, Final

from action_runtime.wire.errors import DataflowError, FrameTooLarge, PeerLost, WireError
from action_runtime.wire.frames import Frame, FrameKind
from controller_ext.balancer.slots import Charge, ends_within_s, home_hash
from controller_ext.balancer.wire import Invoke, Limits, read_ended
from controller_ext.runs.ports import (
    Accepted,
    BalancerUnavailable,
    DataGone,
    DoorUnavailable,
    Ended,
    MessageTooLarge,
    Needs,
    NoInvoker,
    OnlyStock,
    Throttled,
)
from invoker_ext.contract.events import activation_event
from invoker_ext.contract.messages import WHOLE_RESULT_BYTES, ActivationMessage, Identity
from invoker_ext.contract.records import Activation
from invoker_ext.door.blocking import near_pool
from invoker_ext.door.client import DoorClient
from invoker_ext.door.errors import CallFailed, PeerUnreachable
from invoker_ext.door.hello import NotAllowed, Role
from invoker_ext.store import StoreUnavailable

logger = logging.getLogger(__name__)

RECONNECT_S: Final = 15.0
"""How long an invocation waits for a balancer that is being started again."""
ANSWER_S: Final = 75.0
"""When an answer is given up: above every bound at which the balancer answers on its own."""
CALL_S: Final = 5.0
_FIRST_LOOK_S: Final = 0.1
_LONGEST_LOOK_S: Final = 2.0
_FIRST_PAUSE_S: Final = 0.05
_LONGEST_PAUSE_S: Final = 2.0
_COMPOSED: Final = ("sequence", "dataflow:1")

Lookup = Callable[[str, str], Activation | None]
"""Namespace and activation id → the record, if it is stored by now."""

Fetch = Callable[[str], bytes | None]
"""Place of a result → its bytes; `ActivationStore.kept_result`."""


Pull = Callable[[str, str, int], Iterable[bytes]]
"""Door, name and size → the bytes; `ports.Door.pull`."""


def _nothing_kept(place: str) -> None:
    """Answer as a store that keeps results with their records only."""
    del place


def _nothing_pulled(door: str, name: str, size_bytes: int) -> Iterable[bytes]:
    """Answer as a controller that reaches no doors."""
    raise DoorUnavailable(f"{size_bytes} bytes of {name} are at {door}, which this controller does not reach")


@dataclass(slots=True, frozen=True)
class Results:
    """Reads results that completions leave out.

    Attributes:
        fetch: Large ones that the store has kept ahead of their records.
        pull: Those that an invoker holds for us.
    """

    fetch: Fetch = _nothing_kept
    pull: Pull = _nothing_pulled


_ERRORS: Final[Mapping[str, type[DataflowError]]] = {
    error.code: error for error in (Throttled, NoInvoker, OnlyStock, MessageTooLarge, BalancerUnavailable)
}


@dataclass(slots=True, frozen=True)
class DefaultLimits:
    """What a namespace without limits of its own may do."""

    per_minute: int
    concurrent: int
    fires_per_minute: int

    def of(self, user: Identity) -> Limits:
        """Return the limits of a namespace."""
        return Limits(
            user.uuid,
            int(user.limits.get("invocationsPerMinute", self.per_minute)),
            int(user.limits.get("concurrentInvocations", self.concurrent)),
            user.namespace,
            user.subject,
        )


class BalancerClient:
    """Implements `ports.Balancer`. Thread-safe; make it after the fork."""

    def __init__(
        self,
        path: Path,
        *,
        token: str,
        defaults: DefaultLimits,
        lookup: Lookup,
        results: Results | None = None,
        source: str = "controller0",
    ) -> None:
        """Connect nothing yet.

        Args:
            path: The balancer's socket.
            token: The installation's secret.
            defaults: Limits of namespaces without their own.
            lookup: Asks the activation store; used only after a connection broke.
            results: Where those are that completions leave out; None: all carry them.
            source: This controller, as stock's user events name it.
        """
        self._source = source
        self._pool = near_pool(path, role=Role.WORKER, token=token)
        self._calls = DoorClient(path, role=Role.WORKER, token=token)
        self._defaults = defaults
        self._lookup = lookup
        self._results = results or Results()
        self._closing = threading.Event()

    def invoke(
        self, message: ActivationMessage, needs: Needs, *, wait_s: float | None, repeated: bool = False
    ) -> Accepted | Ended:
        """See `ports.Balancer.invoke`.

        Sent again, under the same activation id, whenever the connection breaks: an invoker runs an id once, and one
        that was started again and let go of a run has its record in the store, which is looked into first.
        """
        invoke = Invoke(
            activation_id=message.activation_id,
            headers=message.headers(),
            payload=message.encode(),
            limits=self._defaults.of(message.user),
            counted=message.cause is None,
            charge=Charge(
                memory_mb=needs.memory_mb,
                home=home_hash(message.user.namespace, message.action),
                action=f"{message.action}@{message.version}",
                concurrency=needs.concurrency,
                pulled=needs.pulled,
            ),
            # Of a sequence or workflow nobody knows how often its steps fire.
            ends_s=None if message.graph is not None else ends_within_s(needs.timeout_s),
            wait_s=wait_s,
            spool=message.spool.name if message.spool is not None else None,
            stepwise=needs.stepwise and not repeated,
        )
        try:
            head, payload = invoke.encode()
        except FrameTooLarge as error:
            raise MessageTooLarge(str(error)) from error
        answer = self._send(message, head + payload, wait_s, repeated=repeated)
        return Accepted(message.activation_id) if wait_s is None else answer

    def charge(self, user: Identity) -> None:
        """See `ports.Balancer.charge`."""
        limits = self._defaults.of(user)
        self._call("charge", limits=astuple(limits))

    def charge_fire(self, user: Identity) -> None:
        """See `ports.Balancer.charge_fire`."""
        allowed = int(user.limits.get("firesPerMinute", self._defaults.fires_per_minute))
        self._call("charge_fire", limits=[user.uuid, allowed, user.namespace, user.subject])

    def invokers(self) -> Mapping[str, str]:
        """See `ports.Balancer.invokers`."""
        states: dict[str, str] = self._call("invokers")["invokers"]
        return states

    def doors(self) -> Sequence[str]:
        """Return the names of the peer doors of invokers on other hosts that are there; raises BalancerUnavailable."""
        names: list[str] = self._call("doors")["doors"]
        return names

    def in_flight(self) -> int:
        """See `ports.Balancer.in_flight`."""
        count: int = self._call("in_flight")["count"]
        return count

    def wrote(self, doc_id: str) -> None:
        """Have other controllers told that an entity was written; raises nothing: they hear it from the store, too."""
        try:
            self._call("wrote", id=doc_id)
        except DataflowError as error:
            logger.warning("others are not told of a write", extra={"id": doc_id, "error": str(error)})

    def ended(self, activation: Activation, user: Identity) -> None:
        """Have stock's user events tell of an activation that this worker ran by control flow; raises nothing."""
        event = activation_event(activation, user, self._source, time.time_ns() // 1_000_000)
        if event is None:
            return
        try:
            self._call("event", event=event.encode().decode())
        except DataflowError as error:
            logger.warning("event is not told", extra={"id": activation.activation_id, "error": str(error)})

    def close(self) -> None:
        """Disconnect; idempotent. Who waits to send again gives up."""
        self._closing.set()
        self._pool.close()
        self._calls.close()

    def _send(
        self, message: ActivationMessage, content: bytes, wait_s: float | None, *, repeated: bool
    ) -> Accepted | Ended:
        give_up = time.monotonic() + (wait_s or 0.0) + ANSWER_S
        breaks = 0
        while True:
            self._pause(breaks, give_up)
            try:
                lease = self._pool.borrow(min(give_up, time.monotonic() + RECONNECT_S))
            except (WireError, NotAllowed) as error:
                raise BalancerUnavailable(f"the balancer cannot be reached: {error}") from error
            try:
                with lease:
                    # Looked into when the balancer is there again: nothing is between this look and the sending.
                    found = self._stored(message) if breaks or repeated else None
                    if found is not None:
                        lease.keep()
                        return found
                    lease.connection.send(content, give_up)
                    answer = self._answer(lease.connection.receive, message, give_up, breaks > 0 or repeated)
                    if isinstance(answer, Ended):
                        return answer
                    lease.keep()
                return self._answered(answer, message, give_up - ANSWER_S, again=breaks > 0)
            except PeerLost as error:
                if time.monotonic() >= give_up:
                    raise BalancerUnavailable(f"the balancer does not answer: {error}") from error
                logger.warning("balancer connection lost", extra={"activation_id": message.activation_id})
                breaks += 1
                self._pool.drop_idle()
            except (TimeoutError, WireError) as error:
                raise BalancerUnavailable(f"the balancer does not answer: {error}") from error

    def _answered(self, answer: Frame, message: ActivationMessage, until: float, *, again: bool) -> Accepted | Ended:
        if answer.kind is FrameKind.ENDED and "at" not in answer.meta:
            return self._await_record(message, until)
        try:
            ended = self._whole(_read(answer, message.activation_id))
            if isinstance(ended, Ended) and ended.large is not None and ended.large[2] <= WHOLE_RESULT_BYTES:
                return self._pulled(ended.activation, ended.large, message, until)
            return ended
        except OnlyStock as error:
            if again:  # an invoker that is away by now may have taken it before
                raise NoInvoker(str(error)) from error
            raise

    def _await_record(self, message: ActivationMessage, until: float) -> Accepted | Ended:
        """Return what the store has of an activation that is over, once it has it; Accepted if the wait is over first.

        An invoker of stock names an activation whose record is too large for a message; the record is on its way.
        """
        look_s = _FIRST_LOOK_S
        while (found := self._stored(message)) is None:
            left_s = until - time.monotonic()
            if left_s <= 0 or self._closing.wait(min(look_s, left_s)):
                return Accepted(message.activation_id)
            look_s = min(2 * look_s, _LONGEST_LOOK_S)
        return found

    def _pause(self, breaks: int, give_up: float) -> None:
        """Wait before sending again: not after the first break, an idle connection may just have been old."""
        if breaks < 2:
            return
        # The exponent is bounded too: breaks are as many as fit into the wait.
        pause_s = min(_FIRST_PAUSE_S * 2 ** min(breaks - 2, 10), _LONGEST_PAUSE_S, give_up - time.monotonic())
        if self._closing.wait(max(pause_s, 0.0)):
            raise BalancerUnavailable("the server is stopping")

    def _answer(
        self, receive: Callable[[float], Frame], message: ActivationMessage, give_up: float, doubtful: bool
    ) -> Frame | Ended:
        """Wait for the answer; if the run may have ended unheard, look into the store too."""
        if not doubtful:
            return receive(give_up)
        look_s = _FIRST_LOOK_S
        while True:
            try:
                return receive(min(give_up, time.monotonic() + look_s))
            except TimeoutError:
                found = self._stored(message)
                if found is not None:
                    return found
                if time.monotonic() >= give_up:
                    raise
                look_s = min(2 * look_s, _LONGEST_LOOK_S)

    def _whole(self, answer: Accepted | Ended) -> Accepted | Ended:
        """Put in a result that is in the store and was left out of the completion."""
        if isinstance(answer, Accepted) or answer.activation.place is None:
            return answer
        try:
            result = self._results.fetch(answer.activation.place)
        except StoreUnavailable as error:
            raise BalancerUnavailable(f"the activation ended; its result cannot be read: {error}") from error
        return Ended(replace(answer.activation, result=result, place=None), answer.large)

    def _pulled(
        self, activation: Activation, large: tuple[str, str, int], message: ActivationMessage, until: float
    ) -> Accepted | Ended:
        """Put in a result that its invoker holds; if that is out of reach, the store has it or will have it."""
        try:
            return Ended(replace(activation, result=b"".join(self._results.pull(*large))))
        except (DataGone, DoorUnavailable) as error:
            logger.warning("a result is awaited from the store", extra={"door": large[0], "error": str(error)})
            return self._await_record(message, until)

    def _stored(self, message: ActivationMessage) -> Ended | None:
        try:
            record = self._lookup(message.user.namespace, message.activation_id)
        except StoreUnavailable:
            return None
        if record is None:
            return None
        return Ended(record if record.annotation("kind") in _COMPOSED else record.without_logs())

    def _call(self, op: str, **fields: object) -> dict[str, Any]:
        try:
            return self._calls.call(op, CALL_S, **fields)
        except PeerUnreachable as error:
            raise BalancerUnavailable(str(error)) from error
        except CallFailed as error:
            raise _ERRORS.get(error.reason, BalancerUnavailable)(str(error)) from error


def _read(frame: Frame, activation_id: str) -> Accepted | Ended:
    meta = frame.meta
    if meta.get("i") != activation_id:
        raise BalancerUnavailable("the balancer answered for another activation")
    match frame.kind:
        case FrameKind.ENDED:
            return read_ended(frame)
        case FrameKind.ACCEPTED:
            return Accepted(activation_id)
        case FrameKind.REJECTED:
            raise _ERRORS.get(str(meta.get("code")), BalancerUnavailable)(str(meta.get("error", "")))
        case _:
            raise BalancerUnavailable(f"{frame.kind.name} is no answer to an INVOKE")
