"""Route management, as the clients call it: `wsk api`, `ow.routes`, `rt api`, wskdeploy, serverless."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

import pytest
from werkzeug.test import TestResponse

from invoker_ext.stores.subjects import GUEST_KEY, SYSTEM_KEY
from tests.support.api import SYSTEM, Api
from tests.support.swagger import HOST, apidoc, document, operation

WEB = "/api/v1/web/whisk.system/apimgmt"
GUEST_UUID = GUEST_KEY.partition(":")[0]
CLI = f"accesstoken=DUMMY+TOKEN&spaceguid={GUEST_UUID}"


def create(
    api: Api, *path_method: str, response_type: str = "json", auth: str | None = None, **doc: Any
) -> TestResponse:
    """Add an operation as the CLI does."""
    more = {} if auth is None else {"auth": auth}
    query = CLI if auth is None else "accesstoken=x"
    body = {"apidoc": apidoc(*path_method, **doc)}
    return api.call("POST", f"{WEB}/createApi.http?responsetype={response_type}&{query}", body, **more)


def upload(api: Api, swagger: Any) -> TestResponse:
    return api.call("POST", f"{WEB}/createApi.http?{CLI}", {"apidoc": {"namespace": "_", "swagger": swagger}})


def listed(api: Api, **query: str) -> list[dict[str, Any]]:
    """Return the values of a list."""
    more = "".join(f"&{name}={quote(value)}" for name, value in query.items())
    reply = api.call("GET", f"{WEB}/getApi.http?{CLI}{more}")
    assert reply.status_code == 200, reply.get_json()
    return [one["value"] for one in reply.get_json()["apis"]]


def operations(value: dict[str, Any]) -> list[tuple[str, str]]:
    return [(path, method) for path, item in value["apidoc"]["paths"].items() for method in item]


def delete(api: Api, basepath: str, **query: str) -> TestResponse:
    more = "".join(f"&{name}={quote(value)}" for name, value in query.items())
    return api.call("DELETE", f"{WEB}/deleteApi.http?{CLI}&force=true&basepath={quote(basepath)}{more}")


def error_of(reply: TestResponse) -> tuple[int, str]:
    return reply.status_code, reply.get_json()["error"]


def test_an_api_that_was_created_is_answered_listed_and_deleted(api: Api):
    reply = create(api, "/path", "GET", apiName="A name")
    assert reply.status_code == 200
    assert reply.content_type == "application/json"
    value = reply.get_json()
    assert {name: value[name] for name in value if name != "apidoc"} == {
        "namespace": "Not Used",
        "gwApiActivated": True,
        "tenantId": "Not Used",
        "gwApiUrl": f"http://localhost/api/{GUEST_UUID}/base",
    }
    assert value["apidoc"]["info"] == {"title": "A name", "version": "1.0.0"}
    assert (
        value["apidoc"]["paths"]["/path"]["get"]["x-openwhisk"]["url"] == f"{HOST}/api/v1/web/guest/default/hello.json"
    )

    reply = api.call("GET", f"{WEB}/getApi.http?limit=30&skip=0&{CLI}")
    assert reply.get_json() == {"apis": [{"id": "Not Used", "key": "Not Used", "value": value}]}

    reply = delete(api, "/base")
    assert (reply.status_code, reply.get_json()) == (200, {})
    assert listed(api) == []


def test_an_api_is_found_by_its_base_path_or_its_name(api: Api):
    create(api, base="/one", apiName="first API")
    create(api, base="/two")

    assert [one["apidoc"]["basePath"] for one in listed(api)] == ["/two", "/one"]
    assert [one["apidoc"]["basePath"] for one in listed(api, basepath="/one")] == ["/one"]
    assert [one["apidoc"]["basePath"] for one in listed(api, basepath="/one/")] == ["/one"]
    assert [one["apidoc"]["basePath"] for one in listed(api, basepath="first API")] == ["/one"]
    assert listed(api, basepath="/nope") == listed(api, basepath="nope") == []


def test_a_list_may_be_narrowed_to_a_path_and_an_operation(api: Api):
    for path, method in (("/a", "GET"), ("/a", "POST"), ("/b", "GET")):
        create(api, path, method)

    assert [operations(one) for one in listed(api, relpath="/a")] == [[("/a", "get"), ("/a", "post")]]
    assert [operations(one) for one in listed(api, relpath="/a", operation="POST")] == [[("/a", "post")]]
    assert listed(api, relpath="/c") == []


def test_a_list_has_a_window(api: Api):
    for number in range(35):
        create(api, base=f"/b{number:02}")

    assert len(listed(api)) == 35
    assert [one["apidoc"]["basePath"] for one in listed(api, limit="2", skip="1")] == ["/b33", "/b32"]
    assert len(listed(api, limit="x", skip="-1")) == 35


def test_an_option_that_the_javascript_client_left_open_is_no_option(api: Api):
    create(api, "/a")
    left_open = dict.fromkeys(("basepath", "relpath", "operation", "limit", "skip"), "undefined")

    assert [operations(one) for one in listed(api, **left_open)] == [[("/a", "get")]]


def test_operations_join_the_api_of_their_base_path(api: Api):
    create(api, "/a", apiName="A name")
    create(api, "/b", "PUT")
    value = create(api, "/a", "POST", base="A name").get_json()

    assert operations(value) == [("/a", "get"), ("/a", "post"), ("/b", "put")]
    assert value["apidoc"]["info"]["title"] == "A name"
    assert len(listed(api)) == 1


def test_an_api_may_be_named_by_a_word_alone(api: Api):
    assert create(api, base="word").get_json()["gwApiUrl"].endswith(f"/api/{GUEST_UUID}/word")
    assert operations(create(api, "/other", base="word").get_json()) == [("/path", "get"), ("/other", "get")]
    create(api, base="another", apiName="A name")
    assert operations(create(api, "/other", base="another").get_json()) == [("/path", "get"), ("/other", "get")]
    assert delete(api, "another").status_code == delete(api, "word").status_code == 200
    assert listed(api) == []


def test_an_operation_is_replaced(api: Api):
    create(api, name="old")
    create(api, name="new")

    [value] = listed(api)
    assert value["apidoc"]["paths"]["/path"]["get"]["x-openwhisk"]["action"] == "new"


def test_what_is_deleted_may_be_a_path_or_an_operation(api: Api):
    for path, method in (("/a", "GET"), ("/a", "POST"), ("/b", "GET"), ("/c", "GET")):
        create(api, path, method, apiName="A name")

    assert delete(api, "/base", relpath="/a", operation="POST").status_code == 200
    assert delete(api, "A name", relpath="/b").status_code == 200
    assert [operations(one) for one in listed(api)] == [[("/a", "get"), ("/c", "get")]]
    assert delete(api, "/base", relpath="/a").status_code == 200
    assert delete(api, "/base", relpath="/c", operation="get").status_code == 200
    assert listed(api) == []


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("", (400, "basepath is required.")),
        ("basepath=/base&operation=get", (400, "When specifying an operation, the path is required.")),
        ("basepath=/not-there", (404, "API deletion failure: API '/not-there' does not exist.")),
        ("basepath=nobody", (404, "API deletion failure: API 'nobody' does not exist.")),
        ("basepath=/base&relpath=/x", (404, "API deletion failure: path '/x' does not exist in the API")),
        (
            "basepath=/base&relpath=/path&operation=PUT",
            (404, "API deletion failure: path '/path' with operation 'put' does not exist in the API"),
        ),
    ],
)
def test_what_is_not_there_cannot_be_deleted(api: Api, query: str, wanted: tuple[int, str]):
    create(api)

    assert error_of(api.call("DELETE", f"{WEB}/deleteApi.http?{query}")) == wanted
    assert len(listed(api)) == 1


@pytest.mark.parametrize("form", ["object", "json", "yaml"])
def test_a_whole_api_replaces_the_one_of_its_base_path(api: Api, form: str):
    create(api, "/old")
    swagger = document({"/new": {"get": operation("x", f"{HOST}/api/v1/web/guest/default/a.json")}})
    text = {
        "object": swagger,
        "json": json.dumps(swagger),
        "yaml": f"# an API\nswagger: '2.0'\nbasePath: /base\ninfo: {{title: an API, version: '1.0.0'}}\npaths:\n"
        f"  /new:\n    get: {json.dumps(swagger['paths']['/new']['get'])}\n",
    }[form]

    reply = upload(api, text)

    assert (reply.status_code, reply.get_json()["apidoc"]) == (200, swagger)
    assert [one["apidoc"] for one in listed(api)] == [swagger]


def test_an_api_that_was_read_can_be_uploaded_again(api: Api):
    create(api, "/p/{id}", response_type="http")
    [value] = listed(api)
    delete(api, "/base")

    reply = upload(api, json.dumps(value["apidoc"]))

    assert reply.get_json() == value


@pytest.mark.parametrize("extension", ["", ".http", ".json"])
def test_all_ways_to_ask_get_the_same_answer(api: Api, extension: str):
    reply = api.call("POST", f"{WEB}/createApi{extension}", {"apidoc": apidoc(), "accesstoken": "x"})

    assert reply.status_code == 200
    [one] = api.call("GET", f"{WEB}/getApi{extension}?basepath=/base").get_json()["apis"]
    assert one["value"] == reply.get_json()
    assert api.call("DELETE", f"{WEB}/deleteApi{extension}?basepath=/base").get_json() == {}


@pytest.mark.parametrize(
    ("headers", "origin"),
    [
        ({"Host": "my.host:3233"}, "http://my.host:3233"),
        (
            {"Host": "inner", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "outer.host, inner"},
            "https://outer.host",
        ),
        ({"Host": "inner", "X-Forwarded-Proto": "gopher"}, "http://inner"),
    ],
)
def test_the_url_of_an_api_is_the_one_that_the_client_can_reach(api: Api, headers: dict[str, str], origin: str):
    reply = api.call("POST", f"{WEB}/createApi", {"apidoc": apidoc()}, **headers)
    assert reply.get_json()["gwApiUrl"] == f"{origin}/api/{GUEST_UUID}/base"
    reply = api.call("POST", f"{WEB}/createApi", {"apidoc": apidoc(base="/")}, **headers)
    assert reply.get_json()["gwApiUrl"] == f"{origin}/api/{GUEST_UUID}"


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        ({}, (400, "apidoc is required.")),
        ({"apidoc": {"namespace": "_"}}, (400, "apidoc is missing the gatewayBasePath field")),
        (
            {"apidoc": {"namespace": "_", "swagger": "a=A"}},
            (400, "swagger field cannot be parsed. Ensure it is valid JSON."),
        ),
        ({"apidoc": apidoc(), "responsetype": []}, (400, "API creation failure: the response type must be one of")),
        ({"apidoc": apidoc("/p/{id}")}, (400, "API creation failure: The action must use a response type of '.http'")),
        (
            {"apidoc": apidoc("path")},
            (400, "API creation failure: Unable to configure the API Gateway (status code 400)"),
        ),
        ({"apidoc": apidoc(method="FETCH")}, (400, "API creation failure: Unable to configure the API Gateway")),
        (
            {"apidoc": apidoc(base="/a/{b}")},
            (400, "API creation failure: The base path (/a/{b}) cannot have parameters."),
        ),
        (
            {"apidoc": apidoc(), "__ow_user": "x"},
            (400, "Request defines parameters that are not allowed (e.g., reserved"),
        ),
        (
            {"apidoc": apidoc(), "spaceguid": 5},
            (400, "The request content was malformed:\nthe parameter spaceguid must"),
        ),
        ([], (400, "The request content was malformed:\nJSON object expected")),
        (b"{", (400, "The request content was malformed:\n")),
        (b"x" * (1 << 20) + b"x", (413, "Request larger than allowed: 1048577 > 1048576 bytes.")),
    ],
)
def test_bad_input_is_told_and_stores_nothing(api: Api, body: Any, wanted: tuple[int, str]):
    create(api, "/there")

    status, text = error_of(api.call("POST", f"{WEB}/createApi.http", body))

    assert (status, text[: len(wanted[1])]) == wanted
    assert [operations(one) for one in listed(api)] == [[("/there", "get")]]


def test_an_output_format_must_be_known(api: Api):
    assert api.call("GET", f"{WEB}/getApi?outputFormat=Swagger").status_code == 200
    assert error_of(api.call("GET", f"{WEB}/getApi?outputFormat=xml")) == (
        400,
        "Invalid outputFormat value. Valid values are: apigw, swagger",
    )


def test_an_api_is_bounded_however_it_grows(api: Api):
    big = [{"name": "x", "in": "query", "description": "x" * 600_000}]
    assert create(api, "/a", pathParameters=big).status_code == 200

    status, text = error_of(create(api, "/b", pathParameters=big))

    assert (status, text.partition(":")[0]) == (413, "API larger than allowed")
    assert [operations(one) for one in listed(api)] == [[("/a", "get")]]


def test_namespaces_see_and_change_their_own_apis_only(api: Api):
    create(api, "/guest", apiName="A name")
    value = create(api, "/system", auth=SYSTEM, apiName="A name").get_json()

    assert value["gwApiUrl"] == f"http://localhost/api/{SYSTEM_KEY.partition(':')[0]}/base"
    assert [operations(one) for one in listed(api)] == [[("/guest", "get")]]
    delete(api, "A name")
    assert listed(api) == []
    assert len(api.call("GET", f"{WEB}/getApi", auth=SYSTEM).get_json()["apis"]) == 1


@pytest.mark.parametrize(("method", "name"), [("GET", "getApi"), ("POST", "createApi"), ("DELETE", "deleteApi")])
def test_the_space_of_another_namespace_is_refused(api: Api, method: str, name: str):
    create(api, auth=SYSTEM)
    space = SYSTEM_KEY.partition(":")[0]

    reply = api.call(method, f"{WEB}/{name}.http?spaceguid={space}&accesstoken=x&basepath=/base&namespace=whisk.system")

    assert error_of(reply) == (403, f"The supplied authentication is not authorized to access '{space}'.")
    assert len(api.call("GET", f"{WEB}/getApi", auth=SYSTEM).get_json()["apis"]) == 1


@pytest.mark.parametrize(("method", "name"), [("GET", "getApi"), ("POST", "createApi"), ("DELETE", "deleteApi")])
@pytest.mark.parametrize("auth", [None, "Basic bm9ib2R5Ondyb25n"])
def test_nobody_manages_apis_without_a_key(api: Api, method: str, name: str, auth: str | None):
    create(api)

    reply = api.call(method, f"{WEB}/{name}.http?basepath=/base&namespace=guest", auth=auth)

    assert reply.status_code == 401
    assert len(listed(api)) == 1


def test_apis_disturb_no_list_of_entities(api: Api):
    create(api)

    for collection in ("actions", "packages", "triggers", "rules"):
        assert api.call("GET", collection).get_json() == []
    assert api.call("GET", "actions/api:%2Fbase").status_code == 400


def test_creations_at_the_same_time_lose_nothing(api: Api):
    with ThreadPoolExecutor(8) as threads:
        replies = list(threads.map(lambda number: create(api, f"/p{number}").status_code, range(40)))

    assert replies == [200] * 40
    [value] = listed(api)
    assert sorted(operations(value)) == sorted((f"/p{number}", "get") for number in range(40))
