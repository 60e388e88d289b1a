"""`dataflower invoker`: one invoker of a deployment on several hosts, and whether those of this host answer.

An invoker whose number nobody chose takes a *slot*, the first folder `slotN` below the data directory that no other has
locked; what an earlier life left in it, above all accepted runs, is then its own. Its number belongs to the slot. So
any number of invokers can be started with the same settings, also by a container engine that gives all the same folder.
"""

from __future__ import annotations

import os
import secrets
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from controller_ext import launch
from controller_ext.settings import default_data_dir
from controller_ext.standalone.datadir import CannotStart, DirectoryInUse, DirectoryLock, folders
from controller_ext.standalone.heap import HEAP
from controller_ext.standalone.neighbours import complete, keep_secret
from controller_ext.standalone.numbers import claim
from controller_ext.standalone.processes import linux_only
from controller_ext.standalone.services import check_bus, check_store, missing_settings
from invoker_ext.contract.settings import SettingsError
from invoker_ext.door.client import DoorClient
from invoker_ext.door.errors import CallFailed, PeerUnreachable
from invoker_ext.door.hello import NotAllowed, Role, read_token
from invoker_ext.settings import PREFIX, Settings
from invoker_ext.store import EntityStore
from invoker_ext.stores.opening import open_entities

AUTO: Final = "auto"
CHECK_S: Final = 5.0
_SLOT: Final = "slot"
_SLOTS: Final = 1000
_HOST: Final = "host"
"""File with the name of the host, or container, whose invoker uses a data directory."""


def run(data_dir: Path | None, given: Mapping[str, str]) -> int:
    """Become an invoker: its program takes the place of this one. Returns only if it cannot.

    Args:
        data_dir: None: as the environment says, else one beside that of the embedded server.
        given: The environment, with what the command line says instead.

    Raises:
        CannotStart: Directory, settings or platform do not allow it, or Kafka or CouchDB are not there.
    """
    linux_only()
    environ = complete({**given, PREFIX + "DATA_DIR": str(home(data_dir, given))}, PREFIX)
    chosen = environ.pop(PREFIX + "ID", AUTO) or AUTO
    settings = _settings(environ if chosen == AUTO else {**environ, PREFIX + "ID": chosen})
    check_bus(settings.bus, PREFIX + "BUS")
    check_store(settings, PREFIX + "STORE_URL")
    directory = settings.data_dir
    if chosen == AUTO:
        directory, lock = _free_slot(directory)
    else:
        lock = DirectoryLock(directory)
    folders(directory)
    store, now_ms = open_entities(settings, directory, follow=False), int(time.time() * 1000)
    try:
        if chosen == AUTO:
            chosen = str(_number(store, directory, now_ms))
        keep_secret(environ, PREFIX, directory, store, now_ms)
        (directory / _HOST).write_text(socket.gethostname())
    except OSError as error:
        raise CannotStart(f"cannot write to {directory}: {error.strerror}") from error
    finally:
        store.close()
    lock.keep()
    launch.lift_open_files()
    ready = os.dup(sys.stdout.fileno())
    os.set_inheritable(ready, True)
    environ |= {PREFIX + "DATA_DIR": str(directory), PREFIX + "ID": chosen, PREFIX + "READY_FD": str(ready)}
    argv = launch.command("invoker_ext")
    os.execve(argv[0], argv, launch.environment(HEAP | environ))


def check(data_dir: Path | None, given: Mapping[str, str]) -> int:
    """Say whether all invokers of a data directory that this host runs answer; there must be one.

    Args:
        data_dir: As for `run`.
        given: As for `run`.

    Raises:
        CannotStart: None answers, or one is there and does not.
    """
    directory = home(data_dir, given)
    answering = [name for one in _of_this_host(directory) if (name := _answer(one)) is not None]
    if not answering:
        raise CannotStart(f"no invoker of this host answers below {directory}")
    sys.stdout.write("".join(f"{name} answers\n" for name in answering))
    return 0


def home(data_dir: Path | None, given: Mapping[str, str]) -> Path:
    """Return the data directory, in which slots may lie."""
    named = data_dir or given.get(PREFIX + "DATA_DIR")
    return (Path(named) if named else default_data_dir(given).with_name("dataflower-invoker")).absolute()


def _settings(environ: dict[str, str]) -> Settings:
    """Return the settings; all that is wrong with them is told together."""
    problems = missing_settings(PREFIX, environ)
    longest = {**environ, PREFIX + "DATA_DIR": f"{environ[PREFIX + 'DATA_DIR']}/{_SLOT}{_SLOTS}"}
    try:
        Settings.from_env(longest)
    except SettingsError as error:
        raise CannotStart(str(SettingsError(error.problems + problems))) from error
    if problems:
        raise CannotStart(str(SettingsError(problems)))
    return Settings.from_env(environ)


def _free_slot(directory: Path) -> tuple[Path, DirectoryLock]:
    for number in range(_SLOTS):
        slot = directory / f"{_SLOT}{number}"
        try:
            return slot, DirectoryLock(slot)
        except DirectoryInUse:
            continue
    raise CannotStart(f"{_SLOTS} invokers run on {directory}; choose another directory with --data-dir")


def _number(store: EntityStore, slot: Path, now_ms: int) -> int:
    """Return the number of a slot; it keeps the one it has."""
    owner, number = slot / "owner", slot / "number"
    if not owner.exists():
        _write(owner, secrets.token_hex(16))
    before = int(number.read_text()) if number.exists() else None
    claimed = claim(store, owner.read_text(), before, now_ms)
    if claimed != before:
        _write(number, str(claimed))
    return claimed


def _write(file: Path, text: str) -> None:
    """Write a file that is whole or not there."""
    draft = file.with_suffix(".new")
    draft.write_text(text)
    draft.replace(file)


def _of_this_host(directory: Path) -> Iterator[Path]:
    for one in (directory, *sorted(directory.glob(f"{_SLOT}*"))):
        file = one / _HOST
        if file.exists() and file.read_text() == socket.gethostname():
            yield one


def _answer(directory: Path) -> str | None:
    """Return what is said of an invoker; None: it does not run."""
    socket_file = directory / "run" / "invoker.sock"
    try:
        client = DoorClient(socket_file, role=Role.TOOL, token=read_token(directory / "run" / "token"))
    except NotAllowed:
        return None
    try:
        usage = client.call("usage", CHECK_S)
    except PeerUnreachable as error:
        if isinstance(error.__cause__, FileNotFoundError | ConnectionRefusedError):
            return None
        raise CannotStart(f"the invoker in {directory} does not answer: {error}") from error
    except CallFailed as error:
        raise CannotStart(f"the invoker in {directory} does not answer: {error}") from error
    finally:
        client.close()
    sink = usage["sink"]
    held = sink["inline_bytes"] + sink["segment_bytes"] + sink["spilled_bytes"]
    return f"{directory.name}, {usage['runs']} runs, {held} bytes of data,"
