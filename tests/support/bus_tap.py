"""Listens in on the local bus of a server."""

from __future__ import annotations

import socket
import threading
from pathlib import Path
from typing import Final

_PIECE: Final = 1 << 16


class BusTap:
    """Stands between the hub's socket and whoever connects from here on.

    Attributes:
        carried: All that went over the bus, in both directions.
    """

    def __init__(self, bus: Path) -> None:
        self.carried: list[bytes] = []
        self._real = bus.with_name("tapped.sock")
        bus.rename(self._real)
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(str(bus))
        self._server.listen()
        threading.Thread(target=self._accept, name="bus-tap", daemon=True).start()

    def close(self) -> None:
        """Take no more connections."""
        self._server.close()
        self._real.unlink(missing_ok=True)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            hub = socket.socket(socket.AF_UNIX)
            hub.connect(str(self._real))
            for one, other in ((client, hub), (hub, client)):
                threading.Thread(target=self._pump, args=(one, other), name="bus-tap", daemon=True).start()

    def _pump(self, one: socket.socket, other: socket.socket) -> None:
        try:
            while data := one.recv(_PIECE):
                self.carried.append(data)
                other.sendall(data)
        except OSError:
            return
        finally:
            for end in (one, other):
                end.close()
