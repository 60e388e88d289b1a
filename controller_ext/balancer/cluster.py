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
SETTLED: Final = 3
"""So many of our own: by then all others that are there have been heard."""


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
    """

    controller: str
    life: str
    leaves: bool = False

    def encode(self) -> bytes:
        """Return the JSON."""
        return orjson.dumps({"controller": self.controller, "life": self.life, "leaves": self.leaves})

    @staticmethod
    def decode(payload: bytes | memoryview) -> Presence:
        """Read the JSON; raises MalformedPresence."""
        try:
            document = json.loads(bytes(payload))
            controller, life, leaves = document["controller"], document["life"], document["leaves"]
        except (ValueError, KeyError, TypeError) as error:
            raise MalformedPresence(f"not a controller's presence: {error!r}") from error
        if not (isinstance(controller, str) and isinstance(life, str) and isinstance(leaves, bool)):
            raise MalformedPresence("not a controller's presence")
        return Presence(controller, life, leaves)


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

    @property
    def size(self) -> int:
        """How many there are."""
        return 1 + len(self._missed)

    @property
    def leads(self) -> bool:
        """Whether this one does what only one may do: its id comes first. Not before it knows of the others."""
        return self._heard_self >= SETTLED and all(self._own.controller < other for other in self._missed)

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
