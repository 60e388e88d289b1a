"""A server that speaks CouchDB's protocol, in the hands of a test: on a free port, in memory or on a folder."""

from __future__ import annotations

import contextlib
import http.client
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from invoker_ext.stores.couchdb import Place
from invoker_ext.stores.couchdb.client import Server
from tests.support import npm_clients
from tests.support.waiting import wait_until

START_S: Final = 30.0
STOP_S: Final = 10.0
TIMEOUT_S: Final = 20.0


def installed() -> bool:
    """Return whether the server can be started."""
    return npm_clients.installed(npm_clients.COUCHDB)


class CouchServer:
    """One server process. Stopped and started again it has the same URL, and if it has a folder the same content."""

    def __init__(self, *, lasting: bool = False) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="df-couch-"))
        self._lasting = lasting
        self._process: subprocess.Popen[bytes] | None = None
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self._port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self._port}"

    def start(self) -> CouchServer:
        """Start it and wait until it answers."""
        script = npm_clients.modules(npm_clients.COUCHDB) / "pouchdb-server" / "bin" / "pouchdb-server"
        argv = ["node", str(script), "--host", "127.0.0.1", "--port", str(self._port), "--no-stdout-logs"]
        argv += ["--dir", str(self._folder)] if self._lasting else ["--in-memory"]
        with (self._folder / "output").open("ab") as output:
            self._process = subprocess.Popen(argv, cwd=self._folder, stdout=output, stderr=output)
        wait_until(self.answers, START_S, message=lambda: (self._folder / "output").read_text())
        return self

    def answers(self) -> bool:
        """Return whether it serves requests."""
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self._port, timeout=2)) as connection:
            try:
                connection.request("GET", "/_all_dbs")
                return connection.getresponse().status == 200
            except OSError:
                return False

    def kill(self) -> None:
        """End it at once."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(STOP_S)

    def remove(self) -> None:
        """End it, and remove its folder."""
        if self._process is not None:
            self.kill()
        shutil.rmtree(self._folder)

    def place(self) -> Place:
        """Return where databases of the caller's own may be made."""
        return Place(self.url, prefix=f"t{secrets.token_hex(6)}_")

    def client(self) -> Server:
        """Return a client for its caller to close."""
        return Server(self.url, timeout_s=TIMEOUT_S)


def running() -> Iterator[CouchServer]:
    """Yield a server in memory; the body of a fixture."""
    server = CouchServer()
    try:
        yield server.start()
    finally:
        server.remove()
