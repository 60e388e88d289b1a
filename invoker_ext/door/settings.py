"""How a process reaches those of other hosts: settings that controller and invoker share, on top of their store's."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import Final

from invoker_ext.contract.settings import SettingsError, setting
from invoker_ext.door.credentials import Credentials
from invoker_ext.door.loading import load
from invoker_ext.door.places import read_address
from invoker_ext.stores.settings import StoreSettings

_EVERY_ADDRESS: Final = ("0.0.0.0", "::", "*")


def _problem_of_address(text: str) -> str | None:
    if not text:
        return None
    try:
        host, _ = read_address(f"host{text}" if text.startswith(":") else text)
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
        "Where other hosts reach this process, `HOST:PORT`, or `:PORT` at the address of this host's name; "
        "empty: there are no other hosts.",
        "",
        _problem_of_address,
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
        if self.peer_listen and not self.may_prove_itself:
            return ["PEER_LISTEN needs PEER_SECRET_FILE or PEER_TLS: hosts that cannot prove themselves are no peers"]
        return []

    @property
    def may_prove_itself(self) -> bool:
        """Whether there are credentials."""
        return bool(self.peer_secret_file or self.peer_tls)

    @property
    def peer_address(self) -> str:
        """Where to listen, with the address of this host's name where none was given; raises SettingsError."""
        if not self.peer_listen.startswith(":"):
            return self.peer_listen
        name = socket.gethostname()
        about = f"PEER_LISTEN is {self.peer_listen}, and"
        try:
            address = socket.gethostbyname(name)
        except OSError as error:
            raise SettingsError([f"{about} no address is known for this host's name {name}: name one"]) from error
        if address.startswith("127."):
            # As Debian has it in /etc/hosts: others would be told to look for this process on their own hosts.
            text = f"{about} this host's name {name} stands for {address}, where no other host reaches it"
            raise SettingsError([f"{text}: set PEER_LISTEN to HOST{self.peer_listen}"])
        return address + self.peer_listen

    def credentials(self) -> Credentials:
        """Read the files; raises NotAllowed."""
        certificate, key, authority = self.peer_tls.split(",") if self.peer_tls else ("", "", "")
        return load(self.peer_secret_file, certificate, key, authority)
