"""`dataflower standalone`: what runs between the command line and the supervisor."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import fields, replace
from pathlib import Path
from typing import Final

from controller_ext import launch
from controller_ext.settings import PREFIX as CONTROLLER, Settings, default_data_dir
from controller_ext.standalone.bridge import reachable
from controller_ext.standalone.children import ChildPlan
from controller_ext.standalone.datadir import CannotStart, DirectoryLock, listen, prepare
from controller_ext.standalone.heap import HEAP
from controller_ext.standalone.processes import controller_plans, linux_only, supervise, url_of
from invoker_ext import logs
from invoker_ext.contract.kinds import IMAGE, written
from invoker_ext.contract.settings import SettingsError
from invoker_ext.door.async_client import AsyncDoorClient
from invoker_ext.door.hello import Role, read_token
from invoker_ext.interpreters import find_kinds
from invoker_ext.settings import DOCKER, PREFIX as INVOKER, Settings as InvokerSettings, machine_memory_mb
from invoker_ext.stores.settings import StoreSettings

logger = logging.getLogger(__name__)

START_S: Final = 30.0
"""Bound of the whole start; a quiet machine needs about one second."""
_INVOKER_GRACE_S: Final = 12.0
_SINK_SHARE: Final = 8
"""Of the machine's memory, an eighth is for data between steps, as for an invoker that is alone."""


def run(host: str, port: int, data_dir: Path | None, given: Mapping[str, str]) -> int:
    """Run the embedded server until SIGTERM or SIGINT.

    Args:
        host: Address to listen on.
        port: 0: any free one.
        data_dir: None: the user's own.
        given: The environment, with what the command line says instead.

    Returns:
        The exit code.

    Raises:
        CannotStart: Port, directory, settings or platform do not allow it.
        ServerFailed: A process does not stay up, or does not get ready.
        StoreUnavailable: A database cannot be opened.
    """
    linux_only()
    directory = (data_dir or default_data_dir(given)).absolute()
    settings, invoker = _settings(given, directory)
    launch.lift_open_files()
    lock = DirectoryLock(directory)
    try:
        with ExitStack() as sockets:
            bound = sockets.enter_context(listen(host, port))
            port = bound.getsockname()[1]
            url = inside = url_of(host, port)
            listening = [bound]
            logs.configure("supervisor", settings.log_level)
            if invoker.driver == DOCKER and INVOKER + "API_HOST" not in given:
                found = reachable(host, port, invoker.network)
                if found is None:
                    logger.warning("containers do not reach the API", extra={"url": url, "set": INVOKER + "API_HOST"})
                else:
                    inside = f"http://{found[0]}"
                    listening += [] if found[1] is None else [sockets.enter_context(found[1])]
            descriptors = tuple(one.fileno() for one in listening)
            where = ",".join(f"fd://{one}" for one in descriptors)
            settings = replace(settings, listen=where, kinds=_kinds(given, invoker))
            if CONTROLLER + "API_HOST" not in given:
                settings = replace(settings, api_host=url)
            prepare(settings)
            plans = _plans(settings, given, inside, descriptors)
            asyncio.run(_supervise(settings, plans, url))
    finally:
        lock.release()
    return 0


def _settings(given: Mapping[str, str], data_dir: Path) -> tuple[Settings, InvokerSettings]:
    """Return the settings of controller and invoker; they are checked together, so that all is said at once."""
    environ = {**given, CONTROLLER + "DATA_DIR": str(data_dir), INVOKER + "DATA_DIR": str(data_dir)}
    problems: list[str] = []
    settings: Settings | None = None
    invoker: InvokerSettings | None = None
    try:
        settings = Settings.from_env(environ)
    except SettingsError as error:
        problems += error.problems
    try:
        invoker = InvokerSettings.from_env(environ)
    except SettingsError as error:
        problems += error.problems
    if settings is None or invoker is None:
        # Both processes work in one directory: what is wrong with it is wrong once.
        raise CannotStart(str(SettingsError([one for one in problems if not one.startswith(INVOKER + "DATA_DIR ")])))
    if not settings.local_invokers:
        raise CannotStart(f"{CONTROLLER}LOCAL_INVOKERS: a server needs an invoker, is 0")
    return settings, invoker


def _kinds(given: Mapping[str, str], invoker: InvokerSettings) -> str:
    """Return the kinds that are offered and run, as set for either process, else those that this host can run."""
    if invoker.driver == DOCKER:
        return written({kind: IMAGE + name for kind, name in invoker.images.items()})
    return given.get(INVOKER + "KINDS") or given.get(CONTROLLER + "KINDS") or written(find_kinds())


def _plans(settings: Settings, given: Mapping[str, str], url: str, listening: tuple[int, ...]) -> list[ChildPlan]:
    """Return the processes in the order in which they are stopped.

    Args:
        settings: Of the controller.
        given: The environment.
        url: By which actions reach the API.
        listening: Sockets for the workers.
    """
    rest = {name: value for name, value in launch.environment(given).items() if not name.startswith(CONTROLLER)}
    common = HEAP | rest
    workers, balancer = controller_plans(settings, common, listening)
    invoker = {
        INVOKER + "API_HOST": url,
        INVOKER + "LOG_LEVEL": settings.log_level,
        **common,
        INVOKER + "KINDS": settings.kinds,
        # All processes of one server are on one bus and one store: the controller's.
        INVOKER + "BUS": settings.bus,
        **{INVOKER + one.name.upper(): str(getattr(settings, one.name)) for one in fields(StoreSettings)},
    }
    folders = settings.invoker_dirs
    if len(folders) > 1:
        invoker = _shared(len(folders), settings) | invoker
    invokers = [
        ChildPlan(
            name=f"invoker{number or ''}",
            argv=launch.command("invoker_ext"),
            environ={**invoker, INVOKER + "DATA_DIR": str(folder), **({INVOKER + "ID": str(number)} if number else {})},
            ready_variable=INVOKER + "READY_FD",
            ready_bytes=1,
            grace_s=_INVOKER_GRACE_S,
        )
        for number, folder in enumerate(folders)
    ]
    return [workers, *invokers, balancer]


def _shared(count: int, settings: Settings) -> dict[str, str]:
    """Return how several invokers share a machine, and how they reach each other."""
    machine_mb = machine_memory_mb()
    return {
        INVOKER + "SERVER_DIR": str(settings.data_dir),
        INVOKER + "USER_MEMORY_MB": str(machine_mb // 2 // count),
        INVOKER + "SINK_MB": str(machine_mb // _SINK_SHARE // count),
        INVOKER + "PEER_LISTEN": "127.0.0.1:0",
        INVOKER + "PEER_SECRET_FILE": str(settings.token_file),
    }


async def _supervise(settings: Settings, plans: list[ChildPlan], url: str) -> None:
    door = AsyncDoorClient(settings.door_socket, role=Role.TOOL, token=read_token(settings.token_file))

    async def usable() -> None:
        """Wait for the invokers that the balancer has heard of; the supervisor bounds the wait."""
        await door.call("invokers", START_S, usable=settings.local_invokers, wait_s=START_S)
        door.close()

    await supervise(plans, settings.data_dir / "log", usable, f"ready {url}", START_S)
