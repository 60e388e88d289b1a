"""A REST server that answers what a test tells it, to prove the console script's client against real HTTP."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class RestStub:
    """What it answers, and what it was asked.

    Attributes:
        url: Where it listens.
        answers: `METHOD PATH` (below `/api/v1/`) → status and body; a list is used up but for its last item.
        asked: `METHOD PATH?QUERY` of each request, and its body.
    """

    url: str
    answers: dict[str, Any] = field(default_factory=dict)
    asked: list[tuple[str, Any]] = field(default_factory=list)

    def answer(self, method: str, target: str, body: Any) -> tuple[int, Any]:
        """Note a request and return its answer."""
        self.asked.append((f"{method} {target}", body))
        found = self.answers.get(f"{method} {target.partition('?')[0]}", _MISSING)
        if isinstance(found, list):
            found = found.pop(0) if len(found) > 1 else found[0]
        status, reply = found
        return status, reply


_MISSING = (404, {"error": "The requested resource does not exist.", "code": "t1"})


@contextmanager
def rest_stub(answers: Mapping[str, Any]) -> Iterator[RestStub]:
    """Serve on a free port until left."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _reply(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            text = self.rfile.read(length)
            target = self.path.removeprefix("/api/v1/")
            status, reply = stub.answer(self.command, target, json.loads(text) if text else None)
            body = reply if isinstance(reply, bytes) else json.dumps(reply).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_PUT = do_POST = do_DELETE = _reply

        def log_message(self, format: str, *args: object) -> None:
            """Stay silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = False
    stub = RestStub(f"http://127.0.0.1:{server.server_address[1]}", dict(answers))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, name="rest stub")
    thread.start()
    try:
        yield stub
    finally:
        server.shutdown()
        thread.join(5)
        server.server_close()
