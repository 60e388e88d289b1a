"""How a process reaches those of other hosts: settings that controller and invoker share, on top of their store's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from invoker_ext.contract.settings import setting
from invoker_ext.door.credentials import Credentials
from invoker_ext.door.loading import load
from invoker_ext.stores.settings import StoreSettings

_EVERY_ADDRESS: Final = ("0.0.0.0", "::", "*")


def read_address(text: str) -> tuple[str, int]:
    """Return host and port of `HOST:PORT`; raises ValueError."""
    host, found, port = text.rpartition(":")
    if not found or not host or not port.isdecimal() or not 0 <= int(port) < 65536:
        raise ValueError(f"must be HOST:PORT, is {text!r}")
    return host.strip("[]"), int(port)


def _problem_of_address(text: str) -> str | None:
    if not text:
        return None
    try:
        host, _ = read_address(text)
    except ValueError as error:
        return str(error)
    return f"must name an address that other hosts reach, {host} is none" if host in _EVERY_ADDRESS else None


def _problem_of_tls(text: str) -> str | None:
    return (
        None if not text or len(text.split(",")) == 3 else f"must be three files, CERTIFICATE,KEY,AUTHORITY, is {text}"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerSettings(StoreSettings):
    """The part of a process's settings that is about other hosts."""

    peer_listen: str = setting(
        "Where other hosts reach this process, `HOST:PORT`; empty: there are no other hosts.", "", _problem_of_address
    )
    peer_secret_file: str = setting(
        "File with the secret that all hosts share, of 16 characters or more; closed to others.", ""
    )
    peer_tls: str = setting(
        "TLS between hosts: files `CERTIFICATE,KEY,AUTHORITY` (PEM); whoever has a certificate of that authority is a "
        "peer. Empty: without TLS.",
        "",
        _problem_of_tls,
    )

    def peer_problems(self) -> list[str]:
        """Return what is wrong with these settings together, a sentence each."""
        if self.peer_listen and not self.peer_secret_file and not self.peer_tls:
            return ["PEER_LISTEN needs PEER_SECRET_FILE or PEER_TLS: hosts that cannot prove themselves are no peers"]
        return []

    def credentials(self) -> Credentials:
        """Read the files; raises NotAllowed."""
        certificate, key, authority = self.peer_tls.split(",") if self.peer_tls else ("", "", "")
        return load(self.peer_secret_file, certificate, key, authority)
