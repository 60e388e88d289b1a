from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, strategies as st

from controller_ext.entities.errors import Malformed
from controller_ext.webactions.arguments import RESERVED, Arguments, WebRequest, build

FRAME = {"__ow_method": "post", "__ow_headers": {}, "__ow_path": ""}
FORM = "application/x-www-form-urlencoded"


def request(body: bytes = b"", content_type: str | None = None, query: bytes = b"", **more: Any) -> WebRequest:
    parts: dict[str, Any] = {"method": "POST", "headers": {}, "path": "", "user": None, **more}
    return WebRequest(query=query, content_type=content_type, body=body, **parts)


def given_to(made: Arguments, **defaults: Any) -> Any:
    return json.loads(made.over({name: json.dumps(value).encode() for name, value in defaults.items()}))


def rest(made: Arguments) -> dict[str, Any]:
    """Return the arguments without what every request gives."""
    return {name: value for name, value in given_to(made).items() if name not in FRAME}


def test_a_bare_request_gives_its_frame():
    made = build(request(method="GET", headers={"host": "x"}, path="/a/b%20c", user="guest"), raw=False)
    assert given_to(made) == {
        "__ow_method": "get",
        "__ow_headers": {"host": "x"},
        "__ow_path": "/a/b%20c",
        "__ow_user": "guest",
    }


@pytest.mark.parametrize(
    ("content_type", "body", "arguments"),
    [
        (None, b"", {}),
        ("application/json", b"", {}),
        ("application/json", b' {"k": 1}', {"k": 1}),
        ("application/vnd.api+json; charset=utf-8", b'{"k": 1}', {"k": 1}),
        ("application/json", b"[1, 2]", {"__ow_body": [1, 2]}),
        ("application/json", b'"x"', {"__ow_body": "x"}),
        ("application/json", b"null", {"__ow_body": None}),
        (FORM, b"a=1&b=two&a=3", {"a": "3", "b": "two"}),
        (FORM + "; charset=UTF-8", b"a=%C3%A4+b&c&=d", {"a": "ä b", "c": "", "": "d"}),
        (FORM, b"", {}),
        (FORM, b"a=%FF", {"a": "�"}),
        ("text/plain", b"hello", {"__ow_body": "hello"}),
        ("text/plain", b"\xff", {"__ow_body": "�"}),
        ("text/plain", b"", {"__ow_body": ""}),
        ("application/xml", b"<a/>", {"__ow_body": "<a/>"}),
        ("image/png", b"\x89PNG", {"__ow_body": "iVBORw=="}),
        ("multipart/form-data; boundary=x", b"--x--", {"__ow_body": "LS14LS0="}),
        (None, b"\x00", {"__ow_body": "AA=="}),
        ("no type", b"\x00", {"__ow_body": "AA=="}),
    ],
)
def test_a_body_becomes_arguments_by_its_type(content_type: str | None, body: bytes, arguments: dict[str, Any]):
    assert rest(build(request(body, content_type), raw=False)) == arguments


@pytest.mark.parametrize(
    ("content_type", "body", "sent"),
    [
        (None, b"", ""),
        ("application/json", b'{"a": 1}', "eyJhIjogMX0="),
        ("application/json; charset=utf-8", b"x", "eA=="),
        ("application/vnd.api+json", b'{"a": 1}', '{"a": 1}'),
        ("text/plain", b"hello", "hello"),
        (FORM, b"a=1", "a=1"),
        ("image/png", b"\x89PNG", "iVBORw=="),
        (None, b"x", "eA=="),
    ],
)
def test_a_raw_action_gets_the_body_as_it_was_sent(content_type: str | None, body: bytes, sent: str):
    made = build(request(body, content_type, b"a=%20&b"), raw=True)
    assert rest(made) == {"__ow_query": "a=%20&b", "__ow_body": sent}
    assert made.allowed(frozenset({"a", "b", "__ow_body"}))


@pytest.mark.parametrize(
    ("content_type", "body", "seen"),
    [
        ("application/json; charset=utf-8", b"{}", "application/json"),
        ("text/plain;charset=utf-8", b"x", "text/plain; charset=UTF-8"),
        (None, b"x", "application/octet-stream"),
        ("text/plain", b"", "text/plain"),
        (None, b"", None),
    ],
)
def test_the_content_type_is_among_the_headers_if_there_is_one(content_type: str | None, body: bytes, seen: str | None):
    assert given_to(build(request(body, content_type), raw=False))["__ow_headers"].get("content-type") == seen


def test_query_goes_over_the_actions_parameters_and_the_body_over_both():
    made = build(request(b'{"c": 3}', "application/json", b"b=2&c=2&b=22"), raw=False)
    found = given_to(made, a=1, b=1, c=1, __ow_method="own")
    assert found == {**FRAME, "a": 1, "b": "22", "c": 3, "__ow_headers": {"content-type": "application/json"}}


@pytest.mark.parametrize("name", sorted(RESERVED))
@pytest.mark.parametrize("place", ["query", "json", "form"])
def test_what_is_reserved_cannot_be_given(name: str, place: str):
    pair = f"{name}=x".encode()
    made = {
        "query": request(query=pair),
        "json": request(json.dumps({name: "x"}).encode(), "application/json"),
        "form": request(pair, FORM),
    }[place]
    assert not build(made, raw=False).allowed(frozenset())


def test_a_final_parameter_cannot_be_given():
    made = build(request(query=b"a=1"), raw=False)
    assert made.allowed(frozenset({"b"}))
    assert not made.allowed(frozenset({"a"}))


@pytest.mark.parametrize(
    ("content_type", "body", "query"),
    [
        ("application/json", b'{"a":', b""),
        ("application/json", b"NaN", b""),
        ("application/json", b"\xff", b""),
        ("application/json", b"[" * 100_000, b""),
        (FORM, b"a=%zz", b""),
        (FORM, b"a=%", b""),
        (None, b"", b"a=%4"),
    ],
)
def test_what_cannot_be_read_is_malformed(content_type: str | None, body: bytes, query: bytes):
    with pytest.raises(Malformed):
        build(request(body, content_type, query), raw=False)


types = st.none() | st.sampled_from(["application/json", FORM, "text/plain", "image/png"]) | st.text(max_size=20)


@given(body=st.binary(max_size=40), content_type=types, query=st.binary(max_size=20), raw=st.booleans())
def test_any_request_gives_arguments_or_is_malformed(body: bytes, content_type: str | None, query: bytes, raw: bool):
    try:
        made = build(request(body, content_type, query), raw=raw)
    except Malformed:
        return
    assert given_to(made).keys() >= FRAME.keys() - made.asked
