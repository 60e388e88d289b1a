"""The data directory: made, locked, given a token, the stock users and the built-in packages."""

from __future__ import annotations

import fcntl
import os
import secrets
import socket
import time
from pathlib import Path
from typing import Final

from action_runtime.wire.errors import Blame, DataflowError
from controller_ext.builtins.install import install
from controller_ext.runs.keys import open_keys
from controller_ext.settings import Settings
from invoker_ext.stores.opening import open_activations, open_entities, place_of
from invoker_ext.stores.settings import StoreSettings
from invoker_ext.stores.subjects import seed_subjects

_BACKLOG: Final = 2048


class CannotStart(DataflowError):
    """The server cannot be started as asked; the text says what to change."""

    code = "cannot-start"
    blame = Blame.CALLER


class DirectoryInUse(CannotStart):
    """Another server runs on the data directory."""

    code = "directory-in-use"


class DirectoryLock:
    """Held as long as a server runs on the directory; the kernel lets go of it with the process."""

    def __init__(self, data_dir: Path) -> None:
        """Make the directory, closed to others, and lock it.

        Raises:
            DirectoryInUse: Another server runs on it.
            CannotStart: It cannot be made or written, or holds what is not a server's.
        """
        try:
            data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not (data_dir / "lock").exists() and any(data_dir.iterdir()):
                raise CannotStart(f"{data_dir} holds other files; name an empty or a new directory with --data-dir")
            data_dir.chmod(0o700)
            self._descriptor = os.open(data_dir / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise CannotStart(
                f"cannot use {data_dir} as data directory ({error.strerror}); choose another with --data-dir"
            ) from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._descriptor)
            raise DirectoryInUse(
                f"another server runs on {data_dir}; stop it, or choose another directory with --data-dir"
            ) from error

    def keep(self) -> None:
        """Hold it for the program that takes the place of this one in its process, too."""
        os.set_inheritable(self._descriptor, True)

    def release(self) -> None:
        """Let others in; idempotent."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


def prepare(settings: Settings) -> None:
    """Fill a locked data directory with what the processes of an embedded server expect.

    Raises:
        CannotStart: The disk is full or the directory cannot be written.
        StoreUnavailable: A database cannot be opened.
        SettingsError: The store is not set up rightly.
    """
    folders(settings.data_dir, "spool", "log")
    for folder in settings.invoker_dirs[1:]:
        _own_folder(folder)
    # All files are made here, so that no two processes make them at once.
    fill(settings, settings.data_dir)
    open_keys(settings).close()


def _own_folder(data_dir: Path) -> None:
    """Make the data directory of an invoker beyond the first; all but its own state is the server's."""
    run_dir = data_dir / "run"
    try:
        run_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        for left in run_dir.glob("*.sock"):
            left.unlink()
    except OSError as error:
        raise CannotStart(f"cannot write to {data_dir}: {error.strerror}") from error


def folders(data_dir: Path, *more: str) -> None:
    """Make what every process expects of a locked data directory: a token, no sockets of an earlier life, folders.

    Raises:
        CannotStart: The disk is full or the directory cannot be written.
    """
    run_dir = data_dir / "run"
    token_file = run_dir / "token"
    try:
        for directory in (run_dir, *(data_dir / name for name in more)):
            directory.mkdir(mode=0o700, exist_ok=True)
        for left in run_dir.glob("*.sock"):
            left.unlink()
        # A new token for each start: what still runs of an earlier server is kept out.
        token_file.unlink(missing_ok=True)
        descriptor = os.open(token_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_hex(32))
    except OSError as error:
        raise CannotStart(f"cannot write to {data_dir}: {error.strerror}") from error


def fill(store: StoreSettings, data_dir: Path) -> None:
    """Make databases, the stock users and the built-in packages, as far as they are missing.

    Raises:
        StoreUnavailable: Perhaps a part was made.
        SettingsError: The store is not set up rightly.
    """
    place = place_of(store)
    if place is not None:
        place.set_up()
    entities = open_entities(store, data_dir, follow=False)
    try:
        seed_subjects(entities)
        install(entities, int(time.time() * 1000))
    finally:
        entities.close()
    open_activations(store, data_dir).close()


def listen(host: str, port: int) -> socket.socket:
    """Return the socket on which all workers accept; it outlives their restarts.

    Raises:
        CannotStart: The address is in use, or not one of this machine.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        bound = socket.socket(family, socket.SOCK_STREAM)
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind((host, port))
            bound.listen(_BACKLOG)
        except OSError:
            bound.close()
            raise
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise CannotStart(f"cannot listen on {host}:{port} ({reason}); choose another with --host, --port") from error
    return bound
