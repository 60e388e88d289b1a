"""Fires alarms in time: the shell around the machine. Lives on one loop; what blocks has threads of its own."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, ParamSpec, Protocol, TypeVar

from controller_ext.alarms.feed import Alarm
from controller_ext.alarms.machine import Command, DeleteTrigger, Fire, Machine, Stored, Write
from controller_ext.alarms.stored import all_alarms, document
from invoker_ext.store import EntityStore, RevisionConflict, StoreUnavailable

logger = logging.getLogger(__name__)

LOOK_S: Final = 1.0
"""How soon an alarm that was made, changed or deleted is seen. Asking the store whether anything was costs 10 µs."""
_CALLS: Final = 8
"""Requests to the API at a time."""
_DELETE_ATTEMPTS: Final = 5
_PAUSE_S: Final = 1.0
P = ParamSpec("P")
T = TypeVar("T")


class Triggers(Protocol):
    """What an alarm does to its trigger; statuses of HTTP, None: no answer."""

    def fire(self, alarm: Alarm) -> int | None:
        """Fire it."""

    def delete(self, alarm: Alarm, *, rules: bool) -> int | None:
        """Delete it, and its rules if they are to go too."""


class AlarmKeeper:
    """All alarms of the installation: there must be one keeper.

    Args:
        open_store: Opens the entities, which this then owns.
        triggers: Of the API.
        started_ms: When the process began: see `Machine`.
        now_ms: Epoch milliseconds.
    """

    def __init__(
        self, open_store: Callable[[], EntityStore], triggers: Triggers, started_ms: int, now_ms: Callable[[], int]
    ) -> None:
        self._open_store = open_store
        self._triggers = triggers
        self._now_ms = now_ms
        self._machine = Machine(started_ms)
        self._storing = asyncio.Lock()  # so that the machine hears of reads and writes in the order of the store
        self._store: EntityStore | None = None
        self._version: object = None
        self._reached = True
        self._disk = ThreadPoolExecutor(1, "alarms-store")
        self._calls = ThreadPoolExecutor(_CALLS, "alarms-call")

    async def run(self) -> None:
        """Fire until cancelled; the store is closed by then."""
        try:
            store = await self._opened()
            async with asyncio.TaskGroup() as tasks:
                while True:
                    commands = [*await self._look(store), *self._machine.due(self._now_ms())]
                    for command in commands:
                        tasks.create_task(self._do(store, command), name="alarm")
                    await asyncio.sleep(self._pause_s())
        finally:
            # A request under way is not waited for: the process ends, and its alarm is as it was.
            self._calls.shutdown(wait=False, cancel_futures=True)
            await self._in(self._disk, self._close)
            self._disk.shutdown(wait=False)

    async def _opened(self) -> EntityStore:
        while True:
            try:
                return await self._in(self._disk, self._open)
            except StoreUnavailable as error:
                self._unreached(error)
            await asyncio.sleep(LOOK_S)

    def _open(self) -> EntityStore:
        self._store = self._open_store()
        return self._store

    def _close(self) -> None:
        """Close what was opened, also if nobody waited for it any more."""
        if self._store is not None:
            self._store.close()

    def _unreached(self, error: StoreUnavailable) -> None:
        if self._reached:
            logger.warning("alarms cannot be read", extra={"error": str(error)})
        self._reached = False

    def _pause_s(self) -> float:
        next_ms = self._machine.next_ms()
        return LOOK_S if next_ms is None else min(LOOK_S, max(0, next_ms - self._now_ms()) / 1000)

    async def _look(self, store: EntityStore) -> list[Command]:
        """Hand all alarms to the machine if the store has changed."""
        async with self._storing:
            try:
                version = await self._in(self._disk, store.version)
                if version == self._version:
                    return []
                found = await self._in(self._disk, all_alarms, store)
            except StoreUnavailable as error:
                self._unreached(error)
                return []
            self._reached, self._version = True, version
            return self._machine.seen(found, self._now_ms())

    async def _do(self, store: EntityStore, command: Command) -> None:
        match command:
            case Fire(of):
                status = await self._in(self._calls, self._triggers.fire, of.alarm)
                logger.debug("alarm fired its trigger", extra={"trigger": of.id, "status": status})
                for next_ in self._machine.fired(of, status, self._now_ms()):
                    await self._do(store, next_)
            case Write(of, alarm):
                await self._write(store, of, alarm)
            case DeleteTrigger(alarm, rules):
                await self._delete(alarm, rules=rules)

    async def _write(self, store: EntityStore, of: Stored, alarm: Alarm | None) -> None:
        """Store the end of an alarm; the machine has it tried again if that fails."""
        async with self._storing:
            now: Stored | None = None
            try:
                if alarm is None:
                    await self._in(self._disk, store.delete, of.id, of.revision)
                else:
                    body = document(of.id, alarm, self._now_ms())
                    done = await self._in(self._disk, store.put, of.id, body, of.revision)
                    now = Stored(of.id, done.revision, alarm)
            except RevisionConflict:
                logger.debug("alarm was changed by somebody else", extra={"trigger": of.id})
            except StoreUnavailable as error:
                logger.warning("alarm cannot be stored", extra={"trigger": of.id, "error": str(error)})
                return
            else:
                if alarm is not None and not alarm["status"]["active"]:
                    reason = alarm["status"]["reason"]["message"]
                    logger.info("alarm ended", extra={"trigger": of.id, "reason": reason})
            self._machine.written(of, now, self._now_ms())

    async def _delete(self, alarm: Alarm, *, rules: bool) -> None:
        status: int | None = None
        for _ in range(_DELETE_ATTEMPTS):
            status = await self._in(self._calls, lambda: self._triggers.delete(alarm, rules=rules))
            if status is not None and status < 500 and status != 409:
                return
            await asyncio.sleep(_PAUSE_S)
        logger.warning("trigger of an alarm cannot be deleted", extra={"trigger": alarm["name"], "status": status})

    async def _in(self, pool: ThreadPoolExecutor, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(pool, lambda: call(*args, **kwargs))
