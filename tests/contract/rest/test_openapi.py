"""The document that describes the API, and the page that shows it."""

from __future__ import annotations

import re
from typing import Any

import pytest
from jsonschema import Draft4Validator

from tests.support.api import Api
from tests.support.conformance import Conformance
from tests.support.routes import served

DOCS = "/api/v1/docs"
STOCK_STATUSES = {
    ("PUT", "actions/{actionName}"): "200 400 401 403 409 413 500",
    ("GET", "actions/{actionName}"): "200 401 403 404 500",
    ("DELETE", "actions/{actionName}"): "200 400 401 403 404 409 500",
    ("POST", "actions/{actionName}"): "200 202 401 403 404 408 429 500 502",
    ("POST", "triggers/{triggerName}"): "202 204 401 404 408 429 500",
    ("DELETE", "packages/{packageName}"): "200 401 404 409 500",
}


@pytest.fixture
def document(api: Api) -> dict[str, Any]:
    found: dict[str, Any] = api.call("GET", "/api/v1/api-docs", auth=None).get_json()
    assert api.call("GET", "/api/v1/api-docs/", auth=None).get_json() == found
    return found


def test_every_route_is_in_the_document(api: Api, document: dict[str, Any]):
    described = Conformance(document)
    missing = [(method, path) for method, path in served(api.app) if described.operation(method, path) is None]
    assert missing == [], "describe them in controller_ext/api/openapi/operations.py"


def test_the_document_has_no_route_that_is_not_served(api: Api, document: dict[str, Any]):
    described = Conformance(document)
    found = {described.operation(method, path) for method, path in served(api.app)}
    lost = [one for one in described.operations() if one not in found]
    assert lost == []


def test_all_references_lead_somewhere_and_all_schemas_are_schemas(document: dict[str, Any]):
    for section, name in set(re.findall(r'"#/(\w+)/(\w+)"', str(document).replace("'", '"'))):
        assert name in document[section]
    for schema in document["definitions"].values():
        Draft4Validator.check_schema(schema)


@pytest.mark.parametrize("route", STOCK_STATUSES, ids=" ".join)
def test_every_status_that_stock_declares_is_declared(document: dict[str, Any], route: tuple[str, str]):
    method, path = route
    responses = document["paths"][f"/namespaces/{{namespace}}/{path}"][method.lower()]["responses"]
    assert set(STOCK_STATUSES[route].split()) <= set(responses)


def test_the_kinds_are_those_of_stock_and_of_this_server(document: dict[str, Any]):
    kinds = document["definitions"]["ActionExec"]["properties"]["kind"]["enum"]
    assert {"nodejs:20", "python:3.10", "sequence", "blackbox", "python:default"} <= set(kinds)
    assert {"python:3", "dataflow:1"} <= set(kinds)


@pytest.mark.parametrize(
    ("value", "valid"),
    [
        (
            {
                "namespace": "_",
                "name": "foo",
                "version": "1.1.1",
                "publish": False,
                "exec": {"code": "foo", "kind": "nodejs:20"},
                "parameters": ["key1", "value1"],
                "limits": {"timeout": 1000, "memory": 200},
            },
            True,
        ),
        ({"sname": "foo", "spublish": False}, False),
    ],
)
def test_actions_are_told_from_others_as_clients_of_stock_expect(document: dict[str, Any], value: Any, valid: bool):
    schema = {**document["definitions"]["Action"], "definitions": document["definitions"]}
    assert Draft4Validator(schema).is_valid(value) is valid


def test_the_page_is_where_stock_has_it(api: Api):
    moved = api.call("GET", DOCS, auth=None)
    assert (moved.status_code, moved.headers["Location"]) == (308, "docs/index.html?url=/api/v1/api-docs")
    page = api.call("GET", f"{DOCS}/index.html?url=/api/v1/api-docs", auth=None)
    assert (page.status_code, page.headers["Content-Type"]) == (200, "text/html; charset=UTF-8")
    assert "<title>Swagger UI</title>" in page.text


def test_the_page_shows_all_routes_and_loads_nothing(api: Api, document: dict[str, Any]):
    page = api.call("GET", f"{DOCS}/index.html", auth=None).text
    for one in Conformance(document).operations():
        assert f"<b>{one.method}</b>" in page
        assert one.path.removeprefix("/api/v1") in page
    assert not re.search(r"<(script|link|img|iframe)|src=|https?://", page)


@pytest.mark.parametrize("path", [f"{DOCS}/dummy", f"{DOCS}/"])
def test_beside_the_page_there_is_nothing(api: Api, path: str):
    assert api.call("GET", path).status_code == 404
    assert api.call("GET", path, auth=None).status_code == 401


def test_metrics_are_text_that_prometheus_reads(api: Api):
    api.balancer.states = {"invoker0/a": "up", "invoker1/b": "up", "invoker2/c": "down"}
    api.balancer.under_way = 3
    sink = {"segment_bytes": 65536, "inline_bytes": 300, "spilled_bytes": 0}
    pool = {"busy": 1, "idle": 2, "waiting": 5, "undrained": 0, "memory_mb": 768}
    held = {"runs": 4, "sink": sink, "spare_bytes": 4096, "pool": pool}
    api.balancer.held = [{"name": "invoker0", **held, "peers": {"runs": 2}}, {"name": "invoker1", **held}]
    reply = api.call("GET", "/metrics", auth=None)
    assert (reply.status_code, reply.headers["Content-Type"]) == (200, "text/plain; version=0.0.4")
    lines = reply.text.splitlines()
    assert "dataflower_controller_in_flight 3" in lines
    assert 'dataflower_controller_invokers{state="up"} 2' in lines
    assert 'dataflower_invoker_runs{invoker="invoker1"} 4' in lines
    assert [line for line in lines if line.startswith("dataflower_invoker_lent_runs{")] == [
        'dataflower_invoker_lent_runs{invoker="invoker0"} 2', 'dataflower_invoker_lent_runs{invoker="invoker1"} 0',
    ]  # fmt: skip
    data = [line.partition(",")[2] for line in lines if line.startswith("dataflower_invoker_data_bytes{")]
    assert data == ['place="memory"} 65536', 'place="small"} 300', 'place="disk"} 0', 'place="spare"} 4096'] * 2
    assert 'dataflower_invoker_containers{invoker="invoker0",place="idle"} 2' in lines
    assert not [line for line in lines if "memory_mb" in line]
    samples = [line for line in lines if not line.startswith("#")]
    assert all(
        re.fullmatch(r'[a-z_]+(\{[a-z]+="[a-z0-9]+"(,[a-z]+="[a-z]+")?\})? [0-9.e+-]+', line) for line in samples
    )
