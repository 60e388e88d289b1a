"""What a CouchDB that answers oddly means, without one: a socket that says what it is told."""

from __future__ import annotations

import base64
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from invoker_ext.store import RevisionConflict, StoreFull, StoreRefused, StoreUnavailable
from invoker_ext.stores.couchdb.client import Server

Say = Callable[..., Server]


@pytest.fixture
def saying() -> Iterator[Say]:
    """Make a client of a server that answers each connection's requests with the given texts, then closes it."""
    listener = socket.create_server(("127.0.0.1", 0))
    clients: list[Server] = []
    answers: list[list[bytes]] = []
    allowed = f"authorization: basic {base64.b64encode(b'u:p').decode().lower()}"

    def serve() -> None:
        while answers:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection, connection.makefile("rb") as requests:
                for text in answers.pop(0):
                    head = set()
                    while line := requests.readline().strip():
                        head.add(line.decode().lower())
                    if not head:
                        break
                    requests.read(next(int(line[15:]) for line in head if line.startswith("content-length:")))
                    connection.sendall(text if allowed in head else error(401, "no"))

    thread = threading.Thread(target=serve)

    def make(*connections: list[bytes]) -> Server:
        answers.extend(connections)
        thread.start()
        clients.append(Server(f"http://127.0.0.1:{listener.getsockname()[1]}", "u", "p", timeout_s=2))
        return clients[-1]

    yield make
    for client in clients:
        client.close()
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(5)


def answer(status: int, text: str = "{}", content_type: str = "application/json") -> bytes:
    head = f"HTTP/1.1 {status} X\r\nContent-Type: {content_type}\r\nContent-Length: {len(text)}\r\n\r\n"
    return (head + text).encode()


def error(status: int, reason: str, name: str = "error") -> bytes:
    return answer(status, f'{{"error": "{name}", "reason": "{reason}"}}')


@pytest.mark.parametrize(
    ("said", "raised", "text"),
    [
        (error(401, "no"), StoreUnavailable, "check user and password"),
        (error(403, "no"), StoreUnavailable, "check user and password"),
        (error(404, "Database does not exist."), StoreUnavailable, "admin db init"),
        (error(409, "Document update conflict."), RevisionConflict, "changed by somebody else"),
        (error(413, "too large"), StoreRefused, "413"),
        (error(400, "invalid UTF-8 JSON"), StoreRefused, "invalid UTF-8"),
        (error(500, "enospc"), StoreFull, "free space"),
        (error(500, "badmatch"), StoreUnavailable, "cannot answer"),
        (error(503, "busy"), StoreUnavailable, "cannot answer"),
        (answer(502, "<html>", "text/html"), StoreUnavailable, "cannot answer"),
        (answer(200, "<html>", "text/html"), StoreUnavailable, "no CouchDB"),
        (b"SSH-2.0-OpenSSH\r\n", StoreUnavailable, "cannot be reached"),
        (b"", StoreUnavailable, "cannot be reached"),
    ],
)
def test_what_goes_wrong_is_told_to_who_must_act(saying: Say, said: bytes, raised: type[Exception], text: str):
    with pytest.raises(raised, match=text):
        saying([said]).database("d").put("a", {})


def test_a_missing_document_is_none(saying: Say):
    assert saying([error(404, "missing")]).database("d").get("a") is None


def test_a_connection_that_was_closed_meanwhile_is_made_again(saying: Say):
    database = saying([answer(200, '{"_id": "a"}')], [answer(200, '{"_id": "b"}')]).database("d")
    assert database.get("a") == {"_id": "a"}
    assert database.get("b") == {"_id": "b"}


def test_a_write_that_was_made_before_the_connection_broke_is_no_conflict(saying: Say):
    ours = answer(200, '{"_id": "a", "_rev": "2-x", "n": 1}')
    database = saying([answer(200, "{}"), b""], [error(409, "conflict"), ours]).database("d")
    database.get("other")
    assert database.put("a", {"n": 1, "_rev": "1-x"}) == "2-x"


def test_a_conflict_after_a_broken_connection_with_something_else_is_one(saying: Say):
    theirs = answer(200, '{"_id": "a", "_rev": "2-x", "n": 2}')
    database = saying([answer(200, "{}"), b""], [error(409, "conflict"), theirs]).database("d")
    database.get("other")
    with pytest.raises(RevisionConflict):
        database.put("a", {"n": 1, "_rev": "1-x"})
