"""Settings of an invoker, read once from the environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from invoker_ext.buses.address import problem_of_bus
from invoker_ext.contract.kinds import (
    DEFAULT_IMAGES,
    images as images_of,
    problem as problem_of_kinds,
    read as read_kinds,
)
from invoker_ext.contract.manifest import Runtimes, read_runtimes
from invoker_ext.contract.settings import LEVEL, SettingsError, above, at_least, one_of, read_settings, setting
from invoker_ext.door.hello import room_for_sockets
from invoker_ext.door.settings import PeerSettings
from invoker_ext.inline.call import Bounds
from invoker_ext.peers.bounds import MIB, Bounds as PeerBounds

PREFIX: Final = "DATAFLOWER_INVOKER_"
PROCESS: Final = "process"
DOCKER: Final = "docker"
DRIVERS: Final = (PROCESS, DOCKER)


def problem_of_manifest(path: str) -> str | None:
    """Return what is wrong with the file of a manifest; no file is none."""
    try:
        read_manifest(path)
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    except ValueError as error:
        return str(error)
    return None


def read_manifest(path: str) -> Runtimes | None:
    """Return what a manifest says; None: no file is named.

    Raises:
        OSError: It cannot be read.
        ValueError: It is no manifest.
    """
    return read_runtimes(Path(path).read_text(encoding="utf-8")) if path else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(PeerSettings):
    """Each field is the variable `DATAFLOWER_INVOKER_<FIELD>`; 0 for a size means: read it off the machine."""

    data_dir: Path = setting("Directory of all state; must exist, closed to others.", check=room_for_sockets)
    server_dir: str = setting(
        "Directory of the server whose local bus and databases are used; empty: the data directory.", ""
    )
    bus: str = setting("Empty: the local bus; or `kafka://HOST:PORT,…[?NAME=VALUE&…]`.", "", problem_of_bus)
    id: int = setting("This invoker's number; its messages come on topic `invoker<ID>`.", 0, at_least(0))
    user_memory_mb: int = setting(
        "Memory for containers, the sum of their limits; 0: what the machine has.", 0, at_least(0)
    )
    sink_mb: int = setting("Memory for data between steps; 0: an eighth of the machine's.", 0, at_least(0))
    spill_mb: int = setting("Disk for data that the sink has no room for; 0: four times the sink.", 0, at_least(0))
    spare_mb: int = setting("Segments kept allocated ahead of the writers; part of the sink.", 256, at_least(0))
    outbox_mb: int = setting(
        "What a container may have emitted and not handed over yet; then `emit` waits.", 64, above(0)
    )
    kinds: str = setting(
        "Kinds of actions and who runs them, `KIND=INTERPRETER,…` (`python`: the server's own) or `KIND=image:NAME,…`; "
        "empty: those found.",
        "",
        problem_of_kinds,
    )
    driver: str = setting(
        "What containers are: `process`, of this host, or `docker`, of the engine that `DOCKER_HOST` names.",
        "process",
        one_of(*DRIVERS),
    )
    manifest: str = setting(
        "Docker: file with a runtimes manifest of stock's form, for images and stem cells; empty: by KINDS.",
        "",
        problem_of_manifest,
    )
    network: str = setting("Docker: network of all containers.", "bridge")
    pause_grace_s: float = setting(
        "Docker: a container without work is paused after this time; 0: never.", 10.0, at_least(0)
    )
    stem_cells: int = setting("Python containers kept started before anybody asks.", 2, at_least(0))
    keep_alive_s: float = setting("An idle container is removed after this time.", 600.0, above(0))
    pressure: bool = setting("Pressure-aware scaling of containers; off for comparison.", True)
    inline_time_s: float = setting(
        "Time of computing that one call of a composition's inline function may take.", 5.0, above(0)
    )
    inline_memory_mb: int = setting("Memory that such a call may take.", 128, at_least(8))
    orphan_ttl_s: float = setting(
        "Data whose run is no more are freed after this time, with a warning.", 600.0, above(0)
    )
    journal_fsync: bool = setting(
        "Force the journal to the disk: outlives a power cut, costs a disk write a run.", False
    )
    pending_records_mb: int = setting("Activation records that may wait for a store that is away.", 256, above(0))
    peer_lost_s: float = setting("An invoker that was not reached for so long is lost.", 10.0, above(0))
    peer_transfers: int = setting("Data pulled at a time from one invoker; others wait.", 4, above(0))
    peer_credit_mb: int = setting("What one of them may have under way; then its sender waits.", 16, above(0))
    drain_s: float = setting(
        "How long a stop waits for runs at hand; the rest resumes at the next start.", 5.0, at_least(0)
    )
    api_host: str = setting("URL of the API, for actions (`__OW_API_HOST`).", "http://127.0.0.1:3233")
    log_level: str = setting("DEBUG, INFO, WARNING or ERROR.", "INFO", LEVEL)
    ready_fd: int = setting("Descriptor to which a line is written once the process serves; -1: none.", -1)

    @staticmethod
    def from_env(environ: Mapping[str, str]) -> Settings:
        """Read the environment; raises SettingsError that lists everything that is wrong."""
        settings = read_settings(Settings, environ, PREFIX)
        if problems := settings.peer_problems():
            raise SettingsError([PREFIX + problem for problem in problems])
        return settings

    @property
    def peer_bounds(self) -> PeerBounds:
        """Of the pipe between hosts."""
        return PeerBounds(
            lost_s=self.peer_lost_s, bulk_connections=self.peer_transfers, credit_bytes=self.peer_credit_mb * MIB
        )

    @property
    def images(self) -> dict[str, str]:
        """Kind → image, for Docker: by the manifest, else by the kinds, else our own."""
        manifest = read_manifest(self.manifest)
        if manifest is not None:
            return dict(manifest.images)
        return images_of(read_kinds(self.kinds) if self.kinds else {}) or images_of(DEFAULT_IMAGES)

    @property
    def inline_bounds(self) -> Bounds:
        """Of each call of an inline function."""
        return Bounds(time_s=self.inline_time_s, memory_mb=self.inline_memory_mb)

    @property
    def server(self) -> Path:
        """What all invokers of a server share: databases, the local bus, the token."""
        return Path(self.server_dir) if self.server_dir else self.data_dir

    @property
    def run_dir(self) -> Path:
        """Our sockets."""
        return self.data_dir / "run"

    @property
    def token_file(self) -> Path:
        """The secret that all processes of the installation share."""
        return self.server / "run" / "token"

    @property
    def bus_socket(self) -> Path:
        """Of the local bus."""
        return self.server / "run" / "bus.sock"

    @property
    def door_socket(self) -> Path:
        """Our peer door."""
        return self.run_dir / "invoker.sock"

    @property
    def journal_dir(self) -> Path:
        """The owner's journal."""
        return self.data_dir / "journal" / f"invoker{self.id}"

    @property
    def spill_dir(self) -> Path:
        """Cold data."""
        return self.data_dir / "spill"

    @property
    def containers_dir(self) -> Path:
        """Working directories of containers."""
        return self.data_dir / "containers"


def machine_memory_mb(meminfo: Path = Path("/proc/meminfo")) -> int:
    """Return the memory of this machine, MB."""
    first = meminfo.read_text().split("\n", 1)[0]
    return int(first.split()[1]) // 1024
