"""`dataflower controller`: workers and balancer of a deployment on several hosts."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from controller_ext import launch
from controller_ext.runs.keys import open_keys
from controller_ext.settings import PREFIX, Settings, default_data_dir
from controller_ext.standalone.datadir import CannotStart, DirectoryLock, folders, listen
from controller_ext.standalone.heap import HEAP
from controller_ext.standalone.neighbours import SECRET_FILE, complete, keep_secret
from controller_ext.standalone.processes import controller_plans, linux_only, supervise, url_of
from controller_ext.standalone.services import check_bus, check_store, missing_settings
from invoker_ext import logs
from invoker_ext.contract.kinds import DEFAULT_IMAGES, written
from invoker_ext.contract.settings import SettingsError
from invoker_ext.stores.opening import open_entities

START_S: Final = 60.0
"""Bound of the start: Kafka may take half of it until it has made topics."""


def run(host: str, port: int, data_dir: Path | None, given: Mapping[str, str]) -> int:
    """Run a controller until SIGTERM or SIGINT.

    Args:
        host: Address to listen on.
        port: 0: any free one.
        data_dir: None: as the environment says, else one beside that of the embedded server.
        given: The environment, with what the command line says instead.

    Returns:
        The exit code.

    Raises:
        CannotStart: Port, directory, settings or platform do not allow it, or Kafka or CouchDB are not there.
        ServerFailed: A process does not stay up, or does not get ready.
    """
    linux_only()
    settings = _settings(given, data_dir)
    launch.lift_open_files()
    lock = DirectoryLock(settings.data_dir)
    try:
        with listen(host, port) as bound:
            check_bus(settings.bus, PREFIX + "BUS")
            check_store(settings, PREFIX + "STORE_URL")
            url = url_of(host, bound.getsockname()[1])
            settings = replace(settings, listen=f"fd://{bound.fileno()}")
            if PREFIX + "API_HOST" not in given:
                settings = replace(settings, api_host=url)
            logs.configure("supervisor", settings.log_level)
            folders(settings.data_dir, "spool")
            open_keys(settings).close()  # a file, if it is one, is made before workers come
            settings = replace(settings, peer_secret_file=_peer_secret_file(settings))
            common = {name: value for name, value in launch.environment(given).items() if not name.startswith(PREFIX)}
            plans = controller_plans(settings, HEAP | common, (bound.fileno(),))
            asyncio.run(supervise(plans, None, _at_once, f"ready {url}", START_S))
    finally:
        lock.release()
    return 0


def _settings(given: Mapping[str, str], data_dir: Path | None) -> Settings:
    """Return the settings; all that is wrong with them is told together."""
    environ = dict(given)
    named = data_dir or given.get(PREFIX + "DATA_DIR")
    directory = Path(named) if named else default_data_dir(given).with_name("dataflower-controller")
    environ[PREFIX + "DATA_DIR"] = str(directory.absolute())
    environ[PREFIX + "KINDS"] = given.get(PREFIX + "KINDS") or written(DEFAULT_IMAGES)
    environ.setdefault(PREFIX + "LOCAL_INVOKERS", "0")
    environ = complete(environ, PREFIX)
    problems = missing_settings(PREFIX, environ)
    try:
        settings = Settings.from_env(environ)
    except SettingsError as error:
        raise CannotStart(str(SettingsError(error.problems + problems))) from error
    if problems:
        raise CannotStart(str(SettingsError(problems)))
    return settings


def _peer_secret_file(settings: Settings) -> str:
    """Return the file with the secret of all hosts, written anew if the store holds it; empty: there is none."""
    environ = {PREFIX + "PEER_SECRET_FILE": settings.peer_secret_file}
    if settings.peer_secret_file == SECRET_FILE:
        store = open_entities(settings, settings.data_dir, follow=False)
        try:
            keep_secret(environ, PREFIX, settings.data_dir, store, int(time.time() * 1000))
        finally:
            store.close()
    return environ[PREFIX + "PEER_SECRET_FILE"]


async def _at_once() -> None:
    """Be usable without an invoker: those of other hosts come and go."""
