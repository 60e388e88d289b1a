"""One invoker: puts its parts together, starts and stops them in order.

Start: store, journal and sink (nothing sees them) → containers → peers → bus → journal recovered (runs go on) → door →
messages are taken → pings. Stop, the other way round: pings say that we leave and messages are taken no more → runs at
hand end, for a bounded time → those that did not stand still, for the next start to resume → inline functions → door →
containers → records to the store → bus (what was published has left) → peers → sink.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import time
from dataclasses import asdict, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from action_runtime.wire.errors import DataflowError
from invoker_ext.bus import Bus, Message
from invoker_ext.buses.address import kafka_address, told_events
from invoker_ext.buses.local import LocalBus
from invoker_ext.containers.drivers.choice import choose, stem_cells
from invoker_ext.containers.fleet import Fleet
from invoker_ext.containers.limits import PoolLimits, host_memory_mb
from invoker_ext.containers.states import Progress
from invoker_ext.contract.stock import RUNS_TAG, InvokerId, PingMessage
from invoker_ext.door.body import Body, BytesBody
from invoker_ext.door.compiled import ask_compiled
from invoker_ext.door.errors import NotHeld
from invoker_ext.door.far import caller_of
from invoker_ext.door.far_server import FarDoor
from invoker_ext.door.hello import Role
from invoker_ext.door.messenger import Messenger
from invoker_ext.door.places import far
from invoker_ext.door.server import Door
from invoker_ext.door.spooled import OP as SPOOL, SpoolPuller
from invoker_ext.inline.contained import Contained
from invoker_ext.inline.evaluators import Evaluators
from invoker_ext.inline.functions import Functions
from invoker_ext.journal import Journal
from invoker_ext.owner.actions import Actions
from invoker_ext.owner.identification import Identification
from invoker_ext.owner.owner import Owner
from invoker_ext.owner.parts import Parts
from invoker_ext.peers.bounds import MIB
from invoker_ext.settings import Settings, machine_memory_mb
from invoker_ext.sink.reserve import SinkSettings
from invoker_ext.sink.sink import Sink
from invoker_ext.sink.sweeper import Sweeper
from invoker_ext.sink.terms import Limits, Stuck
from invoker_ext.stores.opening import open_activations, open_entities

if TYPE_CHECKING:
    from invoker_ext.lending.desk import Desk
    from invoker_ext.peers.peers import Peers

_log = logging.getLogger(__name__)

PING_S: Final = 1.0
"""Source: stock's health pings."""
SETTLE_S: Final = 5.0
STUCK_S: Final = 0.5
"""Between two looks at a sink in which everybody waits for room."""
DOUBT_S: Final = 3.0
"""How long functions may compute on the last parts of streams whose next ones have no room."""
NO_ROOM: Final = (
    "There is no room for the data of this run: {}, and nothing that runs can free any. "
    "Keep less data between steps, or ask the operator for a larger sink."
)
_SINK_SHARE: Final = 8
_SPILL_FACTOR: Final = 4
_SEGMENTS: Final = 8192
"""Descriptors for data; the limit of open files is raised to hold them."""


class InvokerApp:
    """Everything of the process. Lives on one loop."""

    def __init__(self, settings: Settings, token: str) -> None:
        self._settings = settings
        memory_mb = settings.user_memory_mb or host_memory_mb()
        self._id = InvokerId(
            instance=settings.id,
            memory_bytes=memory_mb * MIB,
            tags=(RUNS_TAG,),
            unique_name=f"{socket.gethostname()}-{settings.id}",
        )
        loop = asyncio.get_running_loop()
        self._loop = loop
        # Actions are kept by revision; a document kept below that could be older than the message that names it.
        self._entities = open_entities(settings, settings.server, follow=False)
        self._activations = open_activations(settings, settings.server, fsync=settings.journal_fsync)
        self._journal = Journal(settings.journal_dir, fsync=settings.journal_fsync)
        self._sink = Sink(_sink_settings(settings), loop, self._stuck)
        self._peers = _peers(settings, self._sink)
        topic = f"invoker{settings.id}"
        self._bus = _bus(settings, token, topic)
        self._who = who = Identification(
            topic=topic,
            instance=self._id.to_json(),
            door=str(settings.door_socket),
            stock_acks=not isinstance(self._bus, LocalBus),
            events=told_events(settings.bus),
        )
        self._fleet = Fleet(
            choose(settings, memory_mb),
            self._sink,
            _pool_limits(settings, memory_mb),
            environment={"__OW_API_HOST": settings.api_host},
            outbox_bytes=settings.outbox_mb * MIB,
            prefix=f"wsk{settings.id}",
        )
        bounds = settings.inline_bounds
        self._functions = Evaluators(Functions(loop, bounds), Contained(loop, self._fleet, bounds))
        actions = Actions(self._entities)
        self._caller = caller_of(settings, settings.id)
        self._spools = SpoolPuller(token, self._caller)
        # On the local bus the controller is who reads it: no way is shorter.
        to_doors = self._caller is not None and not isinstance(self._bus, LocalBus)
        self._messenger = Messenger(self._caller) if self._caller is not None and to_doors else None
        parts = Parts(
            bus=self._bus,
            journal=self._journal,
            records=self._activations,
            sink=self._sink,
            actions=actions,
            pull=self._spools.pull,
            functions=self._functions,
            messages=self._messenger,
            compile=partial(ask_compiled, token=token, caller=self._caller),
            parameters=None if isinstance(self._bus, LocalBus) else settings.data_dir / "parameters",
        )
        self._owner = Owner(who, parts, pending_bytes=settings.pending_records_mb * MIB)
        self._owner.containers = self._fleet
        self._desk = None if self._peers is None else self._lend(self._peers, actions)
        handlers = {
            "pull": self._pull,
            "flush": self._flush,
            "cancel": self._cancel,
            "trace": self._trace,
            "usage": self._usage,
            SPOOL: self._take_spool,
        }
        self._door = Door(settings.door_socket, token, handlers)
        if self._peers is not None:
            self._peers.knocked = FarDoor(self._door, settings.id, self._peers.credentials).take
        self._enabled = True
        self._sweeper = Sweeper(self._sink, self._is_live, settings.orphan_ttl_s, loop)
        self._ping: asyncio.TimerHandle | None = None
        self._stuck_check: asyncio.TimerHandle | None = None
        self._doubts = 0
        self._next_urgent = 0.0

    def _lend(self, peers: Peers, actions: Actions) -> Desk:
        """Have firings executed on other hosts, and theirs here."""
        from invoker_ext.lending.desk import Desk
        from invoker_ext.lending.hosts import Hosts
        from invoker_ext.lending.lives import next_life

        me = self._settings.id
        life = next_life(self._settings.data_dir, me, self._entities, time.time_ns() // 1_000_000)
        hosts = Hosts(me, life)
        desk = Desk(hosts, self._fleet, peers, self._sink, actions, ttl_s=self._settings.orphan_ttl_s)
        self._owner.lend(desk.borrower)
        return desk

    def _is_live(self, run: str) -> bool:
        return self._owner.is_live(run) or (self._desk is not None and self._desk.lender.holds(run))

    async def start(self) -> None:
        """Start; returns when runs are taken."""
        await self._fleet.open()
        if self._peers is not None:
            await self._peers.start()
            if self._settings.bus and not self._settings.server_dir:  # its controllers are on other hosts
                self._who.door = far(self._peers.address)
        await self._bus.start()
        if self._desk is not None:
            self._desk.start()
            self._bus.subscribe("health", self._hear_ping)
        self._owner.recover(self._journal.recover())
        await self._door.start()
        self._owner.listen()
        self._sweeper.start()
        self._send_ping()

    async def stop(self) -> None:
        """Drain, then let go of everything."""
        self._enabled = False
        self._sweeper.stop()
        for timer in (self._ping, self._stuck_check):
            if timer is not None:
                timer.cancel()
        self._send_ping(again=False)
        within_s = self._settings.drain_s
        lent = [] if self._desk is None else [self._desk.lender.drain(within_s)]
        await asyncio.gather(self._owner.drain(within_s), *lent)
        self._owner.halt()
        await self._functions.close()
        await self._door.close()
        if self._messenger is not None:
            await self._messenger.close()
        if self._desk is not None:
            await self._desk.close()
        await self._fleet.close()
        await self._owner.close()
        self._spools.close()
        await self._bus.close()
        if self._peers is not None:
            await self._peers.close()
        self._sink.close()
        self._entities.close()
        self._activations.close()

    def _send_ping(self, *, again: bool = True) -> None:
        who = self._id
        if self._desk is not None and self._peers is not None:
            who = replace(who, tags=(*who.tags, self._desk.tag(self._peers.address)))
        self._bus.publish("health", Message(PingMessage(who, self._enabled).encode()))
        if again:
            self._ping = self._loop.call_later(PING_S, self._send_ping)

    def _hear_ping(self, message: Message) -> None:
        self._bus.commit("health", message.offset)
        if self._desk is not None:
            self._desk.pinged(message.payload)

    def _stuck(self, stuck: Stuck) -> None:
        """Producers wait for room that only consumers can make: give those slots; look again until it is over."""
        self._fleet.sink_blocked([owner.rpartition("/")[2] for owner in stuck.owners])
        if self._stuck_check is None:
            self._stuck_check = self._loop.call_later(STUCK_S, self._check_stuck)
        if stuck.urgent and self._loop.time() >= self._next_urgent:
            # Not from inside the call that brought the datum; then time for what the run held to be let go of.
            self._next_urgent = self._loop.time() + STUCK_S
            self._loop.call_soon(self._relieve)

    def _relieve(self) -> None:
        """End a run whose small data go far beyond the budget: those come unasked, so nothing else holds them up."""
        stuck = self._sink.stuck()
        if stuck is not None and stuck.urgent:
            self._make_room(stuck)

    def _check_stuck(self) -> None:
        # The next look is set first: what follows may call `_stuck`, which must not set another.
        self._stuck_check = self._loop.call_later(STUCK_S, self._check_stuck)
        stuck = self._sink.stuck()
        if stuck is None:
            self._stuck_check.cancel()
            self._stuck_check = None
            self._doubts = 0
            self._fleet.sink_blocked(())
            return
        if self._desk is not None and self._owner.squeeze():
            return
        progress = self._fleet.progress()
        self._doubts = self._doubts + 1 if progress is Progress.DOUBTFUL else 0
        if progress is Progress.NONE or self._doubts * STUCK_S >= DOUBT_S:
            self._doubts = 0
            self._make_room(stuck)

    def _make_room(self, stuck: Stuck) -> None:
        """Fail the youngest run of those stuck; if none is left, those who wait are over: nobody needs it."""
        run = self._owner.fail_youngest(stuck.owners, NO_ROOM.format(stuck.reason))
        _log.warning("run failed for want of room in the sink", extra={"run": run, "reason": stuck.reason})
        for owner in set(stuck.owners):
            if run in (None, owner.rpartition("/")[2]):
                self._sink.refuse_waiting(owner, stuck.reason)

    # -- calls at the door -------------------------------------------------------------------------

    async def _pull(self, fields: dict[str, Any]) -> tuple[dict[str, Any], Body | None]:
        name = fields.get("name")
        result = await self._owner.result(name) if isinstance(name, str) else None
        if result is None:
            raise NotHeld(name)
        return {}, BytesBody(result)

    async def _take_spool(self, fields: dict[str, Any]) -> tuple[dict[str, Any], Body | None]:
        name, content = fields.get("name"), fields.get("payload")
        if isinstance(name, str) and content:
            self._spools.came(name, content)
        return {}, None

    async def _flush(self, fields: dict[str, Any]) -> tuple[dict[str, Any], Body | None]:
        try:
            await asyncio.wait_for(self._owner.settle(), SETTLE_S)
        except TimeoutError as error:
            raise StillPending from error
        return {}, None

    async def _cancel(self, fields: dict[str, Any]) -> tuple[dict[str, Any], Body | None]:
        return {"outcome": self._owner.cancel(*_run_of(fields))}, None

    async def _trace(self, fields: dict[str, Any]) -> tuple[dict[str, Any], Body | None]:
        return {"trace": self._owner.trace(*_run_of(fields))}, None

    async def _usage(self, fields: dict[str, Any]) -> tuple[dict[str, Any], Body | None]:
        usage = {
            "name": self._who.topic,
            "runs": self._owner.active,
            "sink": asdict(self._sink.usage),
            "spare_bytes": self._sink.spare_bytes,
            "pool": self._fleet.snapshot(),
        }
        if self._desk is not None and self._peers is not None:
            lent = {"known": len(self._desk.hosts), "runs": self._desk.lender.runs}
            usage["peers"] = {**lent, "offers": self._peers.offers, "pulled_bytes": self._peers.pulled_bytes}
        return usage, None


class StillPending(DataflowError):
    """Records wait for a store that is away."""

    code = "records-pending"
    retryable = True

    def __init__(self) -> None:
        super().__init__("the store has not taken all records yet")


async def serve(settings: Settings, token: str) -> None:
    """Run an invoker until SIGTERM or SIGINT.

    Args:
        settings: Of this process.
        token: The installation's secret.
    """
    app = InvokerApp(settings, token)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        await app.start()
        _log.info("invoker ready", extra={"invoker": settings.id})
        if settings.ready_fd >= 0:
            os.write(settings.ready_fd, b"ready invoker%d\n" % settings.id)
            os.close(settings.ready_fd)
        await stop.wait()
    finally:
        await app.stop()
        _log.info("invoker stopped", extra={"invoker": settings.id})


def _bus(settings: Settings, token: str, topic: str) -> Bus:
    address = kafka_address(settings.bus)
    if address is None:
        return LocalBus(settings.bus_socket, token=token, role=Role.INVOKER)
    # Imported only where it is used: the embedded server does without the library.
    from invoker_ext.buses.kafka.bus import KafkaBus

    # Its topic is there before its first ping: controllers post to who has pinged.
    return KafkaBus(address, topics=(topic, "health"))


def _peers(settings: Settings, sink: Sink) -> Peers | None:
    if not settings.peer_listen:
        return None
    # Imported only where it is used: a server of one host does without.
    from invoker_ext.peers.peers import Peers

    return Peers(settings.id, settings.peer_address, settings.credentials(), sink, settings.peer_bounds)


def _run_of(fields: dict[str, Any]) -> tuple[str, str]:
    """Return id and namespace of the run that a call names; one without a namespace names none."""
    return str(fields.get("id")), str(fields.get("namespace"))


def _sink_settings(settings: Settings) -> SinkSettings:
    budget_mb = settings.sink_mb or machine_memory_mb() // _SINK_SHARE
    spill_mb = settings.spill_mb or budget_mb * _SPILL_FACTOR
    limits = Limits(budget_bytes=budget_mb * MIB, segments=_SEGMENTS, spill_bytes=spill_mb * MIB)
    spare = min(settings.spare_mb, budget_mb // 4) * MIB
    return SinkSettings(limits=limits, spare_bytes=spare, spill_folder=settings.spill_dir)


def _pool_limits(settings: Settings, memory_mb: int) -> PoolLimits:
    return PoolLimits(
        memory_mb=memory_mb,
        cores=len(os.sched_getaffinity(0)),
        keep_alive_s=settings.keep_alive_s,
        pressure=settings.pressure,
        stem_cells=stem_cells(settings),
    )
