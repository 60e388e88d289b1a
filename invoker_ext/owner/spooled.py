"""Large parameters of runs whose controller may be on another host: on our disk before anybody hears that they are."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Callable, Container, Coroutine
from functools import partial
from pathlib import Path
from typing import Any, Final

from invoker_ext.contract.messages import Spool
from invoker_ext.journal import JournalFull
from invoker_ext.owner.parts import PullParameters

_log = logging.getLogger(__name__)

SOON_S: Final = 0.5
"""How long a run that somebody waits for may take without a copy of its parameters on our disk: most end before."""
SOON_BYTES: Final = 1 << 20
"""Larger parameters are not kept in memory for that."""


class Spooled:
    """Files beside the journal, one a run that is at hand. Lives on the loop; what blocks has a thread.

    Args:
        folder: Of the files; None: nothing is kept, the controller's own files are as safe.
        pull: Has parameters come from their controller.
        spawn: Begins a task.
    """

    def __init__(
        self, folder: Path | None, pull: PullParameters, spawn: Callable[[Coroutine[Any, Any, None], str], None]
    ) -> None:
        self._folder = folder
        self._pull = pull
        self._spawn = spawn
        self._soon: dict[str, asyncio.TimerHandle] = {}
        if folder is not None:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    async def fetch(self, run: str, spool: Spool) -> bytes:
        """Return the parameters of a run: those that an earlier process kept, else pulled.

        Raises:
            DataflowError: They cannot be had; see `PullParameters`.
        """
        if self._folder is not None and (path := self._folder / run).exists():
            kept = await asyncio.to_thread(_read, path, spool.digest)
            if kept is not None:
                return kept
        return await self._pull(spool)

    async def keep(self, run: str, raw: bytes) -> None:
        """Have the parameters of a run on our disk until it has ended.

        Raises:
            JournalFull: The disk does not take them.
        """
        if self._folder is None:
            return
        path = self._folder / run
        if path.exists() and path.stat().st_size == len(raw):
            return  # an earlier process wrote it
        try:
            await asyncio.to_thread(_write, path, raw)
        except OSError as error:
            _log.exception("parameters cannot be written")
            path.unlink(missing_ok=True)
            raise JournalFull from error

    def keep_soon(self, run: str, raw: bytes, kept: Callable[[], None]) -> None:
        """Keep the parameters of a run if it does not end before: its controller has them, too, until it hears of that.

        Args:
            run: Somebody waits for its end.
            raw: Its parameters; stay in memory meanwhile.
            kept: Called once they are on our disk. If that does not take them it is not, and the run goes on.
        """
        begin = partial(self._keep_late, run, raw, kept)
        timer = asyncio.get_running_loop().call_later(SOON_S, lambda: self._spawn(begin(), f"keep {run}"))
        self._soon[run] = timer

    async def _keep_late(self, run: str, raw: bytes, kept: Callable[[], None]) -> None:
        try:
            await self.keep(run, raw)
        except JournalFull:
            return  # which is logged
        if run in self._soon:
            kept()
        else:
            self.forget(run)  # it ended while they were written

    def forget(self, run: str) -> None:
        """Let go of what a run had, as it has ended."""
        timer = self._soon.pop(run, None)
        if timer is not None:
            timer.cancel()
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
