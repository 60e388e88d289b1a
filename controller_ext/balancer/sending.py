"""Sends spooled parameters to the invoker that is about to hear of their run, so that it need not ask for them.

A favour alone: they travel while the run's message passes the broker. What does not come, or too late, is pulled.
"""

from __future__ import annotations

from typing import Final

from controller_ext.runs.spool import SpoolShelf
from invoker_ext.door.far import Caller
from invoker_ext.door.messenger import Messenger
from invoker_ext.door.spooled import OP

MOST_BYTES: Final = 1 << 20
"""Of a spool; what is larger takes longer than a message, and is better asked for once there is room."""


class SpoolSender:
    """Lives on the loop.

    Args:
        caller: Who we are; None: nobody's door is reached.
        shelf: Where the files are.
    """

    def __init__(self, caller: Caller | None, shelf: SpoolShelf) -> None:
        self._messenger = None if caller is None else Messenger(caller)
        self._shelf = shelf

    def send(self, door: str, name: str) -> None:
        """Send a file to a door if there is a connection; else begin to make one for the next."""
        if self._messenger is None:
            return
        self._messenger.meet(door)
        content = self._shelf.at_hand(name, MOST_BYTES)
        if content is not None:
            self._messenger.hand(door, OP, {"name": name}, content, _passed_over)

    async def close(self) -> None:
        """Disconnect; idempotent."""
        if self._messenger is not None:
            await self._messenger.close()


def _passed_over(taken: bool) -> None:
    """Hear whether it was taken: if not, it is pulled."""
