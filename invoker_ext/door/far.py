"""Doors of other hosts: who calls there, and how a thread does. For loops: `async_client.py`."""

from __future__ import annotations

import secrets
import socket
import time
from dataclasses import dataclass

from action_runtime.wire.codec import encode
from action_runtime.wire.errors import PeerLost
from action_runtime.wire.frames import MAX_FRAME_BYTES
from invoker_ext.door.blocking import FramedSocket
from invoker_ext.door.credentials import Credentials
from invoker_ext.door.errors import PeerRefused
from invoker_ext.door.greeting import GREETING_BYTES, Dialling, Name, Use
from invoker_ext.door.hello import NotAllowed
from invoker_ext.door.places import FarPlace
from invoker_ext.door.settings import PeerSettings


@dataclass(slots=True, frozen=True)
class Caller:
    """Who calls at doors of other hosts.

    Attributes:
        name: For their logs.
        credentials: That all hosts share.
    """

    name: Name
    credentials: Credentials

    def greeting(self) -> Dialling:
        """Return our side of a greeting."""
        return Dialling(self.name, None, Use.DOOR, secrets.token_hex(16), self.credentials, dict)


def caller_of(settings: PeerSettings, name: Name) -> Caller | None:
    """Return who a process is to other hosts; None: it was given no credentials. Raises NotAllowed."""
    return Caller(name, settings.credentials()) if settings.may_prove_itself else None


def must_be(caller: Caller | None, place: FarPlace) -> Caller:
    """Return who calls; raises NotAllowed if this process has no credentials for other hosts."""
    if caller is None:
        raise NotAllowed(f"{place} is on another host, and this process was given no PEER_SECRET_FILE or PEER_TLS")
    return caller


class FarSocket(FramedSocket):
    """A connection to a door of another host."""

    def __init__(self, place: FarPlace, caller: Caller, deadline: float) -> None:
        """Connect and greet.

        Args:
            place: Whose door.
            caller: We.
            deadline: Instant of `time.monotonic`.

        Raises:
            PeerLost: Nobody listens there, or the greeting was not over in time.
            NotAllowed: One side does not accept the other.
            WireError: The other side speaks something else.
        """
        super().__init__()
        try:
            self._socket = self._connect(place, caller, deadline)
            self._greet(caller, deadline)
        except OSError as error:  # a TimeoutError and an SSLError are one
            self.close()
            raise PeerLost(f"nobody answers at {place}: {error}") from error
        except PeerRefused as error:
            self.close()
            raise NotAllowed(str(error)) from error
        except BaseException:
            self.close()
            raise

    def _connect(self, place: FarPlace, caller: Caller, deadline: float) -> socket.socket:
        left_s = max(deadline - time.monotonic(), 0.001)
        sock = socket.create_connection((place.host, place.port), left_s)
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.sendall(Use.DOOR.value)
            tls = caller.credentials.client
            return sock if tls is None else tls.wrap_socket(sock, server_hostname=place.host)
        except BaseException:
            sock.close()
            raise

    def _greet(self, caller: Caller, deadline: float) -> None:
        self._decoder.bound_bytes = GREETING_BYTES
        greeting = caller.greeting()
        answers = greeting.begin()
        while not greeting.is_over():
            for kind, meta in answers:
                self.send(encode(kind, meta), deadline)
            answers = greeting.take(self.receive(deadline))
        self._decoder.bound_bytes = MAX_FRAME_BYTES
