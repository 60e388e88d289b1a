from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, strategies as st

from controller_ext.entities.errors import Rejected, TooLarge
from controller_ext.gateway import backends, checks, swagger
from controller_ext.gateway.routes import Routes
from tests.support.swagger import document, operation

WEB = "https://h/api/v1/web/guest/default/a"
ID = {"name": "id", "in": "path"}


def configured(execute: Any = (), **more: Any) -> dict[str, Any]:
    return {"x-ibm-configuration": {"assembly": {"execute": list(execute)}, **more}}


def switch(*cases: Any) -> list[Any]:
    return [{"operation-switch": {"case": list(cases)}}]


def case(operation_id: str, url: str) -> dict[str, Any]:
    return {"operations": [operation_id], "execute": [{"invoke": {"target-url": url, "verb": "keep"}}]}


@pytest.mark.parametrize(
    "api",
    [
        document({"/p": {"get": {}}}),
        document({"/p": {"GET": {}, "parameters": [], "x-note": 1}}),
        document({"/": {method: {"operationId": ""} for method in swagger.METHODS}}, **configured()),
        document({"/p/{id}": {"get": operation("x", f"{WEB}.http", parameters=[ID])}}),
        document({"/p/{id}": {"parameters": [ID], "get": operation("x", f"{WEB}.http")}}),
        document(
            {"/p/{id}": {"get": operation("x", f"{WEB}.http", parameters=[ID])}},
            **configured(switch(case("x", f"{WEB}.http$(request.path)"))),
        ),
        document({"/p": {"get": {}}}, securityDefinitions={}, security=[]),
    ],
)
def test_good_documents_pass_and_stay_as_they_are(api: dict[str, Any]):
    before = copy.deepcopy(api)

    checks.check(api)

    assert api == before


def by_gateway(message: str) -> str:
    return f'Unable to configure the API Gateway (status code 400): {{"status":400,"message":"Error: {message}"}}'


@pytest.mark.parametrize(
    ("api", "text"),
    [
        (document({"/p": {"get": {}}}, basePath=5), "the basePath field must be a string."),
        (document({"/p": {"get": {}}}, "/" + "x" * 1024), "the base path has more than 1024 characters."),
        (
            document({"/p": {"get": {}}}, "/a/{b}"),
            "The base path (/a/{b}) cannot have parameters. Only the relative path supports path parameters.",
        ),
        (document({"/p": {"get": {}}}, "/it's"), by_gateway('basePath contains illegal character \\"\'\\".')),
        (document({"/p": {"get": {}}}, info={}), by_gateway("Missing field 'name' in request body.")),
        (document({"/p": {"get": {}}}, info="x"), by_gateway("Missing field 'name' in request body.")),
        (document({}), by_gateway("Empty resources object.")),
        (document([]), by_gateway("Empty resources object.")),
        (document({"p": {"get": {}}}), by_gateway("Resource path must begin with '/'.")),
        (document({"": {"get": {}}}), by_gateway("Resource path must begin with '/'.")),
        (document({"/it's": {"get": {}}}), by_gateway('resource path contains illegal character \\"\'\\".')),
        (document({"/\n": {"get": {}}}), by_gateway('resource path contains illegal character \\"\'\\".')),
        (
            document({"/p": {}}),
            by_gateway("Missing or empty field 'operations' or in resource path object."),
        ),
        (
            document({"/p": 5}),
            by_gateway("Missing or empty field 'operations' or in resource path object."),
        ),
        (document({"/p": {"fetch": {}}}), by_gateway("Resource verb 'fetch' not supported.")),
        (document({"/p": {"get": 5}}), "the field get in /p is of the wrong type."),
        (document({"/p": {"get": {"operationId": 5}}}), "the field operationId in get /p is of the wrong type."),
        (document({"/p": {"get": {"x-openwhisk": 5}}}), "the field x-openwhisk in get /p is of the wrong type."),
        (document({"/p": {"get": operation("x", 5)}}), "the field url in get /p is of the wrong type."),
        (document({"/p": {"get": {"parameters": {}}}}), "the field parameters in get /p is of the wrong type."),
        (document({"/p": {"get": {}, "parameters": [5]}}), "the field parameters in /p is of the wrong type."),
        (
            document({"/p": {"get": {}}}, **{"x-ibm-configuration": []}),
            "the field x-ibm-configuration is of the wrong type.",
        ),
        (
            document({"/p": {"get": {}}}, **configured([5])),
            "the field execute in x-ibm-configuration is of the wrong type.",
        ),
        (
            document({"/p": {"get": {}}}, **configured(cors=True)),
            "the field cors in x-ibm-configuration is of the wrong type.",
        ),
        (
            document({"/p": {"get": {}}}, **configured(switch({"operations": [5]}))),
            "the field operations in x-ibm-configuration is of the wrong type.",
        ),
        (
            document({"/p": {"get": {}}}, **configured([{"invoke": {"verb": 5}}])),
            "the field verb in x-ibm-configuration is of the wrong type.",
        ),
        (
            document({"/p": {"get": {}}}, **configured(switch({"execute": [{"set-variable": {"actions": {}}}]}))),
            "the field actions in x-ibm-configuration is of the wrong type.",
        ),
        (
            document({"/p/{id}": {"get": operation("x", f"{WEB}.json", parameters=[ID])}}),
            "The action must use a response type of '.http' in order to receive the path parameters.",
        ),
        (
            document(
                {"/p/{id}": {"get": operation("x", f"{WEB}.http", parameters=[ID])}},
                **configured(switch(case("x", f"{WEB}.http"))),
            ),
            "The target-url for operationId 'x' must end in '$(request.path)' in order for actions to receive the path"
            " parameters.",
        ),
        (
            document({"/p/{id}/{x}": {"get": operation("x", f"{WEB}.http", parameters=[ID, {"name": []}])}}),
            "The parameter 'x' defined in path '/p/{id}/{x}' does not match any of the parameters defined for the path"
            " in the swagger file.",
        ),
        (
            document({"/p": {"get": {}}}, securityDefinitions={"key": {"type": "apiKey"}}),
            "securityDefinitions are not supported: this gateway asks callers of an API for no key.",
        ),
        (document({"/p": {"get": {"note": "\ud800"}}}), "half a surrogate pair is no character."),
        (document({"/p": {"get": {"note": 1e999}}}), "the API holds a number that JSON cannot hold."),
    ],
)
def test_documents_that_cannot_be_served_are_refused(api: dict[str, Any], text: str):
    with pytest.raises(Rejected) as refused:
        checks.check(api)

    assert str(refused.value) == f"API creation failure: {text}"


def test_a_document_is_bounded_in_size_and_depth():
    with pytest.raises(TooLarge, match=r"^API larger than allowed: \d+ > 1048576 bytes\.$"):
        checks.check(document({"/p": {"get": {"note": "x" * (1 << 20)}}}))
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(Rejected, match="nested deeper than 64"):
        checks.check(document({"/p": {"get": {"note": deep}}}))


NAMES = st.sampled_from(
    ["get", "parameters", "operationId", "x-openwhisk", "url", "x-ibm-configuration", "assembly", "execute", "case",
     "operation-switch", "operations", "invoke", "target-url", "verb", "set-variable", "actions", "set", "value",
     "cors", "enabled", "/p/{id}", "name", "title"]
)  # fmt: skip
LEAVES = st.sampled_from([None, True, 0, 1.5, "", "get", "message.headers.X", f"{WEB}.http$(request.path)", "/p"])
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4), max_leaves=20
)


@given(VALUES, VALUES, VALUES, st.sampled_from(["x-ibm-configuration", "x-gateway-configuration"]))
def test_whatever_passes_can_be_served_and_changed(paths: Any, configuration: Any, item: Any, name: str):
    for given_paths in (paths, {"/p": paths}, {"/p": {"get": item}}):
        api = document(given_paths, **{name: configuration})
        try:
            checks.check(api)
        except Rejected:
            continue
        Routes([api]).find(["base", "p"])
        backends.cors(api)
        for path, method, _ in swagger.operations(api):
            swagger.remove(api, path, method.lower())
            swagger.narrowed(api, path, method.lower())
