from __future__ import annotations

from typing import Any

import pytest

from controller_ext.webactions.terms import Terms

DEFAULT_HEADERS = "Authorization, Origin, X-Requested-With, Content-Type, Accept, User-Agent"


def terms(**annotations: Any) -> Terms | None:
    return Terms.of([{"key": key.replace("_", "-"), "value": value} for key, value in annotations.items()])


def exported(**annotations: Any) -> Terms:
    found = terms(web_export=True, **annotations)
    assert found is not None
    return found


@pytest.mark.parametrize("annotations", [{}, *({"web_export": one} for one in (False, "true", 1, None, "raw"))])
def test_only_what_says_true_is_a_web_action(annotations: dict[str, Any]):
    assert terms(**annotations) is None


@pytest.mark.parametrize("value", [False, "true", 1, None])
def test_flags_are_booleans(value: Any):
    found = exported(raw_http=value, web_custom_options=value)
    assert (found.raw, found.own_options) == (False, False)


@pytest.mark.parametrize(
    ("wanted", "given", "known", "allowed"),
    [
        (True, None, True, True),
        (True, None, False, False),
        (True, "true", False, False),
        (False, None, False, True),
        ("secret", "secret", False, True),
        ("secret", "Secret", False, False),
        ("secret", None, True, False),
        ("ä", "ä", False, True),
        (777, "777", False, True),
        (777, "778", True, False),
        (1.5, "1.5", False, True),
        (None, None, True, False),
        ({"a": 1}, '{"a":1}', True, False),
        ([], "", True, False),
    ],
)
def test_a_secret_or_a_key_lets_in(wanted: Any, given: str | None, known: bool, allowed: bool):
    found = exported(require_whisk_auth=wanted)
    assert found.allow("GET", given, known=known) is allowed
    assert found.allow("OPTIONS", given, known=known) is allowed


def test_an_action_that_answers_options_itself_answers_anybody():
    found = exported(require_whisk_auth="secret", web_custom_options=True)
    assert found.allow("OPTIONS", None, known=False)
    assert not found.allow("GET", None, known=False)
    assert found.cors("x") == ()


@pytest.mark.parametrize(("asked", "told"), [(None, DEFAULT_HEADERS), ("x-foo", "x-foo")])
def test_the_headers_that_a_browser_asks_for_are_allowed(asked: str | None, told: str):
    assert dict(exported().cors(asked)) == {
        "Access-Control-Allow-Origin": "*",
        "Access-Control-Allow-Methods": "OPTIONS, GET, DELETE, POST, PUT, HEAD, PATCH",
        "Access-Control-Allow-Headers": told,
    }
