"""How doors are named. Pure.

A door on this host is a Unix socket, named by its path; on another one it is where that host listens for its peers.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

_SCHEME: Final = "tcp://"


@dataclass(slots=True, frozen=True)
class FarPlace:
    """A door of another host, or of this one as others see it."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{_SCHEME}{host}:{self.port}"


Place = Path | FarPlace


def far(address: str) -> str:
    """Return the name of the door of who listens for peers on `HOST:PORT`."""
    return str(FarPlace(*read_address(address)))


def read_place(name: str) -> Place:
    """Return what the name of a door stands for; raises ValueError."""
    if name.startswith(_SCHEME):
        return FarPlace(*read_address(name.removeprefix(_SCHEME)))
    return Path(name)


def read_address(text: str) -> tuple[str, int]:
    """Return host and port of `HOST:PORT`; raises ValueError."""
    host, found, port = text.rpartition(":")
    if not found or not host or not port.isdecimal() or not 0 <= int(port) < 65536:
        raise ValueError(f"must be HOST:PORT, is {text!r}")
    return host.strip("[]"), int(port)
