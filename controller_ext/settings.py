"""Settings of the controller's processes (workers and balancer), read once from the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final

from invoker_ext.buses.address import problem_of_bus
from invoker_ext.contract.kinds import problem as problem_of_kinds
from invoker_ext.contract.settings import LEVEL, SettingsError, above, at_least, one_of, read_settings, setting
from invoker_ext.door.hello import room_for_sockets
from invoker_ext.door.places import far
from invoker_ext.door.settings import PeerSettings

PREFIX: Final = "DATAFLOWER_CONTROLLER_"
QUICKJS: Final = "quickjs"
IN_NODE: Final = "nodejs"


def default_data_dir(environ: Mapping[str, str]) -> Path:
    """Return where a user's server keeps its state: `$XDG_DATA_HOME/dataflower`, or `~/.local/share/dataflower`."""
    home = environ.get("XDG_DATA_HOME")
    return (Path(home) if home else Path.home() / ".local" / "share") / "dataflower"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(PeerSettings):
    """Each field is the variable `DATAFLOWER_CONTROLLER_<FIELD>`."""

    data_dir: Path = setting("Directory of all state; absolute, must exist, closed to others.", check=room_for_sockets)
    bus: str = setting("Empty: the local bus; or `kafka://HOST:PORT,…[?NAME=VALUE&…]`.", "", problem_of_bus)
    id: str = setting("This controller's name; completions come on topic `completed<ID>`.", "0")
    local_invokers: int = setting(
        "Invokers of this server, each beyond the first in a folder of the data directory; 0: all are on their own.",
        1,
        at_least(0),
    )
    listen: str = setting("Where workers take requests: `HOST:PORT`, or `fd://N,…`, open sockets.", "127.0.0.1:3233")
    api_host: str = setting("URL of the API, for alarms, which fire triggers by it.", "http://127.0.0.1:3233")
    workers: int = setting("Worker processes; 0: one per two cores.", 0, at_least(0))
    worker_threads: int = setting("Requests that one worker process serves at a time.", 200, above(0))
    kinds: str = setting(
        "Kinds of actions that are offered, the default of each family first; as the invoker's setting of this name.",
        "python:3.11=python,python:3=python",
        problem_of_kinds,
    )
    invocations_per_minute: int = setting("Invocations a namespace may make in a clock minute.", 1_000_000, at_least(0))
    concurrent_invocations: int = setting("Activations a namespace may have in flight.", 1_000, at_least(0))
    fires_per_minute: int = setting("Trigger fires of a namespace in a clock minute.", 1_000_000, at_least(0))
    action_concurrency: int = setting(
        "Largest limit `concurrency` of an action: activations in one container at a time, if its kind can.",
        1,
        above(0),
    )
    inline_functions: str = setting(
        "What evaluates inline functions of compositions: `quickjs`, beside the invoker, or `nodejs`, containers of "
        "each composition and namespace.",
        QUICKJS,
        one_of(QUICKJS, IN_NODE),
    )
    workflow_payload_bytes: int = setting(
        "Bound of a native workflow's parameters and result.", 64 * 1024 * 1024, above(0)
    )
    control_flow_threads: int = setting(
        "Sequences and compositions that one worker runs at a time by stock control flow.", 64, above(0)
    )
    accept_wait_s: float = setting(
        "How long an invocation waits for an invoker to come (back) before 503.", 10.0, above(0)
    )
    idempotency_ttl_s: float = setting("How long an `Idempotency-Key` stands for its first request.", 86400.0, above(0))
    idempotency_keys: int = setting(
        "Keys remembered of a namespace, the oldest are forgotten first; where controllers share CouchDB, all are.",
        10_000,
        above(0),
    )
    activations_age_s: float = setting(
        "Activation records that started longer ago are removed; 0: none for their age.", 7 * 86400.0, at_least(0)
    )
    activations_per_namespace: int = setting(
        "Activation records of a namespace; the oldest beyond are removed; 0: any number is kept.", 200_000, at_least(0)
    )
    spool_ttl_s: float = setting("When spooled parameters that nobody asked for are removed.", 3600.0, above(0))
    run_ttl_s: float = setting(
        "When the slot of a sequence or workflow that no invoker ends any more is given back.", 3600.0, above(0)
    )
    owner_lost_s: float = setting(
        "An invoker that was silent for so long loses its runs to others: workflows begin anew, sequences end with an "
        "error.",
        60.0,
        above(0),
    )
    log_level: str = setting("DEBUG, INFO, WARNING or ERROR.", "INFO", LEVEL)
    ready_fd: int = setting("Descriptor to which a byte is written once a process serves; -1: none.", -1)

    @property
    def worker_count(self) -> int:
        """How many worker processes there are: as set, or one per two cores."""
        return self.workers or max(1, len(os.sched_getaffinity(0)) // 2)

    @property
    def run_dir(self) -> Path:
        """Sockets and the token."""
        return self.data_dir / "run"

    @property
    def token_file(self) -> Path:
        """The secret that all processes of the installation share."""
        return self.run_dir / "token"

    @property
    def bus_socket(self) -> Path:
        """Of the local bus, served by the balancer."""
        return self.run_dir / "bus.sock"

    @property
    def balancer_socket(self) -> Path:
        """Where workers reach the balancer."""
        return self.run_dir / "balancer.sock"

    @property
    def door_socket(self) -> Path:
        """The controller's peer door, served by the balancer: spooled parameters."""
        return self.run_dir / "controller.sock"

    @property
    def door_name(self) -> str:
        """How invokers reach that door."""
        return far(self.peer_address) if self.peer_listen else str(self.door_socket)

    @property
    def invoker_dirs(self) -> list[Path]:
        """Data directories of the local invokers, by number: the first one's is ours."""
        others = [self.data_dir / f"invoker{number}" for number in range(1, self.local_invokers)]
        return [self.data_dir, *others] if self.local_invokers else []

    @property
    def invoker_door_sockets(self) -> list[Path]:
        """Their peer doors."""
        return [folder / "run" / "invoker.sock" for folder in self.invoker_dirs]

    @property
    def spool_dir(self) -> Path:
        """Parameters above the inline bound."""
        return self.data_dir / "spool"

    @property
    def keys_file(self) -> Path:
        """SQLite file of idempotency keys."""
        return self.data_dir / "keys.db"

    @staticmethod
    def from_env(environ: Mapping[str, str]) -> Settings:
        """Read the environment; raises SettingsError that lists everything that is wrong."""
        settings = read_settings(Settings, environ, PREFIX)
        if problems := settings.peer_problems():
            raise SettingsError([PREFIX + problem for problem in problems])
        return settings

    def to_env(self) -> dict[str, str]:
        """Return the variables that `from_env` reads as these settings."""
        return {PREFIX + one.name.upper(): str(getattr(self, one.name)) for one in fields(self)}
