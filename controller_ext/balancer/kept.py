"""The runs that were sent and have not ended, in a journal of the balancer: whoever comes after it knows them.

The owner of a run has journalled it, and mostly that is enough. But if the owner never comes back, the run is to go to
another one, and its client has long gone: nobody but the balancer can know of it. A run is noted with its message once
it is kept, just before who waits is told so. Before, only its invoker is noted: its caller comes again by itself, and
must find it there.
"""

from __future__ import annotations

import logging
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from action_runtime.wire.codec import Decoder
from action_runtime.wire.errors import WireError
from controller_ext.balancer.wire import Invoke
from invoker_ext.journal import Journal

logger = logging.getLogger(__name__)

_HEAD: Final = struct.Struct(">I??")
"""In front of the INVOKE: number of the owner, whether it is certain that the bus has the message, `accepted`."""


@dataclass(slots=True, frozen=True)
class Kept:
    """A run that was sent.

    Attributes:
        invoke: As it was sent last; before it is accepted without its message.
        invoker: Its owner.
        sent: The bus has it for that one; else the balancer died before it could know.
    """

    invoke: Invoke
    invoker: int
    sent: bool = True
    accepted: bool = True
    """Somebody may have been told so."""


class KeptRuns:
    """Survives the death of the process, not of the disk. Lives on the loop.

    Args:
        directory: Of this controller alone; made if it is missing.
    """

    def __init__(self, directory: Path) -> None:
        self._journal = Journal(directory)
        self._noted: set[str] = set()

    def recover(self) -> list[Kept]:
        """Return what an earlier balancer noted; call once, first."""
        found: list[Kept] = []
        for run, left in self._journal.recover().runs.items():
            try:
                found.append(_read(left.message))
            except (WireError, struct.error, ValueError) as error:
                # The disk is at fault, or another version wrote it: no bug, so without its trace.
                logger.error("accepted run cannot be read", extra={"run": run, "error": str(error)})  # noqa: TRY400
                continue
            self._journal.accepted(run, left.message)
            self._noted.add(run)
        if self._flush():
            self._journal.settle()
        return found

    def note(self, kept: Kept) -> None:
        """Note a run, or its next owner."""
        run = kept.invoke.activation_id
        head, payload = kept.invoke.encode()
        if run in self._noted:
            self._journal.ended(run)
        self._noted.add(run)
        self._journal.accepted(run, _HEAD.pack(kept.invoker, kept.sent, kept.accepted) + head + payload)
        self._flush()

    def drop(self, run: str) -> None:
        """Forget a run that is over, if it was noted."""
        if run in self._noted:
            self._noted.discard(run)
            self._journal.ended(run)
            self._flush()

    def close(self) -> None:
        """Let go of the file."""
        try:
            self._journal.close()
        except OSError as error:
            logger.warning("accepted runs are not noted", extra={"error": str(error)})

    def _flush(self) -> bool:
        """Write; a disk that takes nothing costs no run, as its owner has it: only the safety of the next balancer."""
        try:
            self._journal.flush()
        except OSError as error:
            logger.warning("accepted runs are not noted", extra={"error": str(error)})
            return False
        return True


def _read(text: bytes) -> Kept:
    invoker, sent, accepted = _HEAD.unpack_from(text)
    (frame,) = Decoder().feed(text[_HEAD.size :])
    return Kept(Invoke.read(frame), invoker, sent, accepted)
