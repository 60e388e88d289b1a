"""Answers of web actions, by extension and by what was returned."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from controller_ext.runs.accept import WEB_RESULT_BYTES
from controller_ext.runs.ports import Accepted, Ended, Needs, NoInvoker
from invoker_ext.contract.messages import ActivationMessage
from tests.support.api import Api
from tests.support.web import HTML, ID, ORIGIN, WEB, answering, ended, error_of, get


@pytest.mark.parametrize(
    ("extension", "result", "content_type", "body"),
    [
        (".json", {"a": [1]}, "application/json", b'{\n  "a": [1]\n}'),
        (".json", [1, 2], "application/json", b"[1, 2]"),
        (".html", {"html": "<i/>"}, HTML, b"<i/>"),
        (".svg", {"svg": "<svg/>"}, "image/svg+xml", b"<svg/>"),
        (".text", {"text": "t"}, "text/plain; charset=UTF-8", b"t"),
        (".http", {"body": "x"}, HTML, b"x"),
        ("", {"body": {"ok": True}}, "application/json", b'{\n  "ok": true\n}'),
        ("", {"headers": {"Content-Type": "image/png"}, "body": "iVBORw0KGgo="}, "image/png", b"\x89PNG\r\n\x1a\n"),
    ],
)
def test_a_result_is_shown_as_the_extension_says(
    echo: Api, extension: str, result: Any, content_type: str, body: bytes
):
    answering(echo, result)
    reply = get(echo, f"default/a{extension}")
    assert (reply.status_code, reply.headers.getlist("Content-Type"), reply.data) == (200, [content_type], body)
    head = get(echo, f"default/a{extension}", "HEAD")
    assert (head.status_code, head.data, head.content_length) == (200, b"", len(body))


@pytest.mark.parametrize(
    ("extension", "result", "status", "told"),
    [
        (".json", {"error": "x"}, 1, (400, "Response is not valid 'application/json'.")),
        ("", {"error": "x"}, 1, (400, "Response is not valid 'message/http'.")),
        (".text", {"a": 1}, 0, (404, "Response does not include requested property.")),
        ("", {"error": "x"}, 2, (400, "There was an error processing your request.")),
        (".json", {"error": "x"}, 3, (400, "There was an error processing your request.")),
    ],
)
def test_a_result_that_is_no_answer_is_told_of(
    echo: Api, extension: str, result: Any, status: int, told: tuple[int, str]
):
    answering(echo, result, status)
    reply = get(echo, f"default/a{extension}")
    assert error_of(reply) == told
    assert reply.headers[ID] == echo.balancer.messages[-1].activation_id
    assert reply.headers[ORIGIN] == "*"


def test_errors_are_laid_out_as_stock_does(echo: Api):
    reply = get(echo, "default/nosuch", X_Request_ID="t")
    assert reply.data == b'{\n  "error": "The requested resource does not exist.",\n  "code": "t"\n}'


def test_status_and_headers_are_the_actions(echo: Api):
    cookies = ["a=1; Path=/", "b=2"]
    location = "http://[not a url/ä"
    answering(echo, {"statusCode": 302, "headers": {"Set-Cookie": cookies, "location": location, "X-N": 7}})
    reply = get(echo, "default/a")
    assert (reply.status_code, reply.data, reply.headers["Content-Length"]) == (302, b"", "0")
    assert reply.headers.getlist("Set-Cookie") == cookies
    assert reply.headers["Location"].encode("latin-1").decode() == location
    assert reply.headers["X-N"] == "7"
    assert "Content-Type" not in reply.headers


def test_an_empty_answer_has_no_length(echo: Api):
    answering(echo, {})
    reply = get(echo, "default/a")
    assert (reply.status_code, reply.data) == (204, b"")
    assert not {"Content-Type", "Content-Length"} & set(reply.headers.keys())


def test_an_application_error_may_be_an_answer(echo: Api):
    answering(echo, {"error": {"statusCode": 418, "body": "teapot", "headers": {"x-a": "b"}}}, 1)
    reply = get(echo, "default/a")
    assert (reply.status_code, reply.data, reply.headers["x-a"]) == (418, b"teapot", "b")


@pytest.mark.parametrize(
    ("extension", "accept", "offered"),
    [("", "application/json", HTML), (".json", "text/*", "application/json"), (".text", "image/png", "text/plain")],
)
def test_an_answer_that_the_client_does_not_accept_is_not_sent(echo: Api, extension: str, accept: str, offered: str):
    answering(echo, {"body": "x"})
    reply = get(echo, f"default/a{extension}", Accept=accept)
    text = f"Resource representation is only available with these types:\n{offered}"
    assert error_of(reply) == (406, text)
    assert ORIGIN not in reply.headers
    assert ID not in reply.headers
    assert get(echo, f"default/a{extension}", Accept=f"{accept}, */*;q=0.1").status_code == 200


def test_an_action_that_is_not_done_in_time_is_said_to_be_under_way(echo: Api):
    waits: list[float | None] = []
    invoke = echo.balancer.invoke

    def noted(message: ActivationMessage, needs: Needs, *, wait_s: float | None, **more: Any) -> Accepted | Ended:
        waits.append(wait_s)
        return invoke(message, needs, wait_s=wait_s, **more)

    echo.balancer.invoke = noted  # type: ignore[method-assign]
    echo.balancer.respond = lambda message: Accepted(message.activation_id)
    reply = get(echo, "default/a")
    assert error_of(reply) == (202, "Response not yet ready.")
    assert reply.headers[ID] == echo.balancer.messages[-1].activation_id
    assert waits == [60.0]


def test_without_an_invoker_it_is_unavailable(echo: Api):
    echo.balancer.refuse = NoInvoker("nobody")
    reply = get(echo, "default/a")
    assert reply.status_code == 503
    assert reply.headers[ORIGIN] == "*"


def test_a_large_result_is_fetched_up_to_a_bound(echo: Api):
    large = json.dumps({"body": "y" * 2_000_000}).encode()
    echo.balancer.large["r"] = large

    def respond(size: int, message: ActivationMessage) -> Ended:
        return replace(ended(message, None), large=("door", "r", size))

    echo.balancer.respond = lambda message: respond(len(large), message)
    assert len(get(echo, "default/a").data) == 2_000_000
    echo.balancer.respond = lambda message: respond(WEB_RESULT_BYTES + 1, message)
    assert error_of(get(echo, "default/a.json")) == (400, "Response is not valid 'application/json'.")


# -- whatever comes --------------------------------------------------------------------------------

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
names = st.sampled_from(["Location", "Content-Location", "Content-Type", "Set-Cookie"]) | st.text(max_size=6)
answers = st.fixed_dictionaries(
    {"body": values}, optional={"statusCode": st.integers(100, 999), "headers": st.dictionaries(names, values)}
)


def test_few_large_results_are_in_the_memory_at_a_time(echo: Api, monkeypatch: pytest.MonkeyPatch):
    barrier, guard, inside, most = threading.Barrier(4, timeout=10), threading.Lock(), [0], [0]

    def pull(door: str, name: str, size_bytes: int) -> Iterator[bytes]:
        with guard:
            inside[0] += 1
            most[0] = max(most[0], inside[0])
        barrier.wait()  # as many as may come in at a time
        with guard:
            inside[0] -= 1
        yield b"{}"

    monkeypatch.setattr(echo.balancer, "pull", pull)
    echo.balancer.respond = lambda message: replace(ended(message, None), large=("door", "r", 2))
    with ThreadPoolExecutor(12) as pool:
        statuses = pool.map(lambda _: echo.app.test_client().get(f"{WEB}/default/a").status_code, range(12))
        assert list(statuses) == [204] * 12
    assert most == [4]


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    result=values | answers, extension=st.sampled_from(["", ".http", ".json", ".html", ".svg", ".text"]), data=st.data()
)
def test_any_result_is_answered(echo: Api, result: Any, extension: str, data: st.DataObject):
    answering(echo, result, data.draw(st.sampled_from([0, 0, 1])))
    reply = get(echo, f"default/a{extension}", data.draw(st.sampled_from(["GET", "HEAD"])))
    own = result.get("statusCode") if isinstance(result, dict) else None
    assert reply.status_code < 500 or reply.status_code == own
