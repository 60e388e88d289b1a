"""Requests to web actions: which are answered, in which order they are checked, what an action gets of them."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from controller_ext.entities.limits import SystemLimits
from controller_ext.runs.accept import INLINE_BYTES, WEB_RESULT_BYTES
from controller_ext.runs.ports import Throttled
from invoker_ext.stores.subjects import GUEST_KEY, subject
from tests.support.api import GUEST, SYSTEM, Api, basic
from tests.support.swagger import apidoc
from tests.support.web import HTML, ID, ORIGIN, WEB, answering, error_of, export, get, given_to

ALLOWED = "Access-Control-Allow-Headers"
NOT_FOUND = "The requested resource does not exist."
UNAUTHORIZED = "Authentication is possible but has failed or not yet been provided."
NOT_ALLOWED = "Request defines parameters that are not allowed (e.g., reserved properties)."
WORKFLOW = "dataflow: 1\nsteps:\n  one:\n    action: a\n    inputs: {x: $run.x}\nresult: one\n"


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


@pytest.mark.parametrize(("secret", "sent"), [("s3cret", "s3cret"), (777, "777"), ("é", "\xc3\xa9")])
def test_an_action_may_want_a_secret(echo: Api, secret: Any, sent: str):
    export(echo, require_whisk_auth=secret)
    assert get(echo, "default/a", auth=GUEST).status_code == 401
    assert get(echo, "default/a", X_Require_Whisk_Auth="other").status_code == 401
    assert get(echo, "default/a", X_Require_Whisk_Auth=sent).status_code == 200


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


def test_a_request_for_an_api_of_the_gateway_reaches_its_action(echo: Api):
    export(echo, "hello", require_whisk_auth="s3cret")
    doc = {"apidoc": apidoc("/p", secureKey="s3cret")}
    made = echo.call("POST", "/api/v1/web/whisk.system/apimgmt/createApi.http?responsetype=json", doc)
    assert made.status_code == 200
    uuid = GUEST_KEY.partition(":")[0]
    assert echo.client.get(f"/api/{uuid}/base/p/more%2Fx?y=1").status_code == 200
    assert (given_to(echo)["__ow_path"], given_to(echo)["y"]) == ("/more%2Fx", "1")


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
