"""What a controller and the others on the same Kafka tell each other: that they are there, and what they wrote."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any, Final

from action_runtime.wire.errors import Blame, DataflowError
from controller_ext.balancer.cluster import PING_S, Cluster, MalformedPresence, Presence
from invoker_ext.bus import Bus, Message
from invoker_ext.contract.stock import CacheInvalidation

logger = logging.getLogger(__name__)

TOPIC: Final = "controllers"
"""Ours: stock's controllers know each other by other means."""
INVALIDATION: Final = "cacheInvalidation"
DEAF_S: Final = 5.0
"""Without a message of our own for so long the bus is away."""
_DOUBLE_EVERY: Final = 60
"""Of messages by another controller of our name, one is logged."""


class NameTaken(DataflowError):
    """Another controller of our name was there before us; only its operator can know which of the two is meant."""

    code = "controller-name-taken"
    blame = Blame.CALLER

    def __init__(self, controller: str) -> None:
        super().__init__(
            f"another controller with the id {controller!r} is alive on this Kafka: give this one an --id of its own, "
            "or stop the other one first"
        )


class Siblings:
    """Lives on the loop.

    Args:
        controller: Our id.
        bus: That all are on.
        changed: Told how many controllers there are, whenever that changes.
        forget: Called with the id of a document that another one wrote.
    """

    def __init__(
        self, controller: str, bus: Bus, changed: Callable[[int], None], forget: Callable[[str], None]
    ) -> None:
        self._name = f"controller{controller}"
        self._bus = bus
        self._changed = changed
        self._forget = forget
        self._own = Presence(controller, secrets.token_hex(8))
        self._cluster = Cluster(self._own)
        self._doubles = 0
        self._ping: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._moved = asyncio.Event()
        self._taken = asyncio.Event()
        self._saying = False
        self._heard_at = self._loop.time()

    @property
    def deaf(self) -> bool:
        """Whether the bus is away: not even we are heard on it."""
        return self._loop.time() - self._heard_at > DEAF_S

    async def leading(self, wanted: bool) -> None:
        """Wait until this controller is, or is not, the one that does what only one may do."""
        while self._cluster.leads != wanted:
            await self._moved.wait()

    async def displaced(self) -> None:
        """Wait until it is known that another controller of our name was there before; raises NameTaken."""
        await self._taken.wait()
        raise NameTaken(self._own.controller)

    def start(self) -> None:
        """Listen, and say each second that we are there; the bus must have been started."""
        self._bus.subscribe(TOPIC, self._heard)
        self._bus.subscribe(INVALIDATION, self._written)
        self._say()

    def close(self) -> None:
        """Say that we leave; not if our name is another one's, which stays."""
        if self._ping is not None:
            self._ping.cancel()
            if not self._taken.is_set():
                self._bus.publish(TOPIC, Message(replace(self._own, leaves=True).encode()))

    def wrote(self, doc_id: str) -> None:
        """Tell the others of a document that was written here."""
        self._bus.publish(INVALIDATION, Message(CacheInvalidation(doc_id, self._name).encode()))

    def _say(self) -> None:
        # One at a time: a crowd of them when the bus is back would look like the silence of all others.
        if not self._saying:
            self._saying = True
            own = replace(self._own, settled=self._cluster.settled)
            self._bus.publish(TOPIC, Message(own.encode()), self._said)
        self._ping = self._loop.call_later(PING_S, self._say)

    def _said(self, error: Exception | None) -> None:
        del error  # the next one says the same
        self._saying = False

    def _heard(self, message: Message) -> None:
        self._bus.commit(TOPIC, message.offset)
        try:
            said = Presence.decode(message.payload)
        except MalformedPresence as error:
            logger.warning("presence of a controller dropped", extra={"error": str(error)})
            return
        if self._cluster.doubles(said):
            if self._cluster.gives_way(said):
                self._taken.set()
            if self._doubles % _DOUBLE_EVERY == 0:
                logger.error("another controller has our id; give each its own", extra={"id": said.controller})
            self._doubles += 1
            return
        if said.controller == self._own.controller:
            self._heard_at = self._loop.time()
        led = self._cluster.leads
        if self._cluster.heard(said):
            logger.info("controllers changed", extra={"controllers": self._cluster.size})
            self._changed(self._cluster.size)
        if led != self._cluster.leads:
            self._moved.set()
            self._moved = asyncio.Event()

    def _written(self, message: Message) -> None:
        self._bus.commit(INVALIDATION, message.offset)
        try:
            said = CacheInvalidation.decode(message.payload)
        except ValueError as error:
            logger.warning("cache invalidation dropped", extra={"error": str(error)})
            return
        if said.instance != self._name:
            self._forget(said.main_id)


async def until_first(*works: Coroutine[Any, Any, object]) -> None:
    """Do several things until one of them ends, then stop the others; raises what that one raised."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
