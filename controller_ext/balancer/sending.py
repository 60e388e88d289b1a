"""Hands runs of large parameters to the doors of their owners, both together, while their messages pass the bus.

A favour alone: who gets a run at its door begins with it, and knows it again when the bus brings it. What does not
come, or too late, is read from the bus, and its parameters are pulled.
"""

from __future__ import annotations

from typing import Final

from controller_ext.runs.spool import SpoolShelf
from invoker_ext.bus import Message
from invoker_ext.door.far import Caller
from invoker_ext.door.messenger import Messenger
from invoker_ext.door.spooled import OP

MOST_BYTES: Final = 1 << 20
"""Of a spool; what is larger takes longer than a message, and is better asked for once there is room."""


class RunSender:
    """Lives on the loop.

    Args:
        caller: Who we are; None: nobody's door is reached.
        shelf: Where spooled parameters are.
    """

    def __init__(self, caller: Caller | None, shelf: SpoolShelf) -> None:
        self._messenger = None if caller is None else Messenger(caller)
        self._shelf = shelf

    def send(self, door: str, message: Message, spool: str) -> bool:
        """Send a run to a door if there is a connection; else begin to make one for the next.

        Args:
            door: Of its owner.
            message: That the bus has, too.
            spool: Name of its spooled parameters.

        Returns:
            Whether it was sent.
        """
        if self._messenger is None:
            return False
        self._messenger.meet(door)
        fields = {"headers": message.headers, "message": str(message.payload, "utf-8"), "spool": spool}
        content = self._shelf.at_hand(spool, MOST_BYTES)
        return self._messenger.hand(door, OP, fields, content or b"", _passed_over)

    async def close(self) -> None:
        """Disconnect; idempotent."""
        if self._messenger is not None:
            await self._messenger.close()


def _passed_over(taken: bool) -> None:
    """Hear whether it was taken: if not, the bus brings it."""
