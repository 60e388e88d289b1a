"""Large parameters of runs whose controller may be on another host: on our disk before anybody hears that they are."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Container
from pathlib import Path

from invoker_ext.contract.messages import Spool
from invoker_ext.journal import JournalFull
from invoker_ext.owner.parts import PullParameters

_log = logging.getLogger(__name__)


class Spooled:
    """Files beside the journal, one a run that is at hand. Lives on the loop; what blocks has a thread.

    Args:
        folder: Of the files; None: nothing is kept, the controller's own files are as safe.
        pull: Has parameters come from their controller.
    """

    def __init__(self, folder: Path | None, pull: PullParameters) -> None:
        self._folder = folder
        self._pull = pull
        if folder is not None:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    async def fetch(self, run: str, spool: Spool) -> bytes:
        """Return the parameters of a run: those that an earlier process kept, else pulled, and kept from here on.

        Raises:
            JournalFull: The disk does not take them.
            DataflowError: They cannot be had; see `PullParameters`.
        """
        if self._folder is None:
            return await self._pull(spool)
        path = self._folder / run
        kept = await asyncio.to_thread(_read, path, spool.digest)
        if kept is not None:
            return kept
        raw = await self._pull(spool)
        try:
            await asyncio.to_thread(_write, path, raw)
        except OSError as error:
            _log.exception("parameters cannot be written")
            path.unlink(missing_ok=True)
            raise JournalFull from error
        return raw

    def forget(self, run: str) -> None:
        """Let go of what a run had, as it has ended."""
        if self._folder is not None:
            (self._folder / run).unlink(missing_ok=True)

    def sweep(self, runs: Container[str]) -> None:
        """Remove what belongs to no run of these."""
        if self._folder is not None:
            for path in self._folder.iterdir():
                if path.name not in runs:
                    path.unlink(missing_ok=True)


def _read(path: Path, digest: str) -> bytes | None:
    """Return a file that is whole; None: it is not there, or a kill tore it."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return None
    return raw if hashlib.sha256(raw).hexdigest() == digest else None


def _write(path: Path, raw: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(raw)
