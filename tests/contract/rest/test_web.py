"""Web actions, by the rows of openwhisk-rest.md §7."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from werkzeug.test import TestResponse

from controller_ext.entities.limits import SystemLimits
from controller_ext.runs.accept import INLINE_BYTES, WEB_RESULT_BYTES
from controller_ext.runs.ports import Accepted, Ended, NoInvoker, Throttled
from invoker_ext.contract.messages import ActivationMessage
from invoker_ext.contract.records import Activation
from invoker_ext.stores.subjects import GUEST_KEY, subject
from tests.support.api import GUEST, SYSTEM, Api, basic

WEB = "/api/v1/web/guest"
ID = "X-Openwhisk-Activation-Id"
ORIGIN = "Access-Control-Allow-Origin"
ALLOWED = "Access-Control-Allow-Headers"
HTML = "text/html; charset=UTF-8"
NOT_FOUND = "The requested resource does not exist."
UNAUTHORIZED = "Authentication is possible but has failed or not yet been provided."
NOT_ALLOWED = "Request defines parameters that are not allowed (e.g., reserved properties)."
WORKFLOW = "dataflow: 1\nsteps:\n  one:\n    action: a\n    inputs: {x: $run.x}\nresult: one\n"


def ended(message: ActivationMessage, result: Any, status: int = 0) -> Ended:
    record = Activation(
        activation_id=message.activation_id,
        namespace=message.user.namespace,
        name="a",
        subject=message.user.subject,
        version="0.0.1",
        start_ms=1,
        end_ms=2,
        duration_ms=1,
        status=status,
        result=None if result is None else json.dumps(result).encode(),
        annotations=(),
    )
    return Ended(record)


def export(api: Api, name: str = "a", **more: Any) -> None:
    """Write a web action; annotations are named without their dashes."""
    body = {key: more.pop(key) for key in ("parameters", "exec") if key in more}
    marks = {"web_export": True, **more}
    annotations = [{"key": key.replace("_", "-"), "value": value} for key, value in marks.items()]
    code = {"kind": "python:3", "code": "def main(a):\n  return a\n"}
    reply = api.put(f"actions/{name}", {"exec": code, "annotations": annotations, **body})
    assert reply.status_code == 200, reply.data


def answering(api: Api, result: Any, status: int = 0) -> None:
    """Have every run end like this."""
    api.balancer.respond = lambda message: ended(message, result, status)


def get(api: Api, path: str, method: str = "GET", auth: str | None = None, **more: Any) -> TestResponse:
    return api.call(method, f"{WEB}/{path}", auth=auth, **more)


def error_of(reply: TestResponse) -> tuple[int, str]:
    document = reply.get_json()
    assert document["code"] == reply.headers["X-Request-ID"]
    return reply.status_code, document["error"]


def given_to(api: Api) -> Any:
    """Return what the last run got."""
    return json.loads(api.balancer.messages[-1].content or b"")


@pytest.fixture
def echo(api: Api) -> Api:
    """Web action `a`; every run ends with `{"body": "x"}`."""
    export(api)
    answering(api, {"body": "x"})
    return api


# -- the route -------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "DELETE", "POST", "PUT", "PATCH", "HEAD"])
def test_a_web_action_is_reached_by_every_method_without_a_key(echo: Api, method: str):
    reply = get(echo, "default/a/p", method)
    assert (reply.status_code, reply.data) == (200, b"" if method == "HEAD" else b"x")
    assert reply.headers["Content-Type"] == HTML
    assert reply.headers[ID] == echo.balancer.messages[-1].activation_id
    assert given_to(echo)["__ow_method"] == method.lower()
    assert given_to(echo)["__ow_path"] == "/p"


@pytest.mark.parametrize("method", ["TRACE", "BREW"])
def test_other_methods_are_not_served(echo: Api, method: str):
    assert get(echo, "default/a", method).status_code == 401
    assert get(echo, "default/a", method, auth=GUEST).status_code == 404


@pytest.mark.parametrize("path", ["default", "default/", "/a", "a b /c", "default/.json", "d/%20", "default/a%2Fb"])
def test_a_path_that_names_no_action_is_no_route(echo: Api, path: str):
    assert get(echo, path).status_code == 401
    assert error_of(get(echo, path, auth=GUEST)) == (404, "The requested resource could not be found.")
    options = get(echo, path, "OPTIONS")
    assert (options.status_code, options.headers[ORIGIN]) == (200, "*")


@pytest.mark.parametrize(
    ("sent", "path"),
    [
        ("a", ""),
        ("a/", "/"),
        ("a/b//c", "/b//c"),
        ("a/b%20c", "/b%20c"),
        ("a/b%2Fc", "/b%2Fc"),
        ("a/%C3%A4:@!", "/%C3%A4:@!"),
        ("a.http/x.json", "/x.json"),
        ("%61/x", "/x"),
    ],
)
def test_what_follows_the_action_is_its_path(echo: Api, sent: str, path: str):
    assert get(echo, f"default/{sent}").status_code == 200
    assert given_to(echo)["__ow_path"] == path


def test_a_path_that_was_rewritten_on_the_way_counts(echo: Api):
    environ = {"PATH_INFO": f"{WEB}/default/a/other", "RAW_URI": "/elsewhere?x=1", "QUERY_STRING": "y=2"}
    reply = echo.client.open("/elsewhere", environ_overrides=environ)
    assert reply.status_code == 200
    assert (given_to(echo)["__ow_path"], given_to(echo)["y"]) == ("/other", "2")


@pytest.mark.parametrize("auth", [SYSTEM, GUEST])
def test_a_caller_with_a_key_is_named(echo: Api, auth: str):
    get(echo, "default/a", auth=auth)
    assert given_to(echo)["__ow_user"] == ("guest" if auth == GUEST else "whisk.system")


@pytest.mark.parametrize("auth", [None, "Basic ???", "Bearer x", basic(f"{GUEST_KEY}x")])
def test_a_wrong_key_is_as_none(echo: Api, auth: str | None):
    assert get(echo, "default/a", auth=auth).status_code == 200
    assert "__ow_user" not in given_to(echo)


# -- resolution ------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["default/nosuch", "nosuch/a", "default/a.foo", "p/nosuch", "default/p", "a/b"])
def test_what_does_not_exist_is_not_found(echo: Api, path: str):
    echo.put("packages/p", {})
    reply = get(echo, path)
    assert error_of(reply) == (404, NOT_FOUND)
    assert ORIGIN not in reply.headers
    assert error_of(get(echo, path, "OPTIONS")) == (404, NOT_FOUND)
    assert echo.balancer.charged == []


def test_an_unknown_or_blocked_namespace_is_not_found(echo: Api):
    assert error_of(echo.call("GET", "/api/v1/web/nosuch/default/a", auth=None)) == (404, NOT_FOUND)
    assert error_of(echo.call("GET", "/api/v1/web/_/default/a")) == (404, NOT_FOUND)
    echo.entities.put_subject({**subject("guest", GUEST_KEY), "blocked": True})
    assert error_of(get(echo, "default/a")) == (404, NOT_FOUND)


@pytest.mark.parametrize("value", [False, "true", 1, None])
def test_an_action_that_is_not_exported_is_not_found(api: Api, value: Any):
    export(api, web_export=value)
    assert error_of(get(api, "default/a.json")) == (404, NOT_FOUND)


def test_an_activation_is_the_owners(echo: Api):
    get(echo, "default/a", auth=SYSTEM)
    user = echo.balancer.messages[-1].user
    assert (user.subject, user.namespace, user.api_key) == ("guest", "guest", GUEST_KEY)


def test_an_action_in_a_package_gets_its_parameters(echo: Api):
    echo.put("packages/p", {"parameters": [{"key": "x", "value": 1}, {"key": "y", "value": 1}]})
    export(echo, "p/b", parameters=[{"key": "y", "value": 2}])
    assert get(echo, "p/b?z=3").status_code == 200
    assert {key: given_to(echo)[key] for key in "xyz"} == {"x": 1, "y": 2, "z": "3"}


def test_an_action_is_reached_through_a_binding_while_its_package_is_public(echo: Api):
    for publish in (True, False):
        echo.put("packages/p", {"publish": publish, "parameters": [{"key": "x", "value": 1}]}, auth=SYSTEM)
        code = {"kind": "python:3", "code": "x"}
        annotations = [{"key": "web-export", "value": True}]
        echo.put("actions/p/b", {"exec": code, "annotations": annotations}, auth=SYSTEM)
        if publish:
            binding = {"namespace": "whisk.system", "name": "p"}
            echo.put("packages/bound", {"binding": binding, "parameters": [{"key": "x", "value": 2}]})
            assert get(echo, "bound/b").status_code == 200
            sent = echo.balancer.messages[-1]
            assert (sent.action, sent.binding, sent.user.namespace) == ("whisk.system/p/b", "guest/bound", "guest")
            assert given_to(echo)["x"] == 2
    reply = get(echo, "bound/b")
    text = "The supplied authentication is not authorized to access 'whisk.system/p/b'."
    assert error_of(reply) == (403, text)
    assert ORIGIN not in reply.headers
    assert len(echo.balancer.charged) == 1


@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
def test_the_owner_is_throttled(echo: Api, method: str):
    echo.balancer.refuse = Throttled("Too many requests in the last minute (count: 2, allowed: 1).")
    reply = get(echo, "default/a", method)
    assert error_of(reply) == (429, "Too many requests in the last minute (count: 2, allowed: 1).")
    assert ORIGIN not in reply.headers


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [("OPTIONS", "default/a", None), ("GET", "default/a?__ow_path=x", None), ("POST", "default/a", b"{")],
)
def test_a_request_that_reaches_no_action_counts_for_the_throttle(
    echo: Api, method: str, path: str, body: bytes | None
):
    get(echo, path, method, body=body)
    assert [one.namespace for one in echo.balancer.charged] == ["guest"]
    assert echo.balancer.messages == []


def test_a_body_above_the_bound_is_refused_before_anything_of_the_request_is_looked_at(api: Api):
    export(api, require_whisk_auth=True)
    limit = SystemLimits().request_bytes
    reply = get(api, "default/a", "POST", body=b"x" * (limit + 1))
    assert error_of(reply) == (413, f"Request larger than allowed: {limit + 1} > {limit} bytes.")
    assert ORIGIN not in reply.headers
    assert get(api, "default/a", "POST", body=b"x" * limit).status_code == 401


# -- arguments -------------------------------------------------------------------------------------


def test_headers_are_given_in_lower_case_but_for_those_about_the_body(echo: Api):
    get(echo, "default/a", "POST", body={}, X_Foo="bar", X_Utf8="é".encode().decode("latin-1"), X_Latin="\xe9")
    headers = given_to(echo)["__ow_headers"]
    wanted = {"x-foo": "bar", "x-utf8": "é", "x-latin": "é", "content-type": "application/json"}
    assert wanted.items() <= headers.items()
    assert "content-length" not in headers


def test_query_and_body_are_given_over_the_parameters(echo: Api):
    export(echo, parameters=[{"key": name, "value": 0} for name in "abc"])
    get(echo, "default/a?b=1&c=1&c=2", "POST", body={"c": [3]})
    assert {name: given_to(echo)[name] for name in "abc"} == {"a": 0, "b": "1", "c": [3]}


def test_a_raw_action_gets_query_and_body_as_they_are(echo: Api):
    export(echo, raw_http=True, final=True, parameters=[{"key": "a", "value": 0}])
    assert get(echo, "default/a?a=%201&__ow_body=x", "POST", body={"a": 1}).status_code == 200
    got = given_to(echo)
    assert (got["__ow_query"], got["__ow_body"], got["a"]) == ("a=%201&__ow_body=x", "eyJhIjogMX0=", 0)


@pytest.mark.parametrize("query", ["__ow_method=x", "__ow_user=x", "f=1"])
def test_what_is_reserved_or_final_is_refused(echo: Api, query: str):
    export(echo, final=True, parameters=[{"key": "f", "value": 1}, {"key": "open", "value": None}])
    reply = get(echo, f"default/a.json?{query}")
    assert error_of(reply) == (400, NOT_ALLOWED)
    assert reply.headers[ORIGIN] == "*"
    assert ID not in reply.headers
    assert get(echo, "default/a?open=1").status_code == 200


@pytest.mark.parametrize(
    ("query", "content_type", "body", "text"),
    [
        (
            "",
            "application/json",
            b'{"a":',
            "Unexpected end-of-input at input index 5 (line 1, position 6), expected JSON",
        ),
        ("", "application/x-www-form-urlencoded", b"a=%zz", "'%' must be followed by two hexadecimal digits"),
        ("?a=%", "text/plain", b"", "'%' must be followed by two hexadecimal digits"),
    ],
)
def test_what_cannot_be_read_is_malformed(echo: Api, query: str, content_type: str, body: bytes, text: str):
    reply = get(echo, f"default/a{query}", "POST", body=body, Content_Type=content_type)
    status, said = error_of(reply)
    assert (status, said.startswith(f"The request content was malformed:\n{text}")) == (400, True)
    assert ORIGIN not in reply.headers


def test_large_parameters_of_a_workflow_are_spooled_and_its_result_is_bounded(echo: Api):
    echo.action("w", exec={"kind": "dataflow:1", "code": WORKFLOW}, annotations=[{"key": "web-export", "value": True}])
    get(echo, "default/w?x=1")
    message = echo.balancer.messages[-1]
    assert (message.spool, message.result_bytes, given_to(echo)["x"]) == (None, WEB_RESULT_BYTES, "1")
    get(echo, "default/w", "POST", body={"x": "y" * INLINE_BYTES})
    message = echo.balancer.messages[-1]
    assert message.spool is not None
    assert message.content is None
    assert echo.balancer.spooled[message.spool.name].keys() == {"x", "__ow_method", "__ow_headers", "__ow_path"}


# -- access ----------------------------------------------------------------------------------------


def test_an_action_may_want_a_key(echo: Api):
    export(echo, require_whisk_auth=True)
    reply = get(echo, "default/a")
    assert error_of(reply) == (401, UNAUTHORIZED)
    assert "WWW-Authenticate" not in reply.headers
    assert reply.headers[ORIGIN] == "*"
    assert get(echo, "default/a", auth="Basic ???").status_code == 401
    assert get(echo, "default/a", auth=SYSTEM).status_code == 200


@pytest.mark.parametrize("secret", ["s3cret", 777])
def test_an_action_may_want_a_secret(echo: Api, secret: Any):
    export(echo, require_whisk_auth=secret)
    assert get(echo, "default/a", auth=GUEST).status_code == 401
    assert get(echo, "default/a", X_Require_Whisk_Auth="other").status_code == 401
    assert get(echo, "default/a", X_Require_Whisk_Auth=str(secret)).status_code == 200


def test_an_action_that_wants_what_cannot_be_lets_nobody_in(echo: Api):
    export(echo, require_whisk_auth={"a": 1})
    assert get(echo, "default/a", auth=GUEST).status_code == 401


# -- CORS ------------------------------------------------------------------------------------------


def test_options_is_answered_without_the_action(echo: Api):
    export(echo, require_whisk_auth=True)
    reply = get(echo, "default/a", "OPTIONS", Access_Control_Request_Headers="x-foo, x-bar")
    assert (reply.status_code, reply.data) == (200, b"")
    assert reply.headers[ORIGIN] == "*"
    assert reply.headers[ALLOWED] == "x-foo, x-bar"
    assert reply.headers["Access-Control-Allow-Methods"] == "OPTIONS, GET, DELETE, POST, PUT, HEAD, PATCH"
    assert "Content-Type" not in reply.headers
    assert echo.balancer.messages == []


def test_every_answer_of_an_action_has_cors_headers(echo: Api):
    reply = get(echo, "default/a")
    assert reply.headers.getlist(ORIGIN) == ["*"]
    assert reply.headers[ALLOWED] == "Authorization, Origin, X-Requested-With, Content-Type, Accept, User-Agent"


def test_an_action_may_answer_options_itself(echo: Api):
    export(echo, web_custom_options=True, require_whisk_auth=True)
    answering(echo, {"headers": {"Set-Cookie": ["a=1", "b=2"], ORIGIN: "here"}, "body": "mine"})
    reply = get(echo, "default/a", "OPTIONS")
    assert (reply.status_code, reply.data) == (200, b"mine")
    assert reply.headers.getlist(ORIGIN) == ["here"]
    assert reply.headers.getlist("Set-Cookie") == ["a=1", "b=2"]
    assert ALLOWED not in reply.headers
    assert get(echo, "default/a").status_code == 401


# -- answers ---------------------------------------------------------------------------------------


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

    def noted(
        message: ActivationMessage, *, memory_mb: int, wait_s: float | None, repeated: bool = False
    ) -> Accepted | Ended:
        waits.append(wait_s)
        return invoke(message, memory_mb=memory_mb, wait_s=wait_s, repeated=repeated)

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


# -- what runs -------------------------------------------------------------------------------------


def test_a_sequence_is_run(api: Api):
    api.action("inc", "def main(a):\n  return {'n': int(a['n']) + 1}\n")
    export(api, "s", exec={"kind": "sequence", "components": ["/_/inc", "/_/inc"]})
    assert get(api, "default/s.json?n=1").get_json() == {"n": 3}


def test_a_sequence_may_run_by_control_flow(api: Api):
    api.action("inc")
    export(api, "s", exec={"kind": "sequence", "components": ["/_/inc"]}, dataflow=False)
    assert get(api, "default/s").status_code == 202
    assert api.control_flow.sequences[-1].components == ("guest/inc",)


def test_a_workflow_is_run(api: Api):
    api.action("a", "def main(a):\n  return {'body': a['x'] * 2}\n")
    export(api, "w", exec={"kind": "dataflow:1", "code": WORKFLOW})
    assert get(api, "default/w?x=ab").status_code == 200
    assert api.balancer.messages[-1].graph is not None


def test_a_workflow_that_cannot_be_compiled_any_more_is_told_of(api: Api):
    api.action("a")
    export(api, "w", exec={"kind": "dataflow:1", "code": WORKFLOW})
    api.call("DELETE", "actions/a")
    status, text = error_of(get(api, "default/w"))
    assert (status, "runs action `a`, which does not exist" in text) == (400, True)
    assert len(api.balancer.charged) == 1


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


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    result=values | answers, extension=st.sampled_from(["", ".http", ".json", ".html", ".svg", ".text"]), data=st.data()
)
def test_any_result_is_answered(echo: Api, result: Any, extension: str, data: st.DataObject):
    answering(echo, result, data.draw(st.sampled_from([0, 0, 1])))
    reply = get(echo, f"default/a{extension}", data.draw(st.sampled_from(["GET", "HEAD"])))
    own = result.get("statusCode") if isinstance(result, dict) else None
    assert reply.status_code < 500 or reply.status_code == own


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    path=st.text(max_size=8) | st.lists(st.text(max_size=4), max_size=5).map("/".join),
    query=st.text(max_size=8),
    accept=st.text(st.characters(max_codepoint=255, exclude_characters="\r\n"), max_size=12),
    content_type=st.text(st.characters(max_codepoint=255, exclude_characters="\r\n"), max_size=12),
    body=st.binary(max_size=20),
)
def test_any_request_is_answered(echo: Api, path: str, query: str, accept: str, content_type: str, body: bytes):
    target = f"default/{quote(path, safe='/')}?{quote(query)}"
    for sent in (target, f"default/a/{target}"):
        reply = get(echo, sent, "POST", body=body, Accept=accept, Content_Type=content_type)
        assert reply.status_code < 500
