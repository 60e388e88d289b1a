"""Starts containers with a Docker engine, as stock's invoker does.

Blocking calls of the SDK run on named threads: `docker-call` for starts and removals, `docker-prompt` for pausing and
resuming, `docker-events` for what happens to containers, `docker-output-…` for what stock runtimes print.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import shutil
import threading
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from invoker_ext.containers.driver import ContainerSpec, Driver, DriverUnavailable, Exit, UnknownKind
from invoker_ext.containers.drivers.docker.engine import Engine, EngineFailure, Events, ImageNotPulled
from invoker_ext.containers.drivers.docker.flags import House, is_latest
from invoker_ext.containers.drivers.docker.handle import DockerHandle, Image, Yard
from invoker_ext.contract.kinds import NODEJS, family

_log = logging.getLogger(__name__)

BLACKBOX: Final = "blackbox"
_CALLS: Final = 10
"""Starts and removals at a time. Source: stock's bound of parallel `docker run`."""
_PROMPT_CALLS: Final = 4
_CLOSE_S: Final = 30.0
_LISTEN_AGAIN_S: Final = 1.0
_NAMED: Final = "named "
"""Begins the runtime of an image that an action names."""


@dataclass(slots=True, frozen=True, kw_only=True)
class DockerSettings:
    """How the driver works.

    Attributes:
        images: Kind → reference of its image.
        network: Of all containers.
        memory_mb: Of all containers together.
        pause_grace_s: After so long without work a container is paused; 0: never.
    """

    images: Mapping[str, str]
    network: str = "bridge"
    memory_mb: int = 1024
    pause_grace_s: float = 10.0


class DockerDriver(Driver):
    """See Driver.

    Deviates: containers of stock images outlive an invoker that is killed, until its next start (as in stock).

    Args:
        home: Folder of the invoker; keeps its identity, and what it shares with its containers.
        settings: How.
    """

    def __init__(self, home: Path, settings: DockerSettings) -> None:
        self._home = home
        self._settings = settings
        self._calls = ThreadPoolExecutor(_CALLS, "docker-call")
        self._prompt = ThreadPoolExecutor(_PROMPT_CALLS, "docker-prompt")
        self._images: dict[str, Image] = {}
        self._shared: set[str] = set()
        self._pulls: dict[str, asyncio.Future[None]] = {}
        self._yard: Yard | None = None
        self._handles: set[DockerHandle] = set()
        self._listener: threading.Thread | None = None
        self._stream: Events | None = None
        self._closed = threading.Event()

    async def open(self) -> None:
        """See Driver."""
        loop = asyncio.get_running_loop()
        self._home.mkdir(parents=True, exist_ok=True)
        instance, folders = self._instance(), self._home / "shared"
        shutil.rmtree(folders, ignore_errors=True)
        folders.mkdir(mode=0o700)
        settings = self._settings
        try:
            engine = await self._call(Engine)
        except EngineFailure as error:
            raise DriverUnavailable(f"{error}. Start the engine, or name another in DOCKER_HOST.") from error
        self._yard = Yard(
            loop=loop,
            engine=engine,
            call=self._call,
            promptly=self._promptly,
            pull=self._pull,
            house=House(
                instance=instance,
                network=settings.network,
                memory_mb=settings.memory_mb,
            ),
            folders=folders,
            pause_grace_s=settings.pause_grace_s or None,
        )
        try:
            await self._remove_orphans(engine, instance)
            await self._find_images(engine)
        except EngineFailure as error:
            raise DriverUnavailable(str(error)) from error
        self._listener = threading.Thread(target=self._listen, args=(self._yard,), name="docker-events", daemon=True)
        self._listener.start()

    @property
    def kinds(self) -> tuple[str, ...]:
        """See Driver."""
        return tuple(self._images)

    def runtime_of(self, kind: str, image: str | None = None) -> str:
        """See Driver."""
        if kind == BLACKBOX and image:
            return _NAMED + image
        found = self._images.get(kind)
        if found is None:
            raise UnknownKind(kind, self.kinds)
        return found.reference

    def shares(self, runtime: str) -> bool:
        """See Driver: stock's image of node does, if its environment says that it may."""
        return runtime in self._shared

    def start(self, spec: ContainerSpec, gone: Callable[[Exit], None]) -> DockerHandle:
        """See Driver."""
        if self._yard is None or self._closed.is_set():
            raise OSError("the driver is not open")
        if spec.runtime.startswith(_NAMED):
            image = Image(spec.runtime.removeprefix(_NAMED), named=True)
        else:
            image = next(one for one in self._images.values() if one.reference == spec.runtime)
            if self.shares(spec.runtime):
                spec = replace(spec, environment={**spec.environment, "__OW_ALLOW_CONCURRENT": "true"})
        handle = DockerHandle(self._yard, spec, image, gone)
        self._handles.add(handle)
        handle.life.add_done_callback(lambda _: self._handles.discard(handle))
        return handle

    async def close(self) -> None:
        """See Driver."""
        if self._closed.is_set():
            return
        self._closed.set()
        for handle in list(self._handles):
            handle.kill()
        lives = [handle.life for handle in self._handles]
        if lives:
            _, late = await asyncio.wait(lives, timeout=_CLOSE_S)
            if late:
                _log.warning("containers did not end in time", extra={"containers": len(late)})
            for life in late:
                life.cancel()
        await asyncio.get_running_loop().run_in_executor(None, self._let_go)

    def _let_go(self) -> None:
        """End all threads; blocks."""
        if self._stream is not None:
            self._stream.end()
        if self._listener is not None:
            self._listener.join(_LISTEN_AGAIN_S * 2)
        for threads in (self._calls, self._prompt):
            threads.shutdown(cancel_futures=True)
        if self._yard is not None:
            self._yard.engine.close()

    # -- threads ----------------------------------------------------------------------------------

    def _call(self, function: Callable[..., Any], *arguments: Any) -> Awaitable[Any]:
        return asyncio.get_running_loop().run_in_executor(self._calls, function, *arguments)

    def _promptly(self, function: Callable[..., Any], *arguments: Any) -> Awaitable[Any]:
        return asyncio.get_running_loop().run_in_executor(self._prompt, function, *arguments)

    # -- at the start -----------------------------------------------------------------------------

    def _instance(self) -> str:
        """Return the name under which the engine knows this invoker in all its lives."""
        file = self._home / "instance"
        if not file.exists():
            draft = file.with_suffix(".new")
            draft.write_text(secrets.token_hex(8))
            draft.replace(file)
        return file.read_text()

    async def _remove_orphans(self, engine: Engine, instance: str) -> None:
        """Remove what an earlier life of this invoker left, and nothing else."""
        left = await self._call(engine.of_instance, instance)
        await asyncio.gather(*(self._call(engine.remove, one) for one in left))
        if left:
            _log.info("containers of an earlier life removed", extra={"containers": len(left)})

    async def _find_images(self, engine: Engine) -> None:
        """See which images are here; as in stock they are not pulled.

        Raises:
            DriverUnavailable: There is none.
        """
        references = sorted(set(self._settings.images.values()))
        runtimes = await asyncio.gather(*(self._call(engine.runtime_of, one) for one in references))
        found = dict(zip(references, runtimes, strict=True))
        for kind, reference in self._settings.images.items():
            runtime = found[reference]
            if runtime is not None:
                self._images[kind] = Image(reference, relayed=bool(runtime))
                if family(kind) == NODEJS:
                    self._shared.add(reference)
        missing = [reference for reference in references if found[reference] is None]
        if missing:
            _log.warning("images are not here: pull or build them", extra={"images": ", ".join(missing)})
        if not self._images:
            raise DriverUnavailable(f"The Docker engine has no image of any kind; pull or build {', '.join(missing)}.")

    # -- images that actions name -----------------------------------------------------------------

    async def _pull(self, image: str) -> None:
        """Get an image; those who ask for the same one meanwhile wait with the first.

        Raises:
            ImageNotPulled: It cannot be had; one with a version that is here already is good enough, as in stock.
        """
        pull = self._pulls.get(image)
        if pull is None:
            pull = self._pulls[image] = asyncio.ensure_future(self._pull_once(image))
            pull.add_done_callback(lambda _: self._pulls.pop(image, None))
        await asyncio.shield(pull)

    async def _pull_once(self, image: str) -> None:
        assert self._yard is not None, "images are pulled after `open` only"
        engine = self._yard.engine
        try:
            await self._call(engine.pull, image)
        except ImageNotPulled:
            if is_latest(image) or await self._call(engine.runtime_of, image) is None:
                raise

    # -- what happens to containers ---------------------------------------------------------------

    def _listen(self, yard: Yard) -> None:
        """Pass on deaths until the driver is closed. Runs on a thread of its own."""
        instance = yard.house.instance
        while not self._closed.is_set():
            try:
                with closing(yard.engine.events(instance)) as self._stream:
                    if self._closed.is_set():  # before there was a stream to end
                        break
                    running = frozenset(yard.engine.of_instance(instance, running=True))
                    yard.loop.call_soon_threadsafe(self._compare, running)
                    for number, what in self._stream:
                        yard.loop.call_soon_threadsafe(self._heard, number, what)
            except EngineFailure as error:
                if not self._closed.is_set():
                    _log.warning("no events from the Docker engine", extra={"reason": str(error)})
            self._closed.wait(_LISTEN_AGAIN_S)

    def _heard(self, number: str, what: str) -> None:
        handle = self._yard.known.get(number) if self._yard is not None else None
        if handle is not None:
            (handle.starved if what == "oom" else handle.died)()

    def _compare(self, running: frozenset[str]) -> None:
        """Look at those that were started and do not seem to run: their deaths may have been missed."""
        for number, handle in self._yard.known.items() if self._yard is not None else ():
            if handle.started and number not in running:
                handle.check()
