"""Settings of the controller's processes (workers and balancer), read once from the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any, Final, NamedTuple

from invoker_ext.door.hello import MAX_SOCKET_PATH_BYTES

PREFIX: Final = "DATAFLOWER_CONTROLLER_"


class SettingsError(Exception):
    """Some variables are wrong; the text lists all of them, one a line."""


def default_data_dir(environ: Mapping[str, str]) -> Path:
    """Return where a user's server keeps its state: `$XDG_DATA_HOME/dataflower`, or `~/.local/share/dataflower`."""
    home = environ.get("XDG_DATA_HOME")
    return (Path(home) if home else Path.home() / ".local" / "share") / "dataflower"


def _setting(default: object, doc: str) -> Any:  # noqa: ANN401 - the type stands at the field
    return field(default=default, metadata={"doc": doc})


class Explained(NamedTuple):
    """One setting, for `--print-settings` and the README's table."""

    variable: str
    value: str
    default: str
    doc: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Each field is the variable `DATAFLOWER_CONTROLLER_<FIELD>`."""

    data_dir: Path = field(metadata={"doc": "Directory of all state; must exist, closed to others."})
    id: str = _setting("0", "This controller's name; completions come on topic `completed<ID>`.")
    invocations_per_minute: int = _setting(1_000_000, "Invocations a namespace may make in a clock minute.")
    concurrent_invocations: int = _setting(1_000, "Activations a namespace may have in flight.")
    fires_per_minute: int = _setting(1_000_000, "Trigger fires of a namespace in a clock minute.")
    workflow_payload_bytes: int = _setting(64 * 1024 * 1024, "Bound of a native workflow's parameters and result.")
    inline_parameter_bytes: int = _setting(256 * 1024, "Larger parameters of native workflows are spooled to disk.")
    accept_wait_s: float = _setting(10.0, "How long an invocation waits for an invoker to come (back) before 503.")
    spool_ttl_s: float = _setting(3600.0, "When spooled parameters that nobody asked for are removed.")
    run_ttl_s: float = _setting(3600.0, "When the slot of a run that no invoker ends any more is given back.")
    worker_threads: int = _setting(200, "Requests one worker process serves at a time.")
    log_level: str = _setting("INFO", "DEBUG, INFO, WARNING or ERROR.")
    ready_fd: int = _setting(-1, "Descriptor to which a byte is written once the process serves; -1: none.")

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
    def invoker_door_socket(self) -> Path:
        """The peer door of the one local invoker."""
        return self.run_dir / "invoker.sock"

    @property
    def spool_dir(self) -> Path:
        """Parameters above the inline bound."""
        return self.data_dir / "spool"

    @property
    def entities_file(self) -> Path:
        """SQLite file of entities and subjects."""
        return self.data_dir / "entities.db"

    @property
    def activations_file(self) -> Path:
        """SQLite file of activation records."""
        return self.data_dir / "activations.db"

    @staticmethod
    def from_env(environ: Mapping[str, str]) -> Settings:
        """Read the environment.

        Args:
            environ: All variables; those without our prefix are not looked at.

        Raises:
            SettingsError: Lists every variable that is missing, malformed, out of range or unknown.
        """
        known = {PREFIX + one.name.upper(): one for one in fields(Settings)}
        errors = [f"{name}: there is no such setting" for name in environ if _ours(name) and name not in known]
        values: dict[str, Any] = {}
        for variable, one in known.items():
            if variable in environ:
                try:
                    values[one.name] = _parse(one, environ[variable])
                except ValueError as error:
                    errors.append(f"{variable}: {error}")
            elif one.name == "data_dir":
                errors.append(f"{variable}: must be set")
        if not errors:
            errors = _ranges(settings := Settings(**values))
            if not errors:
                return settings
        raise SettingsError("\n".join(sorted(errors)))

    def explain(self) -> list[Explained]:
        """Return name, value, default and meaning of every setting; none of them is secret."""
        return [
            Explained(
                PREFIX + one.name.upper(),
                str(getattr(self, one.name)),
                str(one.default) if one.name != "data_dir" else "must be set",
                one.metadata["doc"],
            )
            for one in fields(self)
        ]

    def to_env(self) -> dict[str, str]:
        """Return the variables that `from_env` reads as these settings."""
        return {PREFIX + one.name.upper(): str(getattr(self, one.name)) for one in fields(self)}


def _ours(name: str) -> bool:
    return name.startswith(PREFIX)


def _parse(one: Field[Any], text: str) -> object:
    match one.type:
        case "Path":
            return Path(text)
        case "int":
            return int(text)
        case "float":
            return float(text)
        case _:
            return text


def _ranges(settings: Settings) -> list[str]:
    errors: list[str] = []
    if not settings.data_dir.is_absolute():
        errors.append(f"{PREFIX}DATA_DIR: must be absolute, is {settings.data_dir}")
    longest = len(os.fsencode(settings.door_socket))
    if longest > MAX_SOCKET_PATH_BYTES:
        over = longest - MAX_SOCKET_PATH_BYTES
        errors.append(f"{PREFIX}DATA_DIR: {over} bytes too long: a Unix socket's path holds {MAX_SOCKET_PATH_BYTES}")
    for name in ("invocations_per_minute", "concurrent_invocations", "fires_per_minute"):
        if getattr(settings, name) < 0:
            errors.append(f"{PREFIX}{name.upper()}: must not be negative")
    for name in ("accept_wait_s", "spool_ttl_s", "run_ttl_s", "worker_threads", "workflow_payload_bytes"):
        if getattr(settings, name) <= 0:
            errors.append(f"{PREFIX}{name.upper()}: must be above 0")
    if not 0 < settings.inline_parameter_bytes <= 1024 * 1024:
        errors.append(f"{PREFIX}INLINE_PARAMETER_BYTES: must be 1…1048576")
    if settings.log_level not in ("DEBUG", "INFO", "WARNING", "ERROR"):
        errors.append(f"{PREFIX}LOG_LEVEL: must be DEBUG, INFO, WARNING or ERROR")
    return errors
