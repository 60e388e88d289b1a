"""What the environment says about this process; read once, in `__main__`."""

from __future__ import annotations

from action_runtime.wire.errors import Blame, DataflowError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Final

PREFIX: Final = "DATAFLOWER_RUNTIME_"
PORT: Final = f"{PREFIX}PORT"
SESSION_DESCRIPTOR: Final = "__OW_DATAFLOW_FD"
SESSION_SOCKET: Final = "__OW_DATAFLOW_SOCKET"
_DEFAULT_PORT: Final = 8080


class SettingsError(DataflowError):
    """The environment holds values that cannot be; all of them are named."""

    code = "settings-error"
    blame = Blame.CALLER


class Settings:
    """The settings of one process. Immutable by agreement.

    Attributes:
        port: Where the action interface listens; 0: any free port. Default 8080.
        descriptor: Of the connected session socket; None: there is none.
        socket_path: Of the relay's Unix socket; None: there is none.
    """

    __slots__ = ("descriptor", "port", "socket_path")

    def __init__(self, port: int, descriptor: int | None, socket_path: str | None) -> None:
        self.port = port
        self.descriptor = descriptor
        self.socket_path = socket_path

    @staticmethod
    def from_env(environ: Mapping[str, str]) -> Settings:
        """Read the settings.

        Raises:
            SettingsError: See there.
        """
        wrong = [f"{name} is not a setting" for name in environ if name.startswith(PREFIX) and name != PORT]
        port = _number(environ, PORT, 65535, wrong)
        descriptor = _number(environ, SESSION_DESCRIPTOR, 1 << 20, wrong)
        path = environ.get(SESSION_SOCKET)
        if descriptor is not None and path is not None:
            wrong.append(f"{SESSION_DESCRIPTOR} and {SESSION_SOCKET} exclude each other")
        if wrong:
            raise SettingsError("; ".join(wrong))
        return Settings(_DEFAULT_PORT if port is None else port, descriptor, path)


def _number(environ: Mapping[str, str], name: str, highest: int, wrong: list[str]) -> int | None:
    text = environ.get(name)
    if text is None:
        return None
    if text.isascii() and text.isdecimal() and int(text) <= highest:
        return int(text)
    wrong.append(f"{name} must be a number from 0 to {highest}, not {text!r}")
    return None
