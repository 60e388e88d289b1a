from __future__ import annotations

import json

import pytest

from controller_ext.entities.errors import Rejected
from controller_ext.gateway.creation import Endpoint, Upload, parse
from tests.support.swagger import HOST, apidoc, document


def refusal(message) -> str:
    with pytest.raises(Rejected) as caught:
        parse(message, "guest")
    return str(caught.value)


def test_an_endpoint_is_read():
    read = parse({"apidoc": apidoc("/p/{id}", "POST", apiName="A", secureKey=7), "responsetype": "http"}, "guest")

    assert isinstance(read, Endpoint)
    assert (read.api, read.title, read.path, read.method, read.response_type) == (
        "/base",
        "A",
        "/p/{id}",
        "post",
        "http",
    )
    assert (read.action.namespace, read.action.package, read.action.name, read.action.secure_key) == (
        "guest", "", "hello", 7,
    )  # fmt: skip
    assert read.action.url("http") == f"{HOST}/api/v1/web/guest/default/hello.http"


@pytest.mark.parametrize(
    ("name", "package", "last"),
    [("a", "", "a"), ("p/a", "p", "a"), ("/ns/p/a", "p", "a"), ("a-c@t ion & more", "", "a-c@t ion & more")],
)
def test_the_package_of_an_action_is_part_of_its_name(name: str, package: str, last: str):
    read = parse({"apidoc": apidoc(name=name)}, "guest")

    assert isinstance(read, Endpoint)
    assert (read.action.package, read.action.name) == (package, last)


def test_an_action_of_another_namespace_stays_there():
    read = parse({"apidoc": apidoc(namespace="_") | {"action": apidoc(namespace="other")["action"]}}, "guest")

    assert isinstance(read, Endpoint)
    assert read.action.namespace == "other"


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:3233/api/v1/web/_/default/hello.http",
        "https://http://127.0.0.1:3233/api/v1/web/_/default/hello.http",  # a client that takes a URL for a host
        "http://[::1]:3233/api/v1/web/_/pkg/hello.http",
    ],
)
def test_urls_of_actions_keep_their_origin(url: str):
    read = parse({"apidoc": apidoc(backendUrl=url)}, "guest")

    assert isinstance(read, Endpoint)
    assert read.action.url("json") == url.partition("/api/")[0] + "/api/v1/web/guest/default/hello.json"


DOCUMENT = document({"/p": {"get": {}}})
YAML = (
    "swagger: '2.0'\nbasePath: /base\ninfo: {title: t}\npaths:\n  /p:\n    get: {responses: {200: {description: ok}}}\n"
)


@pytest.mark.parametrize("given", [DOCUMENT, json.dumps(DOCUMENT)])
def test_a_whole_api_is_an_object_or_its_text(given):
    assert parse({"apidoc": {"namespace": "_", "swagger": given}}, "guest") == Upload(DOCUMENT)


def test_a_whole_api_may_be_written_in_yaml():
    read = parse({"apidoc": json.dumps({"namespace": "_", "swagger": YAML})}, "guest")

    assert isinstance(read, Upload)
    assert read.document["paths"]["/p"]["get"]["responses"] == {"200": {"description": "ok"}}


def without(name: str):
    return {one: value for one, value in apidoc().items() if one != name}


def without_in_action(name: str):
    action = apidoc()["action"]
    return apidoc() | {"action": {one: value for one, value in action.items() if one != name}}


@pytest.mark.parametrize(
    ("doc", "text"),
    [
        (None, "apidoc is required."),
        ("", "apidoc is required."),
        (False, "apidoc is required."),
        ("{", "apidoc field cannot be parsed. Ensure it is valid JSON."),
        (5, "apidoc field is of type number and should be a JSON object or a JSON string."),
        (True, "apidoc field is of type boolean and should be a JSON object or a JSON string."),
        ({}, "apidoc is missing the namespace field"),
        ([], "apidoc is missing the namespace field"),
        (
            {"namespace": "_", "swagger": {}, "gatewayBasePath": "/b"},
            "swagger and gatewayBasePath are mutually exclusive and cannot be specified together.",
        ),
        ({"namespace": "_", "swagger": "{"}, "swagger field cannot be parsed. Ensure it is valid JSON."),
        ({"namespace": "_", "swagger": "a=A"}, "swagger field cannot be parsed. Ensure it is valid JSON."),
        ({"namespace": "_", "swagger": "a: 1\na: 2"}, "swagger field cannot be parsed. Ensure it is valid JSON."),
        ({"namespace": "_", "swagger": "\ud800"}, "swagger field cannot be parsed. Ensure it is valid JSON."),
        ({"namespace": "_", "swagger": 1}, "swagger field is number and should be an object or a JSON string."),
        ({"namespace": "_", "swagger": {"a": 1}}, "swagger is missing the basePath field."),
        ({"namespace": "_", "swagger": []}, "swagger is missing the basePath field."),
        ({"namespace": "_", "swagger": {"basePath": "/"}}, "swagger is missing the paths field."),
        ({"namespace": "_", "swagger": {"basePath": "/", "paths": {}}}, "swagger is missing the info field."),
        (without("gatewayBasePath"), "apidoc is missing the gatewayBasePath field"),
        (without("gatewayPath"), "apidoc is missing the gatewayPath field"),
        (without("gatewayMethod"), "apidoc is missing the gatewayMethod field"),
        (without("action"), "apidoc is missing the action field."),
        (apidoc() | {"action": []}, "action is missing the backendMethod field."),
        (without_in_action("backendMethod"), "action is missing the backendMethod field."),
        (without_in_action("backendUrl"), "action is missing the backendUrl field."),
        (without_in_action("namespace"), "action is missing the namespace field."),
        (without_in_action("name"), "action is missing the name field."),
        (without_in_action("authkey"), "action is missing the authkey field."),
        (apidoc(name="a/b/c/d"), "The name of the entity contains illegal characters."),
        (apidoc(name="a//b"), "The name of the entity contains illegal characters."),
        (apidoc(name="a?b"), "The name of the entity contains illegal characters."),
        (apidoc() | {"action": apidoc(namespace="a/b")["action"]}, "The namespace contains illegal characters."),
        (
            apidoc(backendUrl="/hello"),
            "API creation failure: API swagger generation error: backendUrl is not the URL of a web action.",
        ),
        (apidoc(path=5), "API creation failure: the gatewayPath field must be a string."),
        (apidoc(authkey={}), "API creation failure: the authkey field must be a string."),
        (apidoc(apiName=[]), "API creation failure: the apiName field must be a string."),
        (apidoc(pathParameters="x"), "API creation failure: the pathParameters field must be an array."),
    ],
)
def test_what_is_missing_or_wrong_is_told_in_stocks_words(doc, text: str):
    assert refusal({"apidoc": doc}) == text


@pytest.mark.parametrize("given", ["exe", "HTTP", 5, "http/../x"])
def test_a_response_type_is_one_of_five(given):
    text = "API creation failure: the response type must be one of html, http, json, svg, text."
    assert refusal({"apidoc": apidoc(), "responsetype": given}) == text
