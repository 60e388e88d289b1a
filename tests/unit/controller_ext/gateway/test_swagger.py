from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, strategies as st

from controller_ext.gateway import backends, checks, swagger
from controller_ext.gateway.creation import Endpoint, parse
from controller_ext.gateway.errors import DeletionRefused
from tests.support.swagger import apidoc, document, operation


def endpoint(path: str = "/path", method: str = "GET", response_type: str = "json", **more) -> Endpoint:
    read = parse({"apidoc": apidoc(path, method, **more), "responsetype": response_type}, "guest")
    assert isinstance(read, Endpoint)
    return read


def made(*endpoints: Endpoint):
    api = swagger.new("/base", "A name")
    for one in endpoints:
        api = swagger.add(api, one)
    checks.check(api)
    return api


def test_an_api_has_the_form_that_the_cli_reads():
    url = "https://some.host/api/v1/web/guest/default/hello.json"

    assert made(endpoint("/path/with/sub_paths/in/it", pathParameters=[])) == {
        "swagger": "2.0",
        "info": {"title": "A name", "version": "1.0.0"},
        "basePath": "/base",
        "paths": {
            "/path/with/sub_paths/in/it": {
                "get": {
                    "operationId": "getPathWithSub_pathsInIt",
                    "parameters": [],
                    "x-openwhisk": {"url": url, "namespace": "guest", "package": "", "action": "hello"},
                    "responses": {"default": {"description": "Default response"}},
                }
            }
        },
        "x-ibm-configuration": {
            "assembly": {
                "execute": [
                    {
                        "operation-switch": {
                            "case": [
                                {
                                    "operations": ["getPathWithSub_pathsInIt"],
                                    "execute": [{"invoke": {"target-url": url, "verb": "keep"}}],
                                }
                            ]
                        }
                    }
                ]
            },
            "cors": {"enabled": True},
        },
    }


def test_a_base_path_is_the_name_of_an_api_without_one():
    assert swagger.new("/base", None)["info"]["title"] == "/base"


@pytest.mark.parametrize("base_path", ["/a/b", "a/b", "/a/b/", "//a/b//"])
def test_slashes_around_a_base_path_make_no_other_api(base_path: str):
    assert swagger.base_key(base_path) == "/a/b"
    assert swagger.base_key("/") == "/"


def test_a_secured_action_gets_its_key():
    case = swagger.cases(made(endpoint(secureKey="s3cret")))[0]

    assert case["execute"][1] == {
        "set-variable": {"actions": [{"set": "message.headers.X-Require-Whisk-Auth", "value": "s3cret"}]}
    }


def test_actions_that_answer_as_http_get_the_path():
    case = swagger.cases(made(endpoint("/a/{id}/b/{id}/{x}", response_type="http")))[0]

    assert case["execute"][0]["invoke"]["target-url"].endswith("/hello.http$(request.path)")


def test_parameters_that_a_client_does_not_describe_are_described_for_it():
    api = made(endpoint("/a/{id}/b/{id}/{x}", response_type="http"))

    described = api["paths"]["/a/{id}/b/{id}/{x}"]["get"]["parameters"]
    assert [one["name"] for one in described] == ["id", "x"]
    assert described[0] == {
        "name": "id",
        "in": "path",
        "description": "Default description for 'id'",
        "required": True,
        "type": "string",
    }


def test_an_operation_is_replaced_by_one_of_the_same_path_and_method():
    api = made(endpoint(name="old", secureKey="k"), endpoint("/other"), endpoint(name="new"))

    assert api["paths"]["/path"]["get"]["x-openwhisk"]["action"] == "new"
    assert len(swagger.cases(api)) == 2
    assert [len(case["execute"]) for case in swagger.cases(api)] == [1, 1]


def test_an_operation_written_in_capitals_is_replaced_as_well():
    uploaded = document({"/path": {"GET": operation("x", "https://h/api/v1/web/guest/default/a.json")}})

    api = swagger.add(uploaded, endpoint())

    assert [(path, method) for path, method, _ in swagger.operations(api)] == [("/path", "get")]


def test_paths_that_differ_in_signs_alone_keep_operations_of_their_own():
    api = made(endpoint("/a/b", name="one"), endpoint("/a.b", name="two"), endpoint("/a/b", "POST", name="three"))

    served = {path + method: backend and backend.path for path, method, backend in backends.compile_document(api)}
    assert served == {
        "/a/bGET": "/api/v1/web/guest/default/one.json",
        "/a.bGET": "/api/v1/web/guest/default/two.json",
        "/a/bPOST": "/api/v1/web/guest/default/three.json",
    }


def test_an_operation_joins_a_document_that_was_uploaded():
    step: dict[str, Any] = {"set-variable": {"actions": []}}
    assemblies: list[list[dict[str, Any]]] = [
        [],
        [step],
        [step, {"operation-switch": {"case": []}}],
        [{"operation-switch": {}}],
    ]
    for execute in assemblies:
        uploaded = document({"/p": {"get": {}}}, **{"x-ibm-configuration": {"assembly": {"execute": execute}}})

        api = swagger.add(uploaded, endpoint())

        assert [case["operations"] for case in swagger.cases(api)] == [["getPath"]]
    for uploaded in (
        document({"/p": {"get": {}}}),
        document({"/p": {"get": {}}}, **{"x-gateway-configuration": {}}),
    ):
        assert len(swagger.cases(swagger.add(uploaded, endpoint()))) == 1


def test_deleting_takes_what_served_an_operation_along():
    api = made(endpoint("/a"), endpoint("/a", "POST"), endpoint("/b"))

    left = swagger.remove(api, "/a", "get")
    assert left is not None
    assert [(path, method) for path, method, _ in swagger.operations(left)] == [("/a", "post"), ("/b", "get")]
    assert [case["operations"] for case in swagger.cases(left)] == [["postA"], ["getB"]]

    left = swagger.remove(api, "/a", None)
    assert left is not None
    assert list(left["paths"]) == ["/b"]
    assert [case["operations"] for case in swagger.cases(left)] == [["getB"]]


def test_an_operation_leaves_a_case_that_others_share():
    case = {"operations": ["x", "y"], "execute": []}
    configuration = {"assembly": {"execute": [{"operation-switch": {"case": [case]}}, {}]}}
    api = document(
        {"/p": {"get": {"operationId": "x"}, "post": {"operationId": "y"}}}, **{"x-ibm-configuration": configuration}
    )

    left = swagger.remove(api, "/p", "get")

    assert left is not None
    assert [one["operations"] for one in swagger.cases(left)] == [["y"]]


def test_with_its_last_operation_an_api_is_gone():
    assert swagger.remove(made(endpoint()), "/path", "get") is None
    assert swagger.remove(made(endpoint()), "/path", None) is None
    assert swagger.remove(document({"/p": {"parameters": [], "GET": {}}}), "/p", "get") is None


@pytest.mark.parametrize(
    ("path", "method", "text"),
    [
        ("/nope", None, "path '/nope' does not exist in the API"),
        ("/nope", "get", "path '/nope' with operation 'get' does not exist in the API"),
        ("/path", "put", "path '/path' with operation 'put' does not exist in the API"),
        ("/path", "parameters", "path '/path' with operation 'parameters' does not exist in the API"),
    ],
)
def test_what_is_not_there_cannot_be_deleted(path: str, method: str | None, text: str):
    with pytest.raises(DeletionRefused, match=f"^API deletion failure: {text}$"):
        swagger.remove(document({"/path": {"get": {}, "parameters": []}}), path, method)


@pytest.mark.parametrize(
    ("path", "method", "shown"),
    [
        (None, "get", [("/a", "get"), ("/b", "get")]),
        ("/a", None, [("/a", "get"), ("/a", "post")]),
        ("/a", "post", [("/a", "post")]),
        ("/b", "post", None),
        ("/nope", None, None),
    ],
)
def test_a_list_may_be_narrowed(path: str | None, method: str | None, shown):
    api = swagger.narrowed(made(endpoint("/a"), endpoint("/a", "POST"), endpoint("/b")), path, method)

    assert (api and [(path, method) for path, method, _ in swagger.operations(api)]) == shown


PATHS = st.sampled_from(["/", "/a", "/a/b", "/a.b", "/{x}", "/a/{x}"])
METHODS = st.sampled_from(["GET", "POST", "DELETE"])
CHANGES = st.lists(st.tuples(st.booleans(), PATHS, METHODS), max_size=12)


@given(CHANGES)
def test_any_changes_leave_exactly_what_was_added_last(changes):
    wanted: dict[tuple[str, str], str] = {}
    api = swagger.new("/base", None)
    for number, (adding, path, method) in enumerate(changes):
        before = copy.deepcopy(api)
        if adding:
            name = f"a{number}"
            changed = swagger.add(api, endpoint(path, method, "http", name=name))
            wanted[path, method] = f"/api/v1/web/guest/default/{name}.http"
        elif (path, method) in wanted:
            del wanted[path, method]
            left = swagger.remove(api, path, method.lower())
            assert (left is None) == (not wanted)
            changed = left or swagger.new("/base", None)
        else:
            continue
        assert api == before
        api = changed
        if wanted:
            checks.check(api)
        served = {(path, method): backend and backend.path for path, method, backend in backends.compile_document(api)}
        assert served == wanted
        assert len(swagger.cases(api)) == len(wanted)
