"""The balancer process: the bus, workers' socket, peer door of the controller, and their start and stop."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from typing import TYPE_CHECKING, Any, Final

from action_runtime.wire.errors import DataflowError
from controller_ext.balancer.compiling import Compiler
from controller_ext.balancer.dispatcher import Dispatcher
from controller_ext.balancer.fleet import MalformedPing, Ping
from controller_ext.balancer.following import Surroundings
from controller_ext.balancer.kept import KeptRuns
from controller_ext.balancer.retention import Bounds, Retention
from controller_ext.balancer.sending import SpoolSender
from controller_ext.balancer.siblings import TOPIC as CONTROLLERS, Siblings, until_first
from controller_ext.balancer.upkeep import keep_up
from controller_ext.balancer.wire import Limits
from controller_ext.balancer.workers import WorkerConnection
from controller_ext.runs.keys import open_keys
from controller_ext.runs.spool import SpoolShelf
from controller_ext.settings import Settings
from invoker_ext.bus import Message
from invoker_ext.buses.address import kafka_address, told_events
from invoker_ext.buses.local_hub import HubEndpoint, LocalHub
from invoker_ext.contract.events import TOPIC as EVENTS, metric_event
from invoker_ext.door.body import Body, FileBody
from invoker_ext.door.errors import NotHeld
from invoker_ext.door.far import caller_of
from invoker_ext.door.far_server import FarDoor, FarListener
from invoker_ext.door.framed import listen
from invoker_ext.door.places import read_address
from invoker_ext.door.server import Door
from invoker_ext.stores.opening import open_activations, open_entities

if TYPE_CHECKING:
    from controller_ext.alarms.keeper import AlarmKeeper
    from invoker_ext.buses.kafka.bus import KafkaBus
    from invoker_ext.store import EntityStore

logger = logging.getLogger(__name__)

_TICK_S: Final = 1.0
_SWEEP_S: Final = 60.0
_GATHER_S: Final = 1.5
"""How long invokers of other hosts have for their first ping; they ping each second."""
_COMMIT_S: Final = 0.002
"""How long completions gather for one commit: nobody waits for it, and each costs a write."""
MAX_WAIT_S: Final = 60.0
"""For a caller that waits for an invoker."""


class BalancerApp:
    """Everything of the process. Lives on one loop."""

    def __init__(self, settings: Settings, token: str) -> None:
        self._settings = settings
        self._token = token
        self._hub, self._bus = _bus(settings)
        self._shelf = SpoolShelf(settings.spool_dir)
        self._loop = asyncio.get_running_loop()
        reached = bool(settings.peer_listen) and self._hub is None
        self._sender = SpoolSender(caller_of(settings, f"controller{settings.id}") if reached else None, self._shelf)
        around = Surroundings(
            bus=self._bus,
            call_later=self._loop.call_later,
            unspool=self._shelf.remove,
            send=self._sender.send,
            controller=settings.id,
            owners_say=self._hub is None,
            door=settings.door_name if reached else "",
            owner_lost_s=settings.owner_lost_s,
        )
        if self._hub is not None:
            around.unclaimed_s = settings.run_ttl_s
        if told_events(settings.bus):
            around.metric = self._measured
        # Of one invoker's runs all that the next balancer must know lies in that one's journal.
        kept = self._hub is None or settings.local_invokers > 1
        around.kept = self._kept = KeptRuns(settings.data_dir / "accepted") if kept else None
        if self._bus.max_message_bytes is not None:
            around.max_message_bytes = self._bus.max_message_bytes
        self._dispatcher = Dispatcher(around, settings.accept_wait_s, settings.run_ttl_s)
        self._dispatcher.fleet_changed = self._fleet_changed
        self._fleet_moved = asyncio.Event()
        self._entities: EntityStore | None = None
        self._siblings: Siblings | None = None
        if self._hub is None:  # the local bus has one controller
            self._entities = open_entities(settings, settings.data_dir, follow=False)
            self._siblings = Siblings(settings.id, self._bus, self._dispatcher.divide, self._entities.invalidate)
        calls = {
            "pull": self._pull,
            "invokers": self._invokers,
            "result": self._result,
            "compile": Compiler(settings, self._all_entities).answer,
        }
        self._door = Door(settings.door_socket, token, calls)
        self._far: FarListener | None = None
        if settings.peer_listen:
            far = FarDoor(self._door, f"controller{settings.id}", settings.credentials())
            self._far = FarListener(read_address(settings.peer_address), far)
        self._workers: set[WorkerConnection] = set()
        self._workers_server: asyncio.Server | None = None
        self._ticker: asyncio.Task[None] | None = None
        self._retention = _retention(settings)
        self._sweeper: asyncio.Task[None] | None = None
        self._alarms: asyncio.Task[None] | None = None
        self._started_ms = _epoch_ms()
        self._completed_topic = f"completed{settings.id}"
        self._completed = -1
        """Offset of the last completion that is not committed yet; -1: none."""

    async def start(self) -> None:
        """Start serving; raises OSError if a socket cannot be made.

        Order: the bus first, so that invokers ping while the rest starts; workers last, when all they need is there.
        """
        if self._hub is not None:
            await self._hub.start(self._settings.bus_socket, self._token)
        await self._bus.start()
        if self._kept is not None:
            self._dispatcher.recover(self._kept.recover())
        self._bus.subscribe(self._completed_topic, self._take_completion)
        self._bus.subscribe("health", self._pinged)
        if self._hub is None:
            self._dispatcher.gather(_GATHER_S)
        if self._siblings is not None:
            self._siblings.start()
        await self._door.start()
        if self._far is not None:
            self._far.start()
        self._workers_server = await listen(
            self._settings.balancer_socket,
            lambda: WorkerConnection(self._dispatcher, self._workers, self._token, self),
        )
        self._ticker = keep_up("balancer-tick", self._tick)
        self._sweeper = keep_up("balancer-retention", self._retention.run)
        self._alarms = keep_up("balancer-alarms", self._keep_alarms)
        await self._store_test()

    async def displaced(self) -> None:
        """Wait until it is known that another controller has our id, for ever on a bus of our own; raises NameTaken."""
        if self._siblings is None:
            await asyncio.Event().wait()
        else:
            await self._siblings.displaced()

    async def close(self) -> None:
        """Stop serving: workers first, so that nothing new comes; the bus last. Idempotent."""
        server, self._workers_server = self._workers_server, None
        if server is not None:
            server.close()
            for connection in list(self._workers):
                connection.close()
            await server.wait_closed()
        tasks = [task for task in (self._alarms, self._ticker, self._sweeper) if task is not None]
        self._alarms = self._ticker = self._sweeper = None
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._siblings is not None:
            self._siblings.close()
        self._retention.close()
        if self._entities is not None:
            self._entities.close()
        self._shelf.sweep()
        if self._far is not None:
            await self._far.close()
        await self._door.close()
        await self._sender.close()
        await self._bus.close()
        if self._kept is not None:
            self._kept.close()
        if self._hub is not None:
            await self._hub.close()
        for path in (self._settings.balancer_socket, self._settings.bus_socket):
            path.unlink(missing_ok=True)

    def _take_completion(self, message: Message) -> None:
        self._dispatcher.completed(message)
        if self._completed < 0:
            self._loop.call_later(_COMMIT_S, self._commit_completed)
        self._completed = message.offset

    def _commit_completed(self) -> None:
        offset, self._completed = self._completed, -1
        self._bus.commit(self._completed_topic, offset)

    def _pinged(self, message: Message) -> None:
        self._bus.commit("health", message.offset)
        try:
            self._dispatcher.pinged(Ping.read(message.payload))
        except MalformedPing as error:
            logger.warning("malformed ping", extra={"error": str(error)})

    def wrote(self, doc_id: str) -> None:
        """See `workers.Hears`."""
        if self._siblings is not None:
            self._siblings.wrote(doc_id)

    def event(self, payload: bytes) -> None:
        """See `workers.Hears`."""
        self._bus.publish(EVENTS, Message(payload))

    def _measured(self, limits: Limits, name: str, value: int) -> None:
        source = f"controller{self._settings.id}"
        event = metric_event(name, value, (limits.subject, limits.name, limits.namespace), source, _epoch_ms())
        self.event(event.encode())

    def _fleet_changed(self) -> None:
        self._fleet_moved.set()
        self._fleet_moved = asyncio.Event()

    async def _tick(self) -> None:
        sweep_at = 0.0
        while True:
            self._dispatcher.tick(deaf=self._siblings is not None and self._siblings.deaf)
            if time.monotonic() >= sweep_at:
                await asyncio.to_thread(self._shelf.expire, self._settings.spool_ttl_s)
                sweep_at = time.monotonic() + _SWEEP_S
            await asyncio.sleep(_TICK_S)

    async def _keep_alarms(self) -> None:
        """Fire alarms from the first invoker on: before, nothing that they start could run."""
        while not self._dispatcher.fleet.usable():
            await self._fleet_moved.wait()
        if self._siblings is None:
            try:
                await (await self._keeper(self._started_ms)).run()
            finally:
                self._started_ms = _epoch_ms()  # the next keeper makes nothing up: this one may have fired it
            return
        while True:
            await self._siblings.leading(True)
            # What another controller was there for is not made up.
            keeper = await self._keeper(_epoch_ms())
            await until_first(keeper.run(), self._siblings.leading(False))

    async def _store_test(self) -> None:
        if self._entities is None or not self._settings.store_url:
            return
        # Invokers of stock are met in a deployment alone.
        from controller_ext.balancer.health_action import store

        await asyncio.to_thread(store, self._entities, self._settings, _epoch_ms())

    async def _keeper(self, started_ms: int) -> AlarmKeeper:
        return await asyncio.to_thread(_alarm_keeper, self._settings, started_ms)

    async def _pull(self, fields: dict[str, Any]) -> tuple[dict[str, Any], Body | None]:
        name = fields.get("name")
        descriptor = self._shelf.open(name) if isinstance(name, str) else None
        if descriptor is None:
            raise NotHeld(name)
        return {}, FileBody(descriptor, 0, os.fstat(descriptor).st_size)

    async def _result(self, fields: dict[str, Any]) -> tuple[dict[str, Any], Body | None]:
        """Take result or end of a run straight from its invoker, which tells on the bus what is not taken here."""
        headers, payload = fields.get("headers"), fields.get("payload", b"")
        if not isinstance(headers, dict) or not self._dispatcher.handed(Message(payload, headers)):
            raise NotAwaited
        return {}, None

    def _all_entities(self) -> EntityStore:
        if self._entities is None:
            self._entities = open_entities(self._settings, self._settings.data_dir, follow=False)
        return self._entities

    async def _invokers(self, fields: dict[str, Any]) -> tuple[dict[str, Any], Body | None]:
        """Answer with all invokers; with `usable` and `wait_s`, once so many can be used or the time is over."""
        wanted = int(fields.get("usable", 0))
        deadline = time.monotonic() + min(float(fields.get("wait_s", 0.0)), MAX_WAIT_S)
        fleet = self._dispatcher.fleet
        while len(fleet.usable()) < wanted and (left_s := deadline - time.monotonic()) > 0:
            try:
                await asyncio.wait_for(self._fleet_moved.wait(), left_s)
            except TimeoutError:
                break
        return {"invokers": fleet.states(), "usable": len(fleet.usable())}, None


class NotAwaited(DataflowError):
    """Nobody here waits for the result of a run."""

    code = "not-awaited"

    def __init__(self) -> None:
        super().__init__("nobody waits here for this result")


def _retention(settings: Settings) -> Retention:
    bounds = Bounds(settings.activations_age_s, settings.activations_per_namespace)
    # A file of keys is swept with each claim: it need not be opened here.
    keys = open_keys(settings) if settings.bus else None
    return Retention(open_activations(settings, settings.data_dir), bounds, keys=keys)


def _alarm_keeper(settings: Settings, started_ms: int) -> AlarmKeeper:
    """Return what fires alarms. What it needs is imported here, so that it does not hold up the start of the server."""
    from controller_ext.alarms.calls import TriggerApi
    from controller_ext.alarms.keeper import AlarmKeeper

    return AlarmKeeper(
        lambda: open_entities(settings, settings.data_dir), TriggerApi(settings.api_host), started_ms, _epoch_ms
    )


def _epoch_ms() -> int:
    return int(time.time() * 1000)


def _bus(settings: Settings) -> tuple[LocalHub | None, HubEndpoint | KafkaBus]:
    """Return the local bus, which this process serves, or the door to Kafka."""
    address = kafka_address(settings.bus)
    if address is None:
        hub = LocalHub()
        return hub, hub.endpoint
    # Imported only where it is used: the embedded server does without the library.
    from invoker_ext.buses.kafka.bus import KafkaBus

    topics = (f"completed{settings.id}", "health", "cacheInvalidation", "events", CONTROLLERS)
    return None, KafkaBus(address, topics=topics)
