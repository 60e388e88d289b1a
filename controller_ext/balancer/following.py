"""A run as the dispatcher follows it, and what the dispatcher needs of the world."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from math import inf
from typing import Any, Final, Protocol

from controller_ext.balancer.kept import Kept
from controller_ext.balancer.wire import Invoke, Limits
from invoker_ext.bus import Message

UNANSWERED_S: Final = 60.0
"""How long a run that an invoker has seen may stay unkept before its worker is told that nobody knows."""
MAX_MESSAGE_BYTES: Final = 1024 * 1024 * 4 // 3 + 256 * 1024
"""Stock's megabyte of arguments, in base64 where a web action got bytes, and what is around them."""


class State(Enum):
    """How far a run is."""

    HELD = "held"
    SENT = "sent"
    KEPT = "kept"
    ANSWERED = "answered"


TRANSITIONS: Final = frozenset(
    {
        (State.HELD, State.SENT),
        (State.SENT, State.KEPT),
        (State.SENT, State.ANSWERED),
        (State.KEPT, State.ANSWERED),
    }
)


class InvalidTransition(RuntimeError):
    """A bug: a run moved where it cannot."""


class Waiter(Protocol):
    """A worker's connection."""

    def accepted(self, activation_id: str) -> None:
        """The run is kept, and the wait is over or there is none."""

    def ended(self, headers: dict[str, Any], payload: bytes | memoryview) -> None:
        """The run ended; the completion as it came."""

    def rejected(self, activation_id: str, code: str, text: str) -> None:
        """The run was not started; for BalancerUnavailable: not known to be."""


class Publisher(Protocol):
    """The bus as the dispatcher sees it: `HubEndpoint`."""

    def post(self, topic: str, message: Message, kept: Callable[[Exception | None], None] | None = None) -> Any:
        """Publish; returns what `withdraw` takes."""

    def withdraw(self, topic: str, entry: Any) -> bool:
        """Take back what nobody has seen."""


class Keeper(Protocol):
    """Notes accepted runs for the next balancer: `kept.KeptRuns`."""

    def note(self, kept: Kept) -> None:
        """Note a run, or its next owner."""

    def drop(self, run: str) -> None:
        """Forget a run that is over, if it was noted."""


class Timer(Protocol):
    """What `call_later` returns."""

    def cancel(self) -> None:
        """Do not call."""


@dataclass(slots=True, eq=False)
class Followed:
    """One run."""

    invoke: Invoke
    waits: list[tuple[Waiter, float | None]]
    """Who waits, and until when; None: until it is kept."""
    began: float
    state: State = State.HELD
    invoker: int = -1
    over_at: float = inf
    """When its end is not awaited any more; before it is sent: never."""
    entry: Any = None
    stored: bool = False
    """The bus keeps it; whether its owner does is not known yet."""
    adrift: bool = False
    """Its owner was lost, and the bus did not take the message for the next one."""
    over: bool = False
    """It is not followed any more."""
    timer: Timer | None = None

    @property
    def will_end(self) -> bool:
        """Its invoker has it, whatever dies."""
        return self.state in (State.KEPT, State.ANSWERED)

    def move(self, state: State) -> None:
        """Change the state; raises InvalidTransition."""
        if (self.state, state) not in TRANSITIONS:
            raise InvalidTransition(f"run {self.invoke.activation_id}: {self.state.value} → {state.value}")
        self.state = state


@dataclass(slots=True, kw_only=True)
class Surroundings:
    """What the dispatcher needs of the world.

    Attributes:
        call_later: The loop's.
        unspool: Removes spooled parameters by name.
        monotonic: Seconds.
        wall_ms: Epoch milliseconds.
        max_message_bytes: What the bus takes.
        controller: Our id.
        door: Ours, to invokers of other hosts, which hand results over there; empty: they come by the bus.
        owners_say: The bus keeps messages that no invoker has seen: the owner of a run says that it is kept.
        unclaimed_s: How long what an earlier balancer sent, and may not have told as accepted, may come again.
        kept: Notes where runs were sent; None: there is but one invoker, which knows what it has.
        random_below: Returns a number below the one given.
        owner_lost_s: An invoker that was silent for so long loses its sequences and workflows to others.
        send: Sends the spool of a run ahead: door of its owner, name of the spool.
        metric: Told of each decision about a limit: whose, stock's name of it, and its value; None: nobody is.
    """

    bus: Publisher
    call_later: Callable[..., Timer]
    unspool: Callable[[str], None]
    monotonic: Callable[[], float] = time.monotonic
    wall_ms: Callable[[], int] = field(default=lambda: time.time_ns() // 1_000_000)
    max_message_bytes: int = MAX_MESSAGE_BYTES
    controller: str = "0"
    door: str = ""
    owners_say: bool = False
    owner_lost_s: float = inf
    send: Callable[[str, str], None] = lambda door, name: None
    unclaimed_s: float = UNANSWERED_S
    kept: Keeper | None = None
    random_below: Callable[[int], int] = random.randrange
    metric: Callable[[Limits, str, int], None] | None = None
