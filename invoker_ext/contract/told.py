"""What an invoker tells of itself in its pings beyond stock. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

TAG: Final = "dataflow.peer="
"""In front of what an invoker tells its peers among the tags of its ping, which stock does not look at."""
_FIELDS: Final = 4


@dataclass(slots=True, frozen=True)
class Told:
    """What an invoker tells its peers.

    Attributes:
        address: HOST:PORT of its pipe.
        life: Grows with each start of it.
        room_mb: Memory for containers that it has left.
    """

    address: str
    life: int
    room_mb: int

    def tag(self) -> str:
        """Return it as a tag of a ping."""
        return f"{TAG}1;{self.life};{self.room_mb};{self.address}"

    @staticmethod
    def of(tags: tuple[str, ...]) -> Told | None:
        """Read it from the tags of a ping; None: it tells nothing, or in a way that is not ours."""
        for tag in tags:
            fields = tag.removeprefix(TAG).split(";", _FIELDS - 1)
            if tag.startswith(TAG) and len(fields) == _FIELDS and fields[0] == "1":
                try:
                    return Told(fields[3], int(fields[1]), int(fields[2]))
                except ValueError:
                    return None
        return None
