"""One container of the engine, from its start until nothing of it is left."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

from invoker_ext.containers.driver import ContainerSpec, Exit, Handle
from invoker_ext.containers.drivers.docker.engine import PULL_S, Engine, EngineFailure, ImageNotPulled, NothingToRun
from invoker_ext.containers.drivers.docker.flags import House, creation
from invoker_ext.containers.drivers.docker.folder import SharedFolder
from invoker_ext.containers.drivers.docker.printed import Printed

_log = logging.getLogger(__name__)

PORT: Final = 8080
"""Where stock runtimes listen."""
NOT_PROVISIONED: Final = "Failed to provision resources to run the action."
"""Stock's text when the engine starts no container; the log says why."""
_KILLED: Final = 137
_ENDING_S: Final = 2.0
"""How long is waited for the end of a container that seems to be ending, and for the kernel's word that it was for
want of memory. Source: stock."""
_SAID_S: Final = 1.0
_LAST_OUTPUT_S: Final = 2.0
_REMOVALS_S: Final = (0.0, 0.5, 2.0, 5.0)
"""Waits before the attempts to remove a container; one that outlasts them is removed by the next start."""


@dataclass(slots=True, frozen=True)
class Image:
    """What a container is made of.

    Attributes:
        reference: Its name.
        relayed: It speaks to the relay.
        named: By the action: it is pulled before each start, as in stock.
    """

    reference: str
    relayed: bool = False
    named: bool = False


class Call(Protocol):
    """Makes a blocking call on a thread."""

    def __call__(self, function: Callable[..., Any], *arguments: Any) -> Awaitable[Any]:
        """Return what it returned; raises what it raised."""


@dataclass(slots=True, kw_only=True)
class Yard:
    """What all containers of the driver use.

    Attributes:
        loop: The invoker's.
        engine: Their engine.
        call: For what may take long.
        promptly: For what is waited for: it never stands behind a start.
        pull: Pulls an image, once however many ask.
        house: Of all creations.
        folders: Where the shared folders are made.
        pause_grace_s: None: nothing is paused.
        known: By the engine's ids, those that exist.
    """

    loop: asyncio.AbstractEventLoop
    engine: Engine
    call: Call
    promptly: Call
    pull: Callable[[str], Awaitable[None]]
    house: House
    folders: Path
    pause_grace_s: float | None
    known: dict[str, DockerHandle] = field(default_factory=dict)


class DockerHandle(Handle):
    """See Handle. Used on the loop.

    Raises:
        OSError: The host has no room for it.
    """

    def __init__(self, yard: Yard, spec: ContainerSpec, image: Image, gone: Callable[[Exit], None]) -> None:
        self.started = False
        """The engine has started it: one that does not run any more has ended."""
        self._yard = yard
        self._spec = spec
        self._image = image
        self._gone = gone
        self._number = ""
        self._folder: SharedFolder | None = None
        self._printed: Printed | None = None
        self._session: socket.socket | None = None
        self._address: tuple[str, int] | None = None
        self._reached: Callable[[], None] | None = None
        self._over = asyncio.Event()
        self._dead = asyncio.Event()
        self._starved = asyncio.Event()
        self._killed = False
        self._pausing: asyncio.Task[bool] | None = None
        self._waking: asyncio.Task[None] | None = None
        self._checking: asyncio.Task[None] | None = None
        if image.relayed:
            self._folder = SharedFolder(yard.folders / spec.name)
            self._outputs = self._folder.outputs
        else:
            self._printed = Printed(yard.loop)
            self._outputs = self._printed.outputs
        self.life = yard.loop.create_task(self._live(), name=f"container {spec.name}")

    # -- Handle -----------------------------------------------------------------------------------

    @property
    def relayed(self) -> bool:
        """See Handle."""
        return self._image.relayed

    def when_reachable(self, call: Callable[[], None]) -> None:
        """See Handle."""
        self._reached = call

    @property
    def session(self) -> socket.socket | None:
        """See Handle."""
        return self._session

    @property
    def address(self) -> tuple[str, int] | None:
        """See Handle."""
        return self._address

    @property
    def outputs(self) -> tuple[int, int]:
        """See Handle."""
        return self._outputs

    @property
    def extra_start_s(self) -> float:
        """See Handle."""
        return PULL_S if self._image.named else 0.0

    @property
    def pause_grace_s(self) -> float | None:
        """See Handle."""
        return self._yard.pause_grace_s

    def pause(self) -> None:
        """See Handle."""
        if not self._over.is_set():
            self._pausing = self._yard.loop.create_task(self._pause())

    def resume(self, done: Callable[[bool], None]) -> None:
        """See Handle."""
        self._waking = self._yard.loop.create_task(self._resume(done))

    def kill(self, *, ending: bool = False) -> None:
        """See Handle."""
        self._killed = self._killed or not ending
        self._over.set()
        if self._killed:
            self._dead.set()

    # -- what the engine says ---------------------------------------------------------------------

    def died(self) -> None:
        """Its first process has ended."""
        self._dead.set()
        self._over.set()

    def check(self) -> None:
        """Find out whether it has ended unheard."""
        self._checking = self._yard.loop.create_task(self._check())

    def starved(self) -> None:
        """The kernel ended something in it for want of memory."""
        self._starved.set()

    # -- its life ---------------------------------------------------------------------------------

    async def _live(self) -> None:
        try:
            await self._come_up()
            await self._over.wait()
            how = await self._end()
        except ImageNotPulled as error:
            _log.warning("image not pulled", extra={"image": self._image.reference, "reason": str(error)})
            how = Exit(unpulled=self._image.reference)
        except NothingToRun as error:
            _log.warning("nothing to run", extra={"image": self._image.reference, "reason": str(error)})
            how = Exit(unrunnable=self._image.reference)
        except EngineFailure as error:
            _log.warning("container not started", extra={"container": self._spec.name, "reason": str(error)})
            how = Exit(error=NOT_PROVISIONED)
        self._over.set()
        await self._vanish()
        self._gone(how)

    async def _come_up(self) -> None:
        yard, spec, image = self._yard, self._spec, self._image
        if image.named:
            await yard.pull(image.reference)
        if self._over.is_set():
            return
        what = creation(
            yard.house,
            name=spec.name,
            image=image.reference,
            memory_mb=spec.memory_mb,
            environment=spec.environment,
            folder=None if self._folder is None else str(self._folder.path),
        )
        self._number = await yard.call(yard.engine.create, what)
        yard.known[self._number] = self
        if self._printed is not None:
            attached = await yard.call(yard.engine.attach, self._number)
            self._printed.follow(attached, f"docker-output-{spec.name}")
        if self._over.is_set():
            return
        await yard.call(yard.engine.start, self._number)
        self.started = True
        await self._find()
        if self._reached is not None and not self._over.is_set():
            self._reached()
        elif self._session is not None:
            self._session.close()

    async def _find(self) -> None:
        """Wait until the container can be spoken to, or has ended."""
        yard = self._yard
        if self._folder is None:
            seen = await yard.call(yard.engine.look, self._number, yard.house.network)
            if seen is None or not (seen.address or not seen.running):
                raise EngineFailure(f"{self._spec.name} has no address in the network {yard.house.network}")
            self._address = (seen.address, PORT)
            return
        connecting = yard.loop.create_task(_accept(yard.loop, self._folder.listener))
        ending = yard.loop.create_task(self._over.wait())
        try:
            await asyncio.wait((connecting, ending), return_when=asyncio.FIRST_COMPLETED)
        finally:
            ending.cancel()
            if not connecting.done():
                connecting.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await connecting
        if not connecting.cancelled():
            self._session = connecting.result()
        self._folder.listener.close()  # one session a container: nothing else in it may open another

    async def _end(self) -> Exit:
        """Return how it ended; one that was killed ended so."""
        if not self._number:
            return Exit()
        await _within(_ENDING_S, self._dead)  # at once if it was killed
        if self._killed:
            return Exit()
        seen = await self._yard.call(self._yard.engine.look, self._number, self._yard.house.network)
        if seen is None or seen.running:
            return Exit()
        if not seen.out_of_memory and seen.exit_code == _KILLED:
            # The kernel's word comes by another way than the death, and maybe later.
            await _within(_SAID_S, self._starved)
        return Exit(out_of_memory=seen.out_of_memory or self._starved.is_set())

    async def _vanish(self) -> None:
        """Remove all that there is of it."""
        yard = self._yard
        for wait_s in _REMOVALS_S if self._number else ():
            await asyncio.sleep(wait_s)
            try:
                await yard.call(yard.engine.remove, self._number)
                break
            except EngineFailure as error:
                _log.warning("container not removed", extra={"container": self._spec.name, "reason": str(error)})
        yard.known.pop(self._number, None)
        if self._printed is not None:
            self._printed.close()
            if not await _within(_LAST_OUTPUT_S, self._printed.silent):
                self._printed.cut()
            await self._printed.silent.wait()
        if self._folder is not None:
            self._folder.close()

    async def _check(self) -> None:
        with contextlib.suppress(EngineFailure):  # its own calls will say so
            seen = await self._yard.call(self._yard.engine.look, self._number, self._yard.house.network)
            if seen is None or not seen.running:
                self.died()

    # -- pausing ----------------------------------------------------------------------------------

    async def _pause(self) -> bool:
        try:
            await self._yard.promptly(self._yard.engine.pause, self._number)
        except EngineFailure as error:
            _log.info("container not paused", extra={"container": self._spec.name, "reason": str(error)})
            return False
        return True

    async def _resume(self, done: Callable[[bool], None]) -> None:
        awake = True
        if self._pausing is not None and await self._pausing:
            try:
                await self._yard.promptly(self._yard.engine.unpause, self._number)
            except EngineFailure as error:
                _log.warning("container not resumed", extra={"container": self._spec.name, "reason": str(error)})
                awake = False
        if not self._over.is_set():
            done(awake)


async def _accept(loop: asyncio.AbstractEventLoop, listener: socket.socket) -> socket.socket:
    connection, _ = await loop.sock_accept(listener)
    return connection


async def _within(bound_s: float, event: asyncio.Event) -> bool:
    """Wait for an event; say whether it came."""
    try:
        async with asyncio.timeout(bound_s):
            return await event.wait()
    except TimeoutError:
        return False
