"""Wrong values in every place of a request: stock's status and text, and nothing of it is stored."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from tests.support.api import Api, make_api, places

ENTITIES: Final[dict[str, dict[str, Any]]] = {
    "actions": {
        "exec": {"kind": "python:3", "code": "x", "main": "main", "binary": False},
        "parameters": [{"key": "a", "value": 1, "init": True, "encryption": None}],
        "annotations": [{"key": "a", "value": 1}],
        "limits": {"timeout": 1000, "memory": 128, "logs": 1, "concurrency": 1, "instances": 1},
        "version": "1.0.0",
        "publish": True,
        "delAnnotations": ["x"],
    },
    "packages": {
        "binding": {"namespace": "_", "name": "p"},
        "parameters": [{"key": "a", "value": 1}],
        "annotations": [{"key": "a", "value": 1}],
        "version": "1.0.0",
        "publish": True,
    },
    "triggers": {
        "parameters": [{"key": "a", "value": 1}],
        "annotations": [{"key": "feed", "value": "/_/p/feed"}],
        "limits": {},
        "version": "1.0.0",
        "publish": True,
    },
    "rules": {
        "trigger": {"path": "_", "name": "t"},
        "action": "/_/a",
        "annotations": [{"key": "a", "value": 1}],
        "version": "1.0.0",
        "publish": True,
        "status": "active",
    },
}
ODD: Final = (
    "null", "true", "0", "-1", "1.5", '""', '"x"', "[]", "{}", "[null]", '{"a":1}', "-0", "1e999", "-1e999", "1e308",
    "9" * 100, "9" * 101, "9" * 5000, "0." + "1" * 400, '"\\u0000"', '"\\ud83d\\ude00"', '"\\ud800"', '"a/b/c/d"',
    '"/"', "[" * 500 + "]" * 500, "[" * 5000 + "]" * 5000, '{"a":' * 5000 + "1" + "}" * 5000, "NaN", "-Infinity", "01",
    "'x'", '"' + "x" * 1000 + '"', '{"key":1,"value":2}', '[{"key":"a"}]', '[{"key":"","value":1}]', '{"path":"_"}',
)  # fmt: skip
"""JSON texts, and some that are none."""
HOLE: Final = "\N{REPLACEMENT CHARACTER}"
NAME: Final = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_@ .&-]{0,254}[A-Za-z0-9_@.&-])?")
MALFORMED: Final = "The request content was malformed:\n"
SHARED: Final = settings(max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture])
FLAGS: Final = [
    ("PUT", "actions/q", "overwrite"),
    ("PUT", "packages/q", "overwrite"),
    ("PUT", "triggers/q", "overwrite"),
    ("PUT", "rules/q", "overwrite"),
    ("DELETE", "packages/p", "force"),
    ("GET", "actions/a", "code"),
    ("GET", "actions", "count"),
    ("GET", "packages", "count"),
    ("GET", "triggers", "count"),
    ("GET", "rules", "count"),
    ("GET", "activations", "count"),
    ("GET", "activations", "docs"),
    ("POST", "actions/a", "blocking"),
    ("POST", "actions/a", "result"),
]
TRUE: Final = {"true", "yes", "on", "1"}
FALSE: Final = {"false", "no", "off", "0"}
BODIES: Final = {"actions": {"exec": {"kind": "python:3", "code": ""}}, "rules": {"trigger": "/_/t", "action": "/_/a"}}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """An API with one entity of each collection."""
    api = make_api(tmp_path_factory.mktemp("api"))
    api.action("a")
    api.put("packages/p", {})
    api.put("triggers/t", {})
    yield api
    api.close()


def with_text(value: Any, at: tuple[Any, ...], text: str) -> bytes:
    """Return the JSON of a value with a text in one place of it."""

    def holed(inner: Any, rest: tuple[Any, ...]) -> Any:
        if not rest:
            return HOLE
        copy = dict(inner) if isinstance(inner, dict) else list(inner)
        copy[rest[0]] = holed(inner[rest[0]], rest[1:])
        return copy

    return json.dumps(holed(value, at), ensure_ascii=False).replace(f'"{HOLE}"', text).encode()


@pytest.mark.parametrize("collection", ENTITIES)
def test_no_odd_value_anywhere_is_a_failure_of_the_server_or_stored_in_part(shared: Api, collection: str):
    body, path = ENTITIES[collection], f"{collection}/x"
    for at in places(body):
        for text in ODD:
            reply = shared.put(path, with_text(body, at, text))
            assert reply.status_code in (200, 400, 403, 404, 409), (at, text[:40], reply.text[:200])
            if reply.status_code == 200:
                assert shared.call("GET", path).status_code in (200, 404)  # a binding may lead nowhere
                assert shared.call("GET", collection).status_code == 200
                assert shared.call("DELETE", path).status_code == 200
            else:
                assert reply.get_json()["error"]
                assert shared.entities.get("guest/x") is None, (at, text[:40])


@pytest.mark.parametrize("collection", ENTITIES)
@pytest.mark.parametrize("text", ["[", "{", '{"a"', "nul", "01", "'x'", "NaN", "1e999", "9" * 101, '"\\ud800"'])
def test_what_is_no_json_is_told_so(shared: Api, collection: str, text: str):
    reply = shared.put(f"{collection}/x", f'{{"annotations":[{{"key":"a","value":{text}}}]}}'.encode())
    assert reply.status_code == 400
    assert reply.get_json()["error"].startswith(MALFORMED)


@SHARED
@given(name=st.text(min_size=1, max_size=8).filter(lambda text: "/" not in text) | st.from_regex(NAME, fullmatch=True))
@pytest.mark.parametrize("collection", ENTITIES)
def test_a_name_is_taken_if_stock_takes_it(shared: Api, collection: str, name: str):
    path = f"{collection}/{quote(name, safe='')}"
    reply = shared.call("PUT", path, BODIES.get(collection, {}))
    if shared.entities.get(f"guest/{name}") is not None and reply.status_code == 409:
        return  # one of those that the others need
    if NAME.fullmatch(name) and (collection, name) != ("packages", "default"):
        assert (reply.status_code, reply.get_json()["name"]) == (200, name)
        assert shared.call("DELETE", path).status_code == 200
    else:
        assert reply.status_code == 400
        assert shared.entities.get(f"guest/{name}") is None


@SHARED
@given(text=st.text(max_size=6) | st.sampled_from(sorted(TRUE | FALSE)).map(str.upper))
@pytest.mark.parametrize(("method", "path", "name"), FLAGS)
def test_a_flag_is_true_false_or_refused(shared: Api, method: str, path: str, name: str, text: str):
    body = BODIES.get(path.partition("/")[0], {}) if method in ("PUT", "POST") else None
    reply = shared.call(method, f"{path}?{name}={quote(text, safe='')}", body)
    if text.lower() in TRUE | FALSE:
        assert reply.status_code in (200, 202)
        if method == "PUT":
            shared.call("DELETE", path)
        elif method == "DELETE":
            shared.call("PUT", path, {})
    else:
        text = f"The query parameter '{name}' was malformed:\n'{text}' is not a valid Boolean value"
        assert (reply.status_code, reply.get_json()["error"]) == (400, text)
        if method == "PUT":
            assert shared.call("GET", path).status_code == 404
        elif method == "DELETE":
            assert shared.call("GET", path).status_code == 200


@SHARED
@given(text=st.text(max_size=6) | st.integers(-300, 300).map(str))
@pytest.mark.parametrize("collection", [*ENTITIES, "activations"])
def test_a_window_is_whole_numbers_in_their_range(shared: Api, collection: str, text: str):
    number = int(text) if re.fullmatch(r"[-+]?[0-9]{1,18}", text) else None
    for name, most in (("limit", 200), ("skip", 10**18)):
        reply = shared.call("GET", f"{collection}?{name}={quote(text, safe='')}")
        fits = number is not None and 0 <= number <= most
        assert reply.status_code == (200 if fits else 400)


@SHARED
@given(text=st.text(max_size=6) | st.integers(-10, 70_000).map(str))
def test_a_wait_is_whole_milliseconds_up_to_a_minute(shared: Api, text: str):
    number = int(text) if re.fullmatch(r"[-+]?[0-9]{1,18}", text) else 0
    reply = shared.call("POST", f"actions/a?timeout={quote(text, safe='')}", {})
    assert reply.status_code == (202 if 0 < number <= 60_000 else 400)
