"""What all routes have in common, tried on each that the document has and the server serves."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from werkzeug.test import TestResponse

from controller_ext.entities.limits import SystemLimits
from controller_ext.runs.ports import BalancerUnavailable, Throttled
from invoker_ext.store import StoreUnavailable
from tests.support.api import GUEST, Api, make_api
from tests.support.routes import served

BODY: Final = ("PUT", "POST")
LISTS: Final = ("/actions", "/packages", "/triggers", "/rules", "/activations", "/{packageName}/")
BODILESS: Final = ("cancel",)
"""Routes that read no body, whatever their method."""
NAMES: Final = {"packageName": "p", "actionName": "a", "triggerName": "t", "ruleName": "r", "activationId": "0" * 32}


@dataclass(frozen=True)
class Route:
    """A route below a namespace."""

    method: str
    path: str

    def at(self, namespace: str = "_", **names: str) -> str:
        """Return its path with the variables filled in."""
        return self.path.format(namespace=namespace, **{**NAMES, **names})

    @property
    def reads_body(self) -> bool:
        return self.method in BODY and not self.path.endswith(BODILESS)


@pytest.fixture
def routes(api: Api) -> list[Route]:
    """All routes that need a key."""
    described = api.described()
    found = {described.operation(method, path) for method, path in served(api.app)}
    below = [one for one in found if one is not None and "/namespaces" in one.path]
    return [Route(one.method, one.path) for one in sorted(below, key=str)]


def failures(routes: list[Route], send: Callable[[Route], TestResponse], status: int, text: str) -> Iterator[str]:
    """Send one request a route; yield those that were not answered as they should be."""
    for route in routes:
        reply = send(route)
        found = reply.get_json()["error"] if reply.status_code >= 400 else reply.text
        if reply.status_code != status or not found.startswith(text):
            yield f"{route.method} {route.path}: {reply.status_code} {found[:200]}"


def test_every_route_answers_as_the_document_says(api: Api, routes: list[Route]):
    for one in routes:
        reply = full(api)(one)
        assert reply.status_code in (200, 202), (one, reply.text)


def test_what_the_client_does_not_accept_is_not_sent(api: Api, routes: list[Route]):
    json = [one for one in routes if (one.method, one.path.rpartition("/")[2]) != ("POST", "{ruleName}")]
    text = "Resource representation is only available with these types:\napplication/json"
    assert list(failures(json, full(api, "text/html, image/*"), 406, text)) == []
    for path in ("/", "/api/v1", "/api/v1/api-docs", "/invokers", "/invokers/healthy/count", "/activation/count"):
        assert api.call("GET", path, auth=None, Accept="text/html").status_code == 406
    api.balancer.states = {"invoker0/a": "up"}
    assert api.call("GET", "/invokers/ready", auth=None, Accept="text/html").status_code == 406


@pytest.mark.parametrize(
    "accept", ["*/*", "application/*", "text/html, */*;q=0.1", "application/json;charset=utf-8", "x"]
)
def test_other_wishes_are_granted(api: Api, accept: str):
    assert api.call("GET", "actions", Accept=accept).status_code == 200


def test_an_error_is_told_whatever_the_client_accepts(api: Api):
    assert api.call("GET", "actions/nosuch", Accept="text/html").status_code == 404


def full(api: Api, accept: str = "*/*") -> Callable[[Route], TestResponse]:
    """Return how a request is sent to a route so that it succeeds."""

    def send(one: Route) -> TestResponse:
        api.put("packages/p", {})
        for name in ("a", "p/a"):
            api.action(name)
        api.put("triggers/t", {})
        api.call("DELETE", "rules/r")  # or it would stay without the trigger that an earlier request deleted
        api.put("rules/r", {"trigger": "/_/t", "action": "/_/a"})
        run = api.call("POST", "actions/a?blocking=true", {}).headers["X-Openwhisk-Activation-Id"]
        api.balancer.running = {run: "guest"} if one.path.endswith("cancel") else {}
        target = f"{one.at(activationId=run)}?{'force' if one.method == 'DELETE' else 'overwrite'}=true"
        return api.call(one.method, target, _body(one), Accept=accept)

    return send


def test_without_a_key_nothing_is_told(api: Api, routes: list[Route]):
    text = "The resource requires authentication, which was not supplied with the request"
    assert len(routes) > 20
    assert list(failures(routes, lambda one: api.call(one.method, one.at(), auth=None), 401, text)) == []


def test_nothing_of_another_namespace_is_reached(api: Api, routes: list[Route]):
    below = [one for one in routes if "{" in one.path and not one.path.endswith("/packages")]
    text = "The supplied authentication is not authorized to access 'others"
    assert list(failures(below, lambda one: api.call(one.method, one.at("others"), {}), 403, text)) == []


def test_no_namespace_has_illegal_characters(api: Api, routes: list[Route]):
    below = [one for one in routes if "{" in one.path]
    text = "The namespace contains illegal characters."
    assert list(failures(below, lambda one: api.call(one.method, one.at("a!b"), {}), 400, text)) == []


@pytest.mark.parametrize("name", ["packageName", "actionName", "triggerName", "ruleName"])
def test_no_name_has_illegal_characters(api: Api, routes: list[Route], name: str):
    named = [one for one in routes if name in one.path]
    text = "The name of the entity contains illegal characters."
    assert list(failures(named, lambda one: api.call(one.method, one.at(**{name: "a!b"}), {}), 400, text)) == []


@pytest.mark.parametrize("name", ["packageName", "actionName", "triggerName", "ruleName"])
def test_a_name_has_a_bound(api: Api, routes: list[Route], name: str):
    named = [one for one in routes if name in one.path]
    text = "Name segement longer than allowed: 257 > 256."
    assert list(failures(named, lambda one: api.call(one.method, one.at(**{name: "a" * 257}), {}), 400, text)) == []


def test_what_does_not_exist_is_not_found(api: Api, routes: list[Route]):
    below = [one for one in routes if one.path.count("{") > 1 and (one.method != "PUT" or one.path.count("{") > 2)]
    assert (
        list(failures(below, lambda one: api.call(one.method, one.at(), _body(one)), 404, "The requested resource"))
        == []
    )


def test_no_web_action_is_behind_a_path_that_names_none(api: Api):
    web = [one for one in api.described().operations() if "/web/" in one.path]
    assert len(web) == 14
    for one in web:
        target = one.path.format(namespace="guest", packageName="default", actionName="nosuch", path="a/b")
        assert api.call(one.method, target, auth=None).status_code == 404, one


def test_what_is_in_another_collection_is_told(api: Api, routes: list[Route]):
    api.action("other")
    api.put("packages/pack", {})
    others = {"actionName": "pack", "packageName": "other", "triggerName": "other", "ruleName": "other"}
    entities = [one for one in routes if one.path.count("{") > 1 and "activations" not in one.path]
    text = "Resource by this name exists but is not in this collection."
    assert list(failures(entities, lambda one: api.call(one.method, one.at(**others), _body(one)), 409, text)) == []


def test_a_body_must_be_json(api: Api, routes: list[Route]):
    written = [one for one in routes if one.reads_body]

    def send(one: Route) -> TestResponse:
        return api.call(one.method, one.at(packageName="pack"), b"{}", Content_Type="text/plain")

    api.put("packages/pack", {})
    text = "The request's Content-Type [text/plain] is not supported. Expected:\napplication/json"
    assert list(failures(written, send, 415, text)) == []


@pytest.mark.parametrize("body", [b"{", b"[1", b'{"a":}', b"nul", b"\xff", b'{"a":1}x'])
def test_a_body_must_be_whole_json(api: Api, routes: list[Route], body: bytes):
    written = [one for one in routes if one.reads_body]
    api.put("packages/pack", {})
    send = lambda one: api.call(one.method, one.at(packageName="pack"), body)  # noqa: E731
    assert list(failures(written, send, 400, "The request content was malformed:\n")) == []


def test_a_body_that_breaks_off_is_not_waited_for(api: Api, routes: list[Route]):
    written = [one for one in routes if one.reads_body]
    api.put("packages/pack", {})

    def send(one: Route) -> TestResponse:
        target, headers = one.at(packageName="pack"), {"Authorization": GUEST, "Content-Type": "application/json"}
        more: dict[str, Any] = {"CONTENT_LENGTH": "100", "wsgi.input": io.BytesIO(b'{"a":')}
        reply = api.client.open(target, method=one.method, headers=headers, environ_overrides=more)
        api.hold(one.method, target, reply)
        return reply

    assert list(failures(written, send, 408, "The request did not arrive in time.")) == []


def test_a_large_body_is_told_by_what_is_large(tmp_path: Path, routes: list[Route]):
    small = make_api(_folder(tmp_path), SystemLimits(parameter_bytes=50, request_bytes=50))
    small.put("packages/pack", {})
    large = {"annotations": [{"key": "k", "value": "x" * 50}]}
    for method, text in (("PUT", "annotations larger than allowed: 53 > 50 bytes."), ("POST", "Request larger than")):
        sized = [one for one in routes if one.method == method and one.reads_body and "rules" not in one.path]
        send = lambda one: small.call(one.method, one.at(packageName="pack"), large)  # noqa: E731
        assert list(failures(sized, send, 413, text)) == []
    small.close()


@pytest.mark.parametrize("query", ["limit=x", "skip=-1", "count=maybe"])
def test_a_window_must_be_one(api: Api, routes: list[Route], query: str):
    api.put("packages/p", {})
    lists = [one for one in routes if one.method == "GET" and one.path.endswith(LISTS)]
    text = f"The query parameter '{query.partition('=')[0]}' was malformed:\n"
    assert len(lists) == 6
    assert list(failures(lists, lambda one: api.call("GET", f"{one.at()}?{query}"), 400, text)) == []


def test_a_throttled_caller_hears_so(api: Api, routes: list[Route]):
    api.balancer.refuse = Throttled("Too many requests in the last minute (count: 61, allowed: 60).")
    invoked = [one for one in routes if one.method == "POST" and "/actions/" in one.path]
    assert list(failures(invoked, lambda one: api.call("POST", one.at(), {}), 429, "Too many requests")) == []


def test_a_balancer_that_is_away_is_told(api: Api, routes: list[Route]):
    api.balancer.refuse = BalancerUnavailable("gone")
    invoked = [one for one in routes if one.method == "POST" and "/actions/" in one.path]
    assert list(failures(invoked, lambda one: api.call("POST", one.at(), {}), 503, "The server is currently")) == []


def test_an_action_that_fails_is_no_failure_of_the_server(api: Api, routes: list[Route]):
    api.put("packages/p", {})
    for name in ("a", "p/a"):
        api.action(name, "def main(args):\n  return {'error': 'it failed'}\n")
    invoked = [one for one in routes if one.method == "POST" and "/actions/" in one.path]
    replies = [api.call("POST", f"{one.at()}?blocking=true&result=true", {}) for one in invoked]
    assert [(one.status_code, one.get_json()) for one in replies] == [(502, {"error": "it failed"})] * 2


def test_an_idempotency_key_stands_for_one_body(api: Api, routes: list[Route]):
    api.put("packages/p", {})
    for name in ("a", "p/a"):
        api.action(name)
    api.put("triggers/t", {})
    api.put("rules/r", {"trigger": "/_/t", "action": "/_/a"})
    invoked = [one for one in routes if one.method == "POST" and re.search("/(actions|triggers)/", one.path)]
    assert len(invoked) == 3
    for one in invoked:
        assert api.call("POST", one.at(), {"n": 1}, Idempotency_Key=one.path).status_code == 202
        assert api.call("POST", one.at(), {"n": 2}, Idempotency_Key=one.path).status_code == 422


@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        (StoreUnavailable("no file"), 503, "The server is currently unavailable"),
        (RuntimeError("a bug"), 500, "There was an internal server error."),
    ],
)
def test_what_goes_wrong_inside_is_not_told(
    tmp_path: Path, routes: list[Route], monkeypatch: pytest.MonkeyPatch, error: Exception, status: int, text: str
):
    broken = make_api(_folder(tmp_path))

    def fail() -> Any:
        raise error

    monkeypatch.setattr(broken.entities, "version", fail)
    assert list(failures(routes, lambda one: broken.call(one.method, one.at(), {}), status, text)) == []
    broken.close()


def _body(route: Route) -> Any:
    """Return a body that a route reads without complaint."""
    if route.method == "PUT" and "/actions/" in route.path:
        return {"exec": {"kind": "python:3", "code": ""}}
    if "/rules/" in route.path:
        return {"status": "active"}
    return {} if route.method in BODY else None


def _folder(beside: Path) -> Path:
    """Return a folder for a second API."""
    folder = beside / "second"
    folder.mkdir()
    return folder
