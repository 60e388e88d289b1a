from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, strategies as st

from controller_ext.webactions.answers import Answer, Refusal, transcode

PNG = "iVBORw0KGgo="
HTTP = Refusal(400, "Response is not valid 'message/http'.")
MISSING = Refusal(404, "Response does not include requested property.")
WRONG = Refusal(400, "Response type in header did not match generated content type.")
HTML = "text/html; charset=UTF-8"
PLAIN = "text/plain; charset=UTF-8"


def answer(value: Any, extension: str = "http", status: int = 0) -> Answer | Refusal:
    return transcode(json.dumps(value).encode(), status, extension)


def invalid(media_type: str) -> Refusal:
    return Refusal(400, f"Response is not valid '{media_type}'.")


@pytest.mark.parametrize(
    ("extension", "value", "wanted"),
    [
        ("json", {"a": 1}, Answer(200, b'{\n  "a": 1\n}', "application/json")),
        ("json", [1, 2], Answer(200, b"[1, 2]", "application/json")),
        ("html", {"html": "h", "body": "b"}, Answer(200, b"b", HTML)),
        ("html", {"html": "ä"}, Answer(200, "ä".encode(), HTML)),
        ("html", {}, invalid("text/html")),
        ("html", {"body": None, "html": "h"}, invalid("text/html")),
        ("html", {"html": 1}, invalid("text/html")),
        ("html", ["x"], invalid("text/html")),
        ("svg", {"svg": "<svg/>"}, Answer(200, b"<svg/>", "image/svg+xml")),
        ("svg", {"html": "x"}, invalid("image/svg+xml")),
        ("text", {"text": "t", "body": "b"}, Answer(200, b"b", PLAIN)),
        ("text", {"text": "t"}, Answer(200, b"t", PLAIN)),
        ("text", {"text": {"a": [1]}}, Answer(200, b'{\n  "a": [1]\n}', PLAIN)),
        ("text", {"text": [1, True]}, Answer(200, b"[1, true]", PLAIN)),
        ("text", {"text": True}, Answer(200, b"true", PLAIN)),
        ("text", {"text": None}, Answer(200, b"null", PLAIN)),
        ("text", {"text": 1.50}, Answer(200, b"1.5", PLAIN)),
        ("text", {"text": ""}, Answer(200, b"", PLAIN)),
        ("text", {"a": 1}, MISSING),
        ("text", [1], Answer(200, b"[1]", PLAIN)),
        ("http", [1], HTTP),
    ],
)
def test_an_extension_takes_what_it_can_show(extension: str, value: Any, wanted: Answer | Refusal):
    assert answer(value, extension) == wanted


@pytest.mark.parametrize("status", [2, 3])
@pytest.mark.parametrize("extension", ["http", "json", "html", "svg", "text"])
def test_an_action_that_failed_is_said_to_have(extension: str, status: int):
    assert answer({"error": "x"}, extension, status) == Refusal(400, "There was an error processing your request.")


@pytest.mark.parametrize(
    ("extension", "error", "wanted"),
    [
        ("http", {"statusCode": 418, "body": "teapot"}, Answer(418, b"teapot", HTML)),
        ("http", "plain", HTTP),
        ("json", {"a": 1}, Answer(200, b'{\n  "a": 1\n}', "application/json")),
        ("json", "plain", invalid("application/json")),
        ("text", "plain", Answer(200, b"plain", PLAIN)),
        ("html", "plain", Answer(200, b"plain", HTML)),
        ("svg", {"svg": "<svg/>"}, Answer(200, b"<svg/>", "image/svg+xml")),
    ],
)
def test_an_application_error_is_shown_as_a_result_would_be(extension: str, error: Any, wanted: Answer | Refusal):
    assert answer({"error": error}, extension, 1) == wanted


def test_an_application_error_without_an_error_is_missing():
    assert answer({}, "http", 1) == MISSING


def test_no_result_is_an_empty_one():
    assert transcode(None, 0, "http") == Answer(204)


@pytest.mark.parametrize(
    ("code", "status"), [(201, 201), (201.0, 201), ("404", 404), ("+200", 200), (555, 555), (999, 999)]
)
def test_a_status_is_a_whole_number(code: Any, status: int):
    assert answer({"statusCode": code, "body": "x"}) == Answer(status, b"x", HTML)


@pytest.mark.parametrize(
    "code", [200.5, "x", "", " 200", "2e2", True, None, [], {}, 99, 100, 1000, -1, 10**30, "9" * 99]
)
def test_what_cannot_end_a_request_is_no_status(code: Any):
    assert answer({"statusCode": code, "body": "x"}) == HTTP


def test_a_number_too_large_to_be_read_is_no_status():
    for text in (b"1e999999999", b"1e99999999999999999999", b"9" * 5000):
        assert transcode(b'{"statusCode":' + text + b"}", 0, "http") == HTTP


@pytest.mark.parametrize("body", [{}, {"body": None}, {"body": ""}])
def test_an_empty_body_has_no_type_and_says_so_by_its_status(body: dict[str, Any]):
    headers = {"Location": "http://example.com/", "Content-Type": "text/plain"}
    assert answer(body) == Answer(204)
    assert answer({"statusCode": 302, "headers": headers, **body}) == Answer(
        302, headers=(("Location", "http://example.com/"),)
    )


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({"X-Foo": "bar"}, [("X-Foo", "bar")]),
        ({"X": 1, "Y": True, "Z": 1.5}, [("X", "1"), ("Y", "true"), ("Z", "1.5")]),
        ({"Set-Cookie": ["a=1", ["b=2", 3]]}, [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("Set-Cookie", "3")]),
        ({"X": []}, []),
        ({"X": "ä"}, [("X", "\xc3\xa4")]),
        (
            {"Content-Length": "7", "transfer-encoding": "chunked", "Connection": "close", "Date": "x"},
            [],
        ),
    ],
)
def test_headers_are_sent_one_a_value(given: Any, sent: list[tuple[str, str]]):
    assert answer({"headers": given, "body": "x"}) == Answer(200, b"x", HTML, tuple(sent))


SPLIT = "a\r\nSet-Cookie: b"


@pytest.mark.parametrize(
    "headers",
    [
        None,
        "x",
        [],
        1,
        {"X": None},
        {"X": {}},
        {"X": [{}]},
        {"X Y": "z"},
        {"": "z"},
        {"X": "a\r\nSet-Cookie: b"},
        {"X\n": "y"},
    ],
)
def test_what_is_no_header_makes_no_answer(headers: Any):
    assert answer({"headers": headers, "body": "x"}) == HTTP


@pytest.mark.parametrize(
    ("content_type", "body", "wanted"),
    [
        (None, "x", Answer(200, b"x", HTML)),
        ("text/plain; charset=iso-8859-1", "ä", Answer(200, "ä".encode(), PLAIN)),
        ("image/png", PNG, Answer(200, b"\x89PNG\r\n\x1a\n", "image/png")),
        ("image/png", "YQ", Answer(200, b"a", "image/png")),
        ("image/png", "no base64", WRONG),
        ("image/png", "ä", WRONG),
        ("application/json", '{"a":1}', Answer(200, b'{"a":1}', "application/json")),
        ("application/json", "eyJhIjoxfQ==", Answer(200, b'{"a":1}', "application/json")),
        ("application/xml", "<a/>", Answer(200, b"<a/>", "application/xml; charset=UTF-8")),
        ("nonsense", "x", Refusal(400, "Response did not specify a known content-type.")),
        (7, "x", Refusal(400, "Response did not specify a known content-type.")),
        (None, {"a": 1}, Answer(200, b'{\n  "a": 1\n}', "application/json")),
        ("application/json; charset=utf-8", [1, 2], Answer(200, b"[1, 2]", "application/json")),
        ("application/vnd.api+json", {}, Answer(200, b"{\n\n}", "application/vnd.api+json")),
        ("application/json", 7, Answer(200, b"7", "application/json")),
        ("application/json", False, Answer(200, b"false", "application/json")),
        ("text/plain", {"a": 1}, WRONG),
        ("nonsense", {"a": 1}, WRONG),
    ],
)
def test_a_body_is_what_its_type_makes_of_it(content_type: Any, body: Any, wanted: Answer | Refusal):
    headers = {} if content_type is None else {"conTent-Type": content_type}
    assert answer({"headers": headers, "body": body}) == wanted


@pytest.mark.parametrize("status", [204, 205, 304])
@pytest.mark.parametrize("body", ["x", {}])
def test_a_status_that_has_no_body_is_sent_without(status: int, body: Any):
    assert answer({"statusCode": status, "body": body}) == Answer(status)


@pytest.mark.parametrize("raw", [b"[" * 990 + b"]" * 990, b'{"body":' * 950 + b"1" + b"}" * 950, b"NaN", b"{"])
def test_a_result_that_cannot_be_shown_is_refused(raw: bytes):
    for extension in ("http", "json", "html", "svg", "text"):
        found = transcode(raw, 0, extension)
        assert isinstance(found, Answer) or found.status in (400, 404)


inner = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8) | st.just(PNG),
    lambda one: st.lists(one, max_size=3) | st.dictionaries(st.text(max_size=8), one, max_size=3),
    max_leaves=8,
)
responses = st.fixed_dictionaries(
    {},
    optional={
        "statusCode": st.integers(90, 1010) | inner,
        "headers": st.dictionaries(st.sampled_from(["content-type", "x-a"]) | st.text(max_size=5), inner) | inner,
        "body": inner,
        "html": inner,
        "svg": inner,
        "text": inner,
        "error": inner,
    },
)


@given(
    value=responses | inner,
    status=st.sampled_from([0, 1]),
    extension=st.sampled_from(["http", "json", "html", "svg", "text"]),
)
def test_any_result_is_an_answer_or_refused_as_the_actions_fault(value: Any, status: int, extension: str):
    found = answer(value, extension, status)
    if isinstance(found, Refusal):
        assert found.status in (400, 404)
        return
    assert 200 <= found.status < 1000
    assert bool(found.body) <= (found.content_type is not None)
    for name, text in found.headers:
        assert not set((name + text).encode("latin-1")) & set(b"\r\n\0")
