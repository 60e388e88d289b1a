"""Web actions on the real server, through real sockets."""

from __future__ import annotations

import base64
import json
import socket
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection, HTTPResponse
from typing import Any, Final
from urllib.parse import urlsplit

import pytest

from tests.support.deploying import KEY, Deployer
from tests.support.server import Server, serving

WEB: Final = "/api/v1/web/guest/default"
EXPORT: Final = [{"key": "web-export", "value": True}]
RAW: Final = [*EXPORT, {"key": "raw-http", "value": True}]
OWN_OPTIONS: Final = [*EXPORT, {"key": "web-custom-options", "value": True}]
MIB: Final = 1 << 20
ECHO: Final = "def main(args):\n    return {'body': args}\n"
MIRROR: Final = """
def main(args):
    kind = args["__ow_headers"]["content-type"]
    return {"headers": {"Content-Type": kind}, "body": args["__ow_body"]}
"""
MEASURE: Final = """
import base64
def main(args):
    return {"bytes": len(base64.b64decode(args["__ow_body"]))}
"""
LOGIN: Final = """
def main(args):
    headers = {"Location": "/welcome?x=%20", "Set-Cookie": ["a=1; Path=/; HttpOnly", "b=2"], "X-Utf8": "é"}
    return {"statusCode": 303, "headers": headers}
"""
PREFLIGHT: Final = """
def main(args):
    allowed = {"Access-Control-Allow-Methods": "GET", "Access-Control-Allow-Origin": "https://page"}
    return {"statusCode": 200, "headers": allowed, "body": args["__ow_method"]}
"""
FAILING: Final = "def main(args):\n    raise ValueError('boom')\n"
ENDLESS: Final = "import time\ndef main(args):\n    time.sleep(60)\n"
PAGE: Final = """
dataflow: 1
steps:
  words:
    action: words
    inputs: {text: $run.text}
  item:
    action: item
    inputs: {word: {each: words.word}}
  page:
    action: page
    inputs: {items: {gather: item.html}}
result: page
"""
WORDS: Final = "from action_runtime import emit\ndef main(args):\n    [emit('word', w) for w in args['text'].split()]\n"
ITEM: Final = "def main(args):\n    return {'html': '<li>' + args['word']}\n"
LIST: Final = "def main(args):\n    return {'html': ''.join(args['items'])}\n"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving() as one:
        with closing(one.client()) as client:
            client.action("echo", ECHO, annotations=EXPORT)
            client.action("mirror", MIRROR, annotations=EXPORT)
            client.action("measure", MEASURE, annotations=EXPORT)
            client.action("raw", ECHO, annotations=RAW)
            client.action("login", LOGIN, annotations=EXPORT)
            client.action("preflight", PREFLIGHT, annotations=OWN_OPTIONS)
        yield one


@pytest.fixture
def live(server: Server) -> Iterator[Deployer]:
    with closing(server.client()) as client:
        yield client


@pytest.fixture
def connection(server: Server) -> Iterator[HTTPConnection]:
    parts = urlsplit(server.url)
    with closing(HTTPConnection(parts.hostname or "", parts.port, timeout=25)) as one:
        yield one


def send(connection: HTTPConnection, method: str, path: str, body: Any = None, **headers: str) -> HTTPResponse:
    """Send a request on the connection as it is; the answer's body is read."""
    connection.request(method, WEB + path, body, {name.replace("_", "-"): text for name, text in headers.items()})
    reply = connection.getresponse()
    reply.body = reply.read()  # type: ignore[attr-defined]
    return reply


def body_of(reply: HTTPResponse) -> bytes:
    found: bytes = reply.body  # type: ignore[attr-defined]
    return found


def test_cookies_and_a_redirect_arrive_as_the_action_gave_them(connection: HTTPConnection):
    reply = send(connection, "GET", "/login")
    assert (reply.status, body_of(reply)) == (303, b"")
    assert reply.headers.get_all("Set-Cookie") == ["a=1; Path=/; HttpOnly", "b=2"]
    assert reply.headers["Location"] == "/welcome?x=%20"
    assert reply.headers["X-Utf8"].encode("latin-1").decode() == "é"
    assert (reply.headers["Content-Length"], reply.headers["Content-Type"]) == ("0", None)


def test_of_a_header_that_is_repeated_the_last_one_arrives_as_from_stock(connection: HTTPConnection):
    connection.putrequest("GET", f"{WEB}/echo.json")
    for name, text in (("X-Other", "a,b"), ("X-Twice", "1"), ("x-twice", "2"), ("X-TWICE", "3, 4")):
        connection.putheader(name, text)
    connection.endheaders()

    headers = json.loads(connection.getresponse().read())["body"]["__ow_headers"]

    assert (headers["x-twice"], headers["x-other"]) == ("3, 4", "a,b")


@pytest.mark.parametrize("size", [1, 256, 700_000], ids=str)
def test_bytes_go_in_and_out_unchanged(connection: HTTPConnection, size: int):
    image = (bytes(range(256)) * (size // 256 + 1))[-size:]
    reply = send(connection, "POST", "/mirror", image, Content_Type="image/png")
    assert (reply.status, reply.headers["Content-Type"], body_of(reply)) == (200, "image/png", image)


def test_a_request_may_have_a_megabyte_of_bytes(connection: HTTPConnection):
    reply = send(connection, "POST", "/measure.json", b"\xff" * MIB, Content_Type="image/png")
    assert (reply.status, json.loads(body_of(reply))) == (200, {"bytes": MIB})
    assert send(connection, "POST", "/measure.json", b"\xff" * (MIB + 1)).status == 413


def test_a_body_in_chunks_is_read(connection: HTTPConnection):
    reply = send(connection, "POST", "/mirror", iter([b"one ", b"two"]), Content_Type="text/plain")
    assert (reply.status, body_of(reply)) == (200, b"one two")


def test_head_and_options_leave_the_connection_in_use(connection: HTTPConnection):
    head = send(connection, "HEAD", "/echo.json?x=1")
    local = connection.sock
    assert (head.status, body_of(head)) == (200, b"")
    assert int(head.headers["Content-Length"]) > 100
    options = send(connection, "OPTIONS", "/echo", Access_Control_Request_Headers="X-Mine")
    assert (options.status, body_of(options)) == (200, b"")
    assert options.headers["Access-Control-Allow-Headers"] == "X-Mine"
    own = send(connection, "OPTIONS", "/preflight")
    assert (own.status, body_of(own)) == (200, b"options")
    assert own.headers.get_all("Access-Control-Allow-Origin") == ["https://page"]
    empty = send(connection, "GET", "/echo/nosuch.http", Accept="image/png")
    assert empty.status == 406
    assert connection.sock is local


@pytest.mark.parametrize("path", ["/echo", "/nosuch"])
def test_a_connection_goes_on_after_a_body_that_was_refused(connection: HTTPConnection, path: str):
    reply = send(connection, "POST", path, b"x" * (3 * MIB), Content_Type="text/plain")
    assert reply.status == 413
    local = connection.sock
    assert send(connection, "GET", "/echo").status == 200
    assert connection.sock is local


def test_the_path_and_the_query_arrive_as_they_were_sent(connection: HTTPConnection):
    reply = send(connection, "GET", "/echo/a%2Fb//%C3%A4%20?x=%20+%26&x=y%3D&z")
    got = json.loads(body_of(reply))
    assert (got["__ow_path"], got["x"], got["z"]) == ("/a%2Fb//%C3%A4%20", "y=", "")
    raw = json.loads(body_of(send(connection, "PATCH", "/raw?x=%20+%26&z", b"{}", Content_Type="application/json")))
    assert (raw["__ow_method"], raw["__ow_query"]) == ("patch", "x=%20+%26&z")
    assert base64.b64decode(raw["__ow_body"]) == b"{}"


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        (b"X-Odd: \xff\xfe\r\nX-Odd: caf\xc3\xa9\r\n", 200),
        (b"Accept: ;;;=,\r\n", 200),
        (b"Content-Type: nonsense\r\nContent-Length: 1\r\n\r\nx", 200),
        (b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 5\r\n\r\na=%FF", 200),
        (b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 3\r\n\r\na=%", 400),
        (b"".join(b"X-%d: y\r\n" % n for n in range(90)), 200),
        (b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
    ],
    ids=range(7),
)
def test_odd_requests_are_answered(server: Server, lines: bytes, status: int):
    parts = urlsplit(server.url)
    with socket.create_connection((parts.hostname or "", parts.port or 0), 25) as connection:
        end = b"" if b"\r\n\r\n" in lines else b"\r\n"
        connection.sendall(
            b"POST %s/echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%s%s" % (WEB.encode(), lines, end)
        )
        assert connection.recv(65536).split(b" ", 2)[1] == b"%d" % status


def test_what_an_action_gets_wrong_is_told_of_and_recorded(live: Deployer, connection: HTTPConnection):
    live.action("failing", FAILING, annotations=EXPORT)
    live.action("endless", ENDLESS, annotations=EXPORT, limits={"timeout": 200})
    reply = send(connection, "GET", "/failing")
    assert (reply.status, json.loads(body_of(reply))["error"]) == (400, "Response is not valid 'message/http'.")
    record = live.finished(reply.headers["X-Openwhisk-Activation-Id"])
    assert (record["namespace"], record["subject"], record["response"]["result"]) == (
        "guest",
        "guest",
        {"error": "boom"},
    )
    reply = send(connection, "GET", "/endless.json")
    assert (reply.status, json.loads(body_of(reply))["error"]) == (400, "There was an error processing your request.")


def test_a_workflow_makes_a_page(live: Deployer, connection: HTTPConnection):
    for name, code in (("words", WORDS), ("item", ITEM), ("page", LIST)):
        live.action(name, code)
    live.put("flow", PAGE, kind="dataflow:1", annotations=EXPORT).raise_for_status()
    reply = send(connection, "GET", "/flow.html?text=a%20b+c")
    assert (reply.status, body_of(reply)) == (200, b"<li>a<li>b<li>c")
    large = "w" * 900_000
    reply = send(connection, "POST", "/flow.html", json.dumps({"text": large}), Content_Type="application/json")
    assert (reply.status, body_of(reply)) == (200, f"<li>{large}".encode())


@pytest.mark.parametrize(("times", "status"), [(3, 200), (12, 400)])
def test_a_workflow_may_answer_with_more_than_an_action_up_to_a_bound(
    live: Deployer, connection: HTTPConnection, times: int, status: int
):
    live.action("mib", f"def main(args):\n    return {{'part': 'x' * {900_000}}}\n")
    live.put("join", "from action_runtime import emit\ndef main(args):\n    emit('body', ''.join(args['parts']))\n")
    text = """
    dataflow: 1
    steps:
      part:
        action: mib
        inputs: {n: {each: $run.numbers}}
      join:
        action: join
        inputs: {parts: {gather: part.part}}
    result: {body: join.body}
    """
    live.put("large", text, kind="dataflow:1", annotations=EXPORT).raise_for_status()
    reply = send(
        connection, "POST", "/large", json.dumps({"numbers": list(range(times))}), Content_Type="application/json"
    )
    assert reply.status == status, body_of(reply)[:200]
    if status == 200:
        assert body_of(reply) == b"x" * 900_000 * times


@pytest.mark.parametrize("dataflow", [True, False])
def test_a_sequence_answers_by_data_flow_and_by_control_flow(
    live: Deployer, connection: HTTPConnection, dataflow: bool
):
    live.action("inc", "def main(args):\n    return {'n': int(args.get('n', 0)) + 1}\n")
    body = {
        "exec": {"kind": "sequence", "components": ["/_/inc", "/_/inc"]},
        "annotations": [*EXPORT, {"key": "dataflow", "value": dataflow}],
    }
    live.call("PUT", "actions/twice?overwrite=true", json=body).raise_for_status()
    reply = send(connection, "GET", "/twice.json?n=5")
    assert (reply.status, json.loads(body_of(reply))) == (200, {"n": 7})


def test_an_action_that_wants_a_key_gets_its_callers_name(live: Deployer, connection: HTTPConnection):
    live.action("mine", ECHO, annotations=[*EXPORT, {"key": "require-whisk-auth", "value": True}])
    assert send(connection, "GET", "/mine").status == 401
    key = "Basic " + base64.b64encode(":".join(KEY).encode()).decode()
    reply = send(connection, "GET", "/mine", Authorization=key)
    assert json.loads(body_of(reply))["__ow_user"] == "guest"
