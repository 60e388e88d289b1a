from __future__ import annotations

import pytest

from controller_ext.webactions import media

TEXT = ["text/plain", "text/x-unknown", "application/json", "application/x+json", "application/xml", media.FORM]
BYTES = ["image/png", "image/svg+xml", "application/octet-stream", "application/zip", "audio/mpeg", "application/x-own"]


def parsed(text: str) -> media.MediaType:
    found = media.parse(text)
    assert found is not None
    return found


@pytest.mark.parametrize("text", TEXT)
def test_text_and_what_is_like_it_is_not_binary(text: str):
    assert not parsed(text).binary


@pytest.mark.parametrize("text", [*BYTES, "multipart/form-data; boundary=x; charset=utf-8", "image/png; charset=utf-8"])
def test_everything_else_is_binary(text: str):
    assert parsed(text).binary


def test_an_unknown_type_with_a_charset_is_text():
    assert not parsed("application/x-own; charset=utf-8").binary


@pytest.mark.parametrize("text", ["", "text", "*/*", "text/*", "a b/c", ";charset=utf-8", "text/plain/x", "/"])
def test_what_is_no_type_is_none(text: str):
    assert media.parse(text) is None


@pytest.mark.parametrize(
    ("text", "request_form", "response_form"),
    [
        ("Text/HTML", "text/html", "text/html; charset=UTF-8"),
        ("text/html;charset=iso-8859-1", "text/html; charset=ISO-8859-1", "text/html; charset=UTF-8"),
        ("application/json; charset=utf-8", "application/json", "application/json"),
        ("image/png", "image/png", "image/png"),
        ("text/plain; format=flowed", "text/plain; format=flowed", "text/plain; format=flowed; charset=UTF-8"),
    ],
)
def test_a_type_is_written_as_stock_writes_it(text: str, request_form: str, response_form: str):
    assert parsed(text).of_request() == request_form
    assert parsed(text).of_response() == response_form


@pytest.mark.parametrize(
    ("header", "content_type", "allowed"),
    [
        (None, "text/html; charset=UTF-8", True),
        ("", "text/html; charset=UTF-8", True),
        (";;;=,", "text/html; charset=UTF-8", True),
        ("*/*", "image/png", True),
        ("text/*", "text/html; charset=UTF-8", True),
        ("text/html;charset=utf-8", "text/html; charset=UTF-8", True),
        ("application/json", "text/html; charset=UTF-8", False),
        ("application/json, text/html;q=0.1", "text/html; charset=UTF-8", True),
        ("text/html;q=0, */*", "text/html; charset=UTF-8", False),
        ("image/*;q=0", "image/png", False),
        ("application/json", "application/json", True),
    ],
)
def test_an_accept_header_allows_or_excludes_a_type(header: str | None, content_type: str, allowed: bool):
    assert media.accepted(header, content_type) is allowed
