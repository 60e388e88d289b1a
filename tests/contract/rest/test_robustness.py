"""Whatever a client sends, the server answers with its fault, never with ours."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from controller_ext.runs.ports import Accepted
from tests.support.api import Api, make_api, places
from tests.support.swagger import apidoc, document, operation

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6)
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
ACTION: dict[str, Any] = {
    "exec": {"kind": "python:3", "code": "x", "main": "main", "binary": False},
    "parameters": [{"key": "a", "value": 1, "init": True, "encryption": None}],
    "annotations": [{"key": "a", "value": 1}],
    "limits": {"timeout": 1000, "memory": 128, "logs": 1, "concurrency": 1, "instances": 1},
    "version": "1.0.0",
    "publish": True,
    "delAnnotations": ["x"],
}
SEQUENCE: dict[str, Any] = {"exec": {"kind": "sequence", "components": ["/_/a", "/guest/p/b"]}}
WORKFLOW: dict[str, Any] = {
    "exec": {"kind": "dataflow:1", "code": "dataflow: 1\nsteps: {one: {action: a}}\nresult: one\n"}
}
PACKAGE: dict[str, Any] = {
    "binding": {"namespace": "_", "name": "p"},
    "parameters": [],
    "annotations": [],
    "publish": 1,
}
TRIGGER: dict[str, Any] = {
    "parameters": [{"key": "a", "value": 1}],
    "annotations": [{"key": "feed", "value": "/whisk.system/alarms/alarm"}],
    "limits": {},
    "version": "1.0.0",
    "publish": False,
}
RULE: dict[str, Any] = {
    "trigger": "/_/t",
    "action": {"path": "guest", "name": "a"},
    "annotations": [{"key": "a", "value": 1}],
    "version": "1.0.0",
    "publish": False,
    "status": "",
}


WEB_URL = "https://h/api/v1/web/guest/default/a"
APIDOC = apidoc("/p/{id}", "GET", "/base", secureKey="k", apiName="A", pathParameters=[{"name": "id", "in": "path"}])
SWAGGER: dict[str, Any] = document(
    {"/p": {"get": operation("x", f"{WEB_URL}.http", parameters=[{"name": "q", "in": "query"}]), "parameters": []}},
    **{
        "x-ibm-configuration": {
            "cors": {"enabled": True},
            "assembly": {
                "execute": [
                    {"set-variable": {"actions": [{"set": "message.headers.X-A", "value": "b"}]}},
                    {
                        "operation-switch": {
                            "case": [
                                {
                                    "operations": ["x"],
                                    "execute": [
                                        {"invoke": {"target-url": f"{WEB_URL}.http$(request.path)", "verb": "keep"}}
                                    ],
                                }
                            ]
                        }
                    },
                ]
            },
        }
    },
)


def replaced(value: Any, at: tuple[Any, ...], new: Any) -> Any:
    if not at:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[at[0]] = replaced(value[at[0]], at[1:], new)
    return copy


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    api = make_api(tmp_path_factory.mktemp("api"))
    api.balancer.respond = lambda message: Accepted(message.activation_id)
    api.action("a")
    api.put("packages/p", {})
    api.put("triggers/t", {})
    yield api
    api.close()


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("actions/x", ACTION),
        ("actions/x", SEQUENCE),
        ("actions/x", WORKFLOW),
        ("packages/y", PACKAGE),
        ("triggers/z", TRIGGER),
        ("rules/r", RULE),
    ],
)
def test_a_wrong_type_anywhere_in_a_body_is_the_callers_fault(shared: Api, path: str, body: Any, data: st.DataObject):
    at = data.draw(st.sampled_from(list(places(body))))
    bad = replaced(body, at, data.draw(anything))
    reply = shared.put(path, json.dumps(bad).encode())
    assert reply.status_code < 500, (bad, reply.data)
    if reply.status_code == 200:
        assert shared.call("GET", path).status_code in (200, 404)
        assert shared.call("GET", path.partition("/")[0]).status_code == 200
        assert shared.call("POST", path, {}).status_code < 500
        shared.call("DELETE", path)
    else:
        assert shared.call("GET", path).status_code == 404


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
@pytest.mark.parametrize("doc", [APIDOC, {"namespace": "_", "swagger": SWAGGER}], ids=["endpoint", "swagger"])
def test_a_wrong_type_anywhere_in_an_api_is_the_callers_fault(shared: Api, doc: Any, data: st.DataObject):
    at = data.draw(st.sampled_from(list(places(doc))))
    bad = replaced(doc, at, data.draw(anything))
    management = "/api/v1/web/whisk.system/apimgmt"
    reply = shared.call("POST", f"{management}/createApi?responsetype=http", json.dumps({"apidoc": bad}).encode())
    assert reply.status_code < 500, (bad, reply.data)
    made = [one["value"] for one in shared.call("GET", f"{management}/getApi").get_json()["apis"]]
    assert len(made) == (reply.status_code == 200)
    for one in made:
        base = one["gwApiUrl"].removeprefix("http://localhost")
        for path in ("/p", "/p/7", ""):
            assert shared.client.open(quote(base) + path).status_code < 500
        name = quote(one["apidoc"]["basePath"], safe="")
        for more in ("relpath=/p&operation=get&", ""):
            assert shared.call("DELETE", f"{management}/deleteApi?{more}basepath={name}").status_code < 500
        assert shared.call("GET", f"{management}/getApi").get_json() == {"apis": []}


JSON_TYPES: dict[str, Any] = {
    "null": None,
    "boolean": True,
    "number": 7,
    "string": "x y,",
    "array": [1],
    "object": {"b": 1},
}
TRIGGER_TYPES: dict[str, set[str]] = {
    "parameters": {"null"}, "annotations": {"null"}, "limits": {"null", "object"}, "version": {"null"},
    "publish": {"null", "boolean"},
}  # fmt: skip
RULE_TYPES: dict[str, set[str]] = {
    "trigger": set(), "action": set(), "annotations": {"null"}, "version": {"null"}, "publish": {"null", "boolean"},
}  # fmt: skip


@pytest.mark.parametrize("kind", JSON_TYPES)
@pytest.mark.parametrize(
    ("path", "body", "member", "taken"),
    [
        *(("triggers/z", TRIGGER, member, taken) for member, taken in TRIGGER_TYPES.items()),
        *(("rules/r", RULE, member, taken) for member, taken in RULE_TYPES.items()),
    ],
)
def test_every_member_of_another_type_is_refused_and_stores_nothing(
    shared: Api, path: str, body: Any, member: str, taken: set[str], kind: str
):
    before = shared.call("GET", "triggers/t").get_json()
    reply = shared.put(path, {**body, member: JSON_TYPES[kind]})
    if kind in taken:
        assert reply.status_code == 200
        shared.call("DELETE", path)
        return
    assert reply.status_code == 400
    assert reply.get_json()["error"].startswith(("The request content was malformed:\n", "rule requires a valid"))
    assert shared.call("GET", path).status_code == 404
    assert shared.call("GET", "triggers/t").get_json() == before


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(raw=st.binary(max_size=30) | anything.map(lambda value: json.dumps(value).encode()))
def test_any_body_of_an_invocation_is_taken_or_the_callers_fault(shared: Api, raw: bytes):
    assert shared.call("POST", "actions/a/x", raw).status_code < 500
    assert shared.call("PUT", "actions/z", raw).status_code < 500
    assert shared.call("POST", "triggers/t", raw).status_code < 500
    assert shared.call("POST", "rules/r", raw).status_code < 500


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(max_size=12), name=st.sampled_from(["limit", "skip", "count", "docs", "since", "upto", "name"]))
def test_any_query_is_answered(shared: Api, text: str, name: str):
    for collection in ("actions", "packages", "triggers", "rules", "activations"):
        assert shared.call("GET", f"{collection}?{name}={quote(text, safe='')}").status_code < 500


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(segments=st.lists(st.text(max_size=6), max_size=4), method=st.sampled_from(["GET", "PUT", "POST", "DELETE"]))
def test_any_path_is_answered(shared: Api, segments: list[str], method: str):
    path = "/".join(quote(one, safe="") for one in segments)
    for collection in ("actions", "packages", "triggers", "rules", "activations", "limits"):
        assert shared.call(method, f"{collection}/{path}", {}).status_code < 500


@pytest.mark.parametrize("levels", [505, 600, *range(930, 990, 10)])
@pytest.mark.parametrize("member", ["parameters", "annotations"])
@pytest.mark.parametrize("path", ["actions/deep", "packages/deep", "triggers/deep", "rules/deep"])
def test_what_is_stored_can_be_read_and_listed_however_deep_it_is(shared: Api, path: str, member: str, levels: int):
    given = f'[{{"key": "k", "value": {"[" * levels}{"]" * levels}}}]'
    more = {
        "actions/deep": '"exec": {"kind": "python:3", "code": ""}, ',
        "rules/deep": '"trigger": "/_/t", "action": "/_/a", ',
    }
    reply = shared.put(path, f'{{{more.get(path, "")}"{member}": {given}}}'.encode())
    # A rule has no parameters: nobody looks at those that are sent, but for their depth.
    assert reply.status_code == (200 if levels < 512 else 400), reply.data
    assert shared.call("GET", path).status_code == (200 if levels < 512 else 404)
    assert shared.call("GET", path.partition("/")[0]).status_code == 200
    if levels < 512:
        assert shared.call("DELETE", path).status_code == 200


def test_deep_parameters_with_characters_of_two_halves_are_taken_or_the_callers_fault(shared: Api):
    for levels in range(900, 1000):
        raw = b'{"s": "\\ud83d\\ude00", "a": ' + b"[" * levels + b"]" * levels + b"}"
        assert shared.call("POST", "actions/a", raw).status_code in (202, 400)
