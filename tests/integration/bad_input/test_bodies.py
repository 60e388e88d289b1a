"""Bodies and names that no request should have: each is refused with the reason, none by a fault of the server."""

from __future__ import annotations

from typing import Any, Final

import pytest
import requests

from tests.support.deploying import Deployer

MIB: Final = 1024 * 1024
JSON: Final = {"Content-Type": "application/json"}
ECHO: Final = "def main(args):\n    return args\n"
MALFORMED: Final = "The request content was malformed:\n"
LONG: Final = b'"padding": "' + b"x" * (3 * MIB) + b'", '
"""Makes a body travel as a spool."""
NO_NUMBER: Final = "Number too long"


@pytest.fixture(autouse=True)
def _deployed(live: Deployer) -> None:
    live.workflow("{dataflow: 1, steps: {a: {action: echo, inputs: $run}}, result: a}", name="native", echo=ECHO)


def post(live: Deployer, name: str, body: bytes, **headers: str) -> requests.Response:
    return live.call("POST", f"actions/{name}?blocking=true&result=true", data=body, headers={**JSON, **headers})


BAD: Final[list[tuple[bytes, str]]] = [
    (b"{", "Unexpected end-of-input at input index 1 (line 1, position 2), expected '\"':\n{\n ^\n"),
    (b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "JSON input nested too deeply"),
    (b'{"a": ' * 100_000 + b"1" + b"}" * 100_000, "JSON input nested too deeply"),
    (b'{"a": "\xff\xfe"}', "Illegal UTF-8 at byte 7"),
    (b'{"a": "\\ud800"}', "half a surrogate pair is no character"),
    (b'{"\\udfff": 1}', "half a surrogate pair is no character"),
    (b'{"a": NaN}', "NaN is not a JSON value"),
    (b'{"a": [-Infinity]}', "-Infinity is not a JSON value"),
    (b'{"a": ' + b"9" * 100_000 + b"}", NO_NUMBER),
    (b"[1]", "JSON object expected"),
    (b'"text"', "JSON object expected"),
    (b"null", "JSON object expected"),
    (b'\xef\xbb\xbf{"a": 1}', "Unexpected character"),
    ('{"a": 1}'.encode("utf-16"), "Illegal UTF-8 at byte 0"),
]


@pytest.mark.parametrize("name", ["echo", "native"])
@pytest.mark.parametrize(("body", "why"), BAD, ids=range(len(BAD)))
def test_a_body_that_is_no_json_object_is_refused_with_the_reason(live: Deployer, name: str, body: bytes, why: str):
    reply = post(live, name, body)
    assert reply.status_code == 400
    assert reply.json()["error"].startswith(MALFORMED + why)


@pytest.mark.parametrize(
    ("member", "why"),
    [
        (b'"a": "\\ud800"', "half a surrogate pair is no character"),
        (b'"a": NaN', "NaN is not a JSON value"),
        (b'"a": ' + b"[" * 100_000 + b"]" * 100_000, "JSON input nested too deeply"),
        (b'"a": ' + b"9" * 100_000, NO_NUMBER),
        (b'"a": 1,', "Unexpected character '}'"),
    ],
)
def test_so_is_one_that_is_too_large_for_a_message(live: Deployer, member: bytes, why: str):
    reply = post(live, "native", b"{" + LONG + member + b"}")
    assert reply.status_code == 400
    assert reply.json()["error"].startswith(MALFORMED + why)


@pytest.mark.parametrize("name", ["echo", "native"])
@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b"", {}),
        (b'{"a": 1, "a": 2}', {"a": 2}),
        (b'{"a": "\\ud83d\\ude00 \\u0000"}', {"a": "😀 \0"}),
        (b'{"": {"": ""}}', {"": {"": ""}}),
        (b'{"a": ' + b"9" * 4000 + b"}", {"a": 10**4000 - 1}),
        (b'{"a": -0.0, "b": 1e-400}', {"a": -0.0, "b": 0.0}),
    ],
    ids=range(6),
)
def test_what_is_odd_but_json_passes(live: Deployer, name: str, body: bytes, value: Any):
    reply = post(live, name, body)
    assert (reply.status_code, reply.json()) == (200, value)


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "multipart/form-data", "text/plain"])
def test_a_body_of_another_type_is_refused(live: Deployer, kind: str):
    reply = post(live, "echo", b"a=1", **{"Content-Type": kind})
    assert reply.status_code == 415
    assert reply.json()["error"] == (
        f"The request's Content-Type [{kind}] is not supported. Expected:\napplication/json"
    )


@pytest.mark.parametrize(("name", "bound"), [("echo", MIB), ("native", 64 * MIB)])
def test_parameters_above_their_bound_are_refused_and_the_connection_goes_on(live: Deployer, name: str, bound: int):
    body = b'{"a": "' + b"x" * bound + b'"}'
    reply = post(live, name, body)
    assert reply.status_code == 413
    assert reply.json()["error"] == f"Request larger than allowed: {len(body)} > {bound} bytes."
    if bound == MIB:
        assert post(live, name, b"{}").status_code == 200


def test_parameters_just_below_the_bound_of_a_workflow_pass(live: Deployer):
    body = b'{"a": "' + b"x" * (60 * MIB) + b'"}'
    reply = post(live, "native", body)
    assert reply.status_code == 200
    assert reply.content == body


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("actions/%2e%2e", 400),
        ("actions/%20", 400),
        ("actions/a%00b", 400),
        ("actions/%ff", 400),
        ("actions/%C3%A9", 400),
        ("actions/a%0d%0aX: y", 400),
        ("actions/" + "x" * 300, 400),
        ("actions/a%2fb", 404),
        ("actions/%2Fguest%2Fhello", 404),
        ("actions/a/b/c", 404),
        ("actions//", 404),
        ("activations/x", 400),
        ("activations/" + "0" * 32, 404),
        ("actions?limit=-1", 400),
        ("actions?limit=99999999999999999999", 400),
        ("actions?skip=x", 400),
        ("activations?since=1e400", 400),
        ("activations?name=a/b/c/d", 400),
        ("nothing", 404),
    ],
)
def test_odd_names_and_queries_are_refused(live: Deployer, path: str, status: int):
    reply = live.call("GET", path)
    assert reply.status_code == status
    assert reply.json()["error"]
    for method in ("PUT", "POST", "DELETE"):
        other = live.call(method, path, json={"exec": {"kind": "python:3", "code": "def main(args):\n    return {}\n"}})
        assert 400 <= other.status_code < 500


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"exec": None},
        {"exec": {"kind": "python:3"}},
        {"exec": {"kind": "python:3", "code": 7}},
        {"exec": {"kind": "python:3", "code": {}}},
        {"exec": {"kind": "cobol:1", "code": ""}},
        {"exec": {"kind": "sequence", "components": "hello"}},
        {"exec": {"kind": "sequence", "components": ["nowhere"]}},
        {"exec": {"kind": "dataflow:1", "code": []}},
        {"exec": {"kind": "python:3", "code": "x", "main": 7}},
        {"exec": {"kind": "python:3", "code": "x"}, "limits": {"memory": 1}},
        {"exec": {"kind": "python:3", "code": "x"}, "limits": {"timeout": -5}},
        {"exec": {"kind": "python:3", "code": "x"}, "limits": {"timeout": 1e308}},
        {"exec": {"kind": "python:3", "code": "x"}, "limits": []},
        {"exec": {"kind": "python:3", "code": "x"}, "parameters": {"a": 1}},
        {"exec": {"kind": "python:3", "code": "x"}, "parameters": [{"value": 1}]},
        {"exec": {"kind": "python:3", "code": "x"}, "annotations": [[]]},
        {"exec": {"kind": "python:3", "code": "x"}, "version": 7},
        [],
        "text",
        None,
    ],
    ids=range(21),
)
def test_an_action_that_is_none_is_refused(live: Deployer, body: Any):
    reply = live.call("PUT", "actions/none", json=body)
    assert 400 <= reply.status_code < 500, reply.text
    assert reply.json()["error"]
    assert live.call("GET", "actions/none").status_code == 404


def test_code_above_its_bound_is_refused(live: Deployer):
    reply = live.put("none", "#" * (49 * MIB))
    assert reply.status_code == 413
    assert "larger than allowed" in reply.json()["error"]
