"""What an owner tells controllers: that it keeps a run, its result, that it is over.

On Kafka a controller of ours that waits for a result says, with the run, at which door it takes it. Result and end then
go there, and the bus, which takes two hops over its broker, carries what the door did not take for certain, whole: a
result may come twice, and is never lost.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import Any, Final, Protocol

from invoker_ext.bus import Bus, Message
from invoker_ext.contract.acks import KEPT, Published, acknowledgements, end_of, healthy, result_of, whole_of
from invoker_ext.contract.events import TOPIC as EVENTS, activation_event
from invoker_ext.contract.messages import ActivationMessage, Completion, Identity
from invoker_ext.contract.records import Activation
from invoker_ext.owner.identification import Identification

_log = logging.getLogger(__name__)

MAX_ACK_BYTES: Final = 1024 * 1024 + 6068
"""Of one to a stock controller, if the bus has no bound of its own; stock's."""
PUBLISH_AGAIN_S: Final = 1.0
PUBLISH_TRIES: Final = 60
"""Longer nobody waits for a completion; the record is in the store all the same."""
OP: Final = "result"
"""Of the call at a controller's door."""


class Messages(Protocol):
    """How messages come to doors of controllers: `door.messenger.Messenger`."""

    def meet(self, name: str) -> None:
        """There will be something for a door soon."""

    def hand(self, name: str, op: str, fields: dict[str, Any], payload: bytes, told: Callable[[bool], None]) -> bool:
        """Hand a message over; False: not now. Else `told` is called later, with whether the door has it."""


class Step(Enum):
    """How far the result of a run has come."""

    OPEN = "open"
    HANDED = "handed"
    TOLD = "told"


TRANSITIONS: Final[Mapping[Step, frozenset[Step]]] = {
    Step.OPEN: frozenset({Step.HANDED, Step.TOLD}),
    Step.HANDED: frozenset({Step.TOLD}),
    Step.TOLD: frozenset(),
}


class InvalidTransition(RuntimeError):
    """A bug: a result moved where it cannot."""


@dataclass(slots=True, eq=False)
class _Answer:
    """What is told of one run.

    Attributes:
        door: Where its controller waits for it; None: on the bus.
        result: The result while it is under way to that door.
        end: The end, once it is known and not told.
    """

    door: str | None = None
    step: Step = Step.OPEN
    result: Completion | None = None
    end: Completion | None = None

    def move(self, step: Step) -> None:
        """Change the step; raises InvalidTransition."""
        if step not in TRANSITIONS[self.step]:
            raise InvalidTransition(f"result: {self.step.value} → {step.value}")
        self.step = step


class Teller:
    """Lives on the loop.

    Args:
        who: Of this invoker.
        bus: To the controllers.
        messages: To their doors; None: there are none.
    """

    def __init__(self, who: Identification, bus: Bus, messages: Messages | None) -> None:
        self._who = who
        self._bus = bus
        self._messages = messages
        self._loop = asyncio.get_running_loop()
        self._answers: dict[str, _Answer] = {}
        """Of runs at hand, if something is to be known of them."""
        self._kept: dict[str, str] = {}
        """Runs at hand of which a controller was told that we keep them → that controller."""

    def expect(self, run: str, door: object) -> None:
        """Note at which door the controller of a run at hand waits, if it names one: the one that asked last."""
        if self._messages is None or not isinstance(door, str):
            return
        self._messages.meet(door)
        self._answers.setdefault(run, _Answer()).door = door

    def forget(self, run: str) -> None:
        """Say no more of a run."""
        self._answers.pop(run, None)
        self._kept.pop(run, None)

    def kept(self, message: ActivationMessage) -> None:
        """Tell a controller, which may be on another host, that a run and its parameters are in our journal."""
        if self._who.stock_acks:
            self._kept[message.activation_id] = message.controller
            self.kept_again(message.activation_id)

    def kept_again(self, run: str) -> None:
        """Tell once more what was told of a run at hand: its controller, which was started again, has asked."""
        controller = self._kept.get(run)
        if controller is not None:
            self._bus.publish(f"completed{controller}", Message(b"{}", {"id": run, "ack": KEPT}))

    def healthy(self, message: ActivationMessage, *, system_error: bool) -> None:
        """Answer a controller that asks whether we work."""
        headers, payload = healthy(message, self._who.instance, system_error=system_error)
        self._bus.publish(f"completed{message.controller}", Message(payload, headers))

    def happened(self, records: Sequence[Activation], user: Identity) -> None:
        """Have stock's user events tell of activations that ended."""
        if not self._who.events:
            return
        now_ms = time.time_ns() // 1_000_000
        for record in records:
            event = activation_event(record, user, self._who.topic, now_ms)
            if event is not None:
                self._bus.publish(EVENTS, Message(event.encode()))

    def answered(self, completion: Completion) -> None:
        """Tell the result of an action for which somebody waits, ahead of its end."""
        answer = self._answers.setdefault(completion.activation.activation_id, _Answer())
        if answer.step is not Step.OPEN:
            return
        published = result_of(completion)
        if published is not None and self._hand(answer, published, partial(self._answer_handed, answer)):
            answer.move(Step.HANDED)
            answer.result = completion
        else:
            answer.move(Step.TOLD)
            self._publish_result(completion)
            self._bus.flush()

    def ended(self, completion: Completion) -> None:
        """Tell that a run is over, and its result if that was not told."""
        run = completion.activation.activation_id
        answer = self._answers.get(run) or _Answer()
        self.forget(run)
        if answer.step is Step.HANDED:
            answer.end = completion  # what is told of it follows from what becomes of the result
        else:
            self._end(answer, completion)

    def publish(self, completion: Completion) -> None:
        """Tell of a run on the bus all that there is to tell."""
        for published in self._whole(completion):
            self._send(completion, published)

    def _whole(self, completion: Completion) -> list[Published]:
        blocking = completion.stock_blocking
        if blocking is None:
            return [completion.encode(self._who.instance)]
        return acknowledgements(completion, blocking=blocking, instance=self._who.instance, bound=self._bound)

    @property
    def _bound(self) -> int:
        return self._bus.max_message_bytes or MAX_ACK_BYTES

    def _hand(self, answer: _Answer, published: Published, told: Callable[[bool], None]) -> bool:
        """Hand a message to the door where it is waited for; False: it must go by the bus."""
        headers, payload = published
        if answer.door is None or self._messages is None:
            return False
        return self._messages.hand(answer.door, OP, {"headers": headers}, payload, told)

    def _answer_handed(self, answer: _Answer, taken: bool) -> None:
        """Hear from the door about a result that was told ahead of its end."""
        result, answer.result = answer.result, None
        end = answer.end
        if taken or end is None:
            answer.move(Step.TOLD)
        if not taken and end is None and result is not None:
            self._publish_result(result)
        if end is not None:
            self._end(answer, end)

    def _end(self, answer: _Answer, end: Completion) -> None:
        """Tell all that was not told."""
        told = answer.step is Step.TOLD
        published = (end_of if told else whole_of)(end, self._who.instance)
        by_bus = partial(self._send, end, published) if told else partial(self.publish, end)
        if not self._hand(answer, published, lambda taken: None if taken else by_bus()):
            by_bus()

    def _publish_result(self, completion: Completion) -> None:
        published = result_of(completion, self._bound)
        if published is not None:
            self._send(completion, published)

    def _send(self, completion: Completion, published: Published, tries: int = PUBLISH_TRIES) -> None:
        headers, payload = published

        def kept(error: Exception | None) -> None:
            if error is None:
                return
            run = completion.activation.activation_id
            _log.warning("completion not taken by the bus", extra={"run": run, "error": str(error), "tries": tries})
            if tries > 1:
                self._loop.call_later(PUBLISH_AGAIN_S, self._send, completion, published, tries - 1)

        self._bus.publish(f"completed{completion.controller}", Message(payload, headers), kept)
