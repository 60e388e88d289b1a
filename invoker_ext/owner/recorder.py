"""Writes activation records behind the responses, in bulk, until the store has them.

The journal holds each record meanwhile, so neither a kill nor an outage of the store loses one.
One named thread does the blocking writes.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from invoker_ext.contract.records import Activation
from invoker_ext.store import ActivationStore, StoreUnavailable

_log = logging.getLogger(__name__)

LINGER_S: Final = 0.05
"""How long the first record of a batch waits for others: alone a record costs ten times what it costs among a hundred.

Nobody waits for it: readers have it written at once (`settle`), and the journal holds it meanwhile.
"""
BATCH: Final = 500
"""Records a transaction; stock's bulk size."""
FIRST_RETRY_S: Final = 0.1
LAST_RETRY_S: Final = 5.0


class Recorder:
    """The queue before the store.

    Args:
        store: Where records go.
        on_stored: Called on the loop with the ids that are safe now.
        bound_bytes: Above this `full` is true and the owner refuses new runs.
    """

    def __init__(self, store: ActivationStore, on_stored: Callable[[Sequence[str]], None], bound_bytes: int) -> None:
        self._store = store
        self._on_stored = on_stored
        self._bound_bytes = bound_bytes
        self._loop = asyncio.get_running_loop()
        self._wake = threading.Condition()  # guards _queue, _waiters, _hurry, _stopping
        self._queue: deque[Activation] = deque()
        self._waiters: list[tuple[int, asyncio.Future[None]]] = []
        self._hurry = False
        self._stopping = False
        self._taken = 0
        self._added = 0
        self._pending_bytes = 0
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._thread.start()

    @property
    def full(self) -> bool:
        """The store has been away for so long that no more can be kept."""
        return self._pending_bytes > self._bound_bytes

    @property
    def pending(self) -> int:
        """Records that the store does not have yet."""
        return self._added - self._taken

    def add(self, record: Activation) -> None:
        """Queue a record that is in the journal already."""
        self._pending_bytes += _size(record)
        with self._wake:
            self._queue.append(record)
            self._added += 1
            if len(self._queue) == 1 or len(self._queue) == BATCH:
                self._wake.notify()

    async def settle(self) -> None:
        """Return once every record added before this call is in the store; unbounded, so give it a timeout."""
        future: asyncio.Future[None] = self._loop.create_future()
        with self._wake:
            if self._taken >= self._added:
                return
            self._waiters.append((self._added, future))
            self._hurry = True
            self._wake.notify()
        await future

    async def close(self, within_s: float) -> None:
        """Write what is queued, for at most `within_s`; what is left stays in the journal."""
        with self._wake:
            self._stopping = True
            self._wake.notify()
        await asyncio.to_thread(self._thread.join, within_s)

    def _run(self) -> None:
        delay_s = FIRST_RETRY_S
        while batch := self._next():
            try:
                self._store.put_many([record for record in batch if not record.unstored])
            except StoreUnavailable as error:
                _log.warning("activation records wait for the store", extra={"error": str(error)})
                if self._pause(delay_s):
                    return
                delay_s = min(2 * delay_s, LAST_RETRY_S)
                continue
            except Exception:  # noqa: BLE001 - this thread's supervisor: one bad record must not stop all others
                _log.exception("activation records refused; writing them one by one")
                self._write_singly(batch)
            delay_s = FIRST_RETRY_S
            self._done(batch)

    def _write_singly(self, batch: list[Activation]) -> None:
        for record in batch:
            if record.unstored:
                continue
            try:
                self._store.put_many([record])
            except Exception:  # noqa: BLE001 - as above
                _log.exception("activation record lost", extra={"activation_id": record.activation_id})

    def _next(self) -> list[Activation]:
        with self._wake:
            while not self._queue and not self._stopping:
                self._wake.wait()
            if len(self._queue) < BATCH and not self._hurry and not self._stopping:
                self._wake.wait(LINGER_S)
            return [self._queue[k] for k in range(min(BATCH, len(self._queue)))]

    def _pause(self, delay_s: float) -> bool:
        until = time.monotonic() + delay_s
        with self._wake:
            while not self._stopping and (left_s := until - time.monotonic()) > 0:
                self._wake.wait(left_s)
            return self._stopping

    def _done(self, batch: list[Activation]) -> None:
        with self._wake:
            for _ in batch:
                self._queue.popleft()
            self._taken += len(batch)
            ready = [future for upto, future in self._waiters if upto <= self._taken]
            self._waiters = [one for one in self._waiters if one[0] > self._taken]
            self._hurry = bool(self._waiters)
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._tell, batch, ready)

    def _tell(self, batch: list[Activation], ready: list[asyncio.Future[None]]) -> None:
        self._pending_bytes -= sum(map(_size, batch))
        self._on_stored([record.activation_id for record in batch])
        for future in ready:
            if not future.done():
                future.set_result(None)


def _size(record: Activation) -> int:
    return 1024 + (len(record.result) if record.result is not None else 0) + sum(map(len, record.logs))
