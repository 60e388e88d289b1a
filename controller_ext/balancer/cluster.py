"""Which controllers there are, from what each tells of itself every second. Pure.

Silence is counted in our own messages as they come back: while the bus is away nobody is missed, and nobody is when it
is back and some are heard sooner than others.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final

import orjson

from action_runtime.wire.errors import DataflowError

PING_S: Final = 1.0
MISSED: Final = 10
"""So many of our own messages without one of another: it is gone. As for invokers, ten seconds."""
SETTLED: Final = 4
"""So many of our own: by then all others that are there have been heard, and ALIVE times."""
ALIVE: Final = 2
"""So many messages of another process of our name: it is alive."""


class MalformedPresence(DataflowError):
    """A message on the controllers' topic cannot be read."""

    code = "malformed-presence"


@dataclass(slots=True, frozen=True)
class Presence:
    """A controller is there, or leaves.

    Attributes:
        controller: Its id.
        life: Of its process, at random: two with one id are told apart.
        leaves: It is there no more.
        settled: It has been there for long enough to know who else is.
    """

    controller: str
    life: str
    leaves: bool = False
    settled: bool = True

    def encode(self) -> bytes:
        """Return the JSON."""
        return orjson.dumps(
            {"controller": self.controller, "life": self.life, "leaves": self.leaves, "settled": self.settled}
        )

    @staticmethod
    def decode(payload: bytes | memoryview) -> Presence:
        """Read the JSON; raises MalformedPresence."""
        try:
            document = json.loads(bytes(payload))
            controller, life, leaves = document["controller"], document["life"], document["leaves"]
            settled = document.get("settled", True)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise MalformedPresence(f"not a controller's presence: {error!r}") from error
        words, marks = (controller, life), (leaves, settled)
        if not (all(isinstance(one, str) for one in words) and all(isinstance(one, bool) for one in marks)):
            raise MalformedPresence("not a controller's presence")
        return Presence(controller, life, leaves, settled)


class Cluster:
    """All controllers that are there, this one included.

    Args:
        own: What this one says of itself.
    """

    def __init__(self, own: Presence) -> None:
        self._own = own
        self._missed: dict[str, int] = {}
        """Others → how many messages of ours came since their last."""
        self._heard_self = 0
        self._doubles: dict[str, int] = {}
        """Lives of other processes of our name → how often each was heard while we did not know who is there."""

    @property
    def size(self) -> int:
        """How many there are."""
        return 1 + len(self._missed)

    @property
    def settled(self) -> bool:
        """Whether all others that are there have been heard."""
        return self._heard_self >= SETTLED

    @property
    def leads(self) -> bool:
        """Whether this one does what only one may do: its id comes first. Not before it knows of the others."""
        return self.settled and all(self._own.controller < other for other in self._missed)

    def heard(self, said: Presence) -> bool:
        """Take a message; return True if a controller came or went."""
        before = self.size
        if said.controller != self._own.controller:
            if said.leaves:
                self._missed.pop(said.controller, None)
            else:
                self._missed[said.controller] = 0
        elif said.life == self._own.life:
            self._heard_self += 1
            counted = {other: missed + 1 for other, missed in self._missed.items()}
            self._missed = {other: missed for other, missed in counted.items() if missed <= MISSED}
        return self.size != before

    def doubles(self, said: Presence) -> bool:
        """Return whether another process says that it is this controller."""
        return said.controller == self._own.controller and said.life != self._own.life and not said.leaves

    def gives_way(self, said: Presence) -> bool:
        """Return whether this controller must go, as another process of its name was there before and is alive.

        One message of it may be the last of a process that was killed; a second is not. Of two that begin together the
        one whose life sorts last goes.
        """
        if not self.doubles(said) or self.settled:
            return False
        count = self._doubles[said.life] = self._doubles.get(said.life, 0) + 1
        return count >= ALIVE and (said.settled or said.life < self._own.life)
