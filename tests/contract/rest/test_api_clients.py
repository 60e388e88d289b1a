"""What single clients send to route management, and what then answers under the URL that they show."""

from __future__ import annotations

import json
from typing import Any

import pytest
from werkzeug.test import TestResponse

from tests.support.api import Api
from tests.support.swagger import document

WEB = "/api/v1/web/whisk.system/apimgmt"
ORIGIN = "http://localhost"


@pytest.fixture
def books(api: Api) -> Api:
    """The guest has a secured web action `books`."""
    annotations = [{"key": "web-export", "value": True}, {"key": "require-whisk-auth", "value": "s3cret"}]
    assert api.action("books", annotations=annotations).status_code == 200
    return api


def create(api: Api, doc: dict[str, Any], query: str = "") -> str:
    """Return the URL of the API, as the client shows it."""
    reply = api.call("POST", f"{WEB}/createApi{query}", {"apidoc": doc})
    assert reply.status_code == 200, reply.data
    return str(reply.get_json()["gwApiUrl"])


def get(api: Api, url: str) -> TestResponse:
    return api.client.get(url.removeprefix(ORIGIN))


def given_to(api: Api) -> Any:
    """Return what the last run got."""
    return json.loads(api.balancer.messages[-1].content or b"")


def test_the_cli_names_path_parameters_and_the_key_of_a_secured_action(books: Api):
    action = {
        "name": "books",
        "namespace": "_",
        "backendMethod": "GET",
        "backendUrl": f"{ORIGIN}/api/v1/web/_/default/books.http",
        "authkey": "uuid:key",
        "secureKey": "s3cret",
    }
    described = {"name": "isbn", "in": "path", "description": "Default description for 'isbn'", "required": True}
    doc = {
        "namespace": "_",
        "gatewayBasePath": "/library",
        "gatewayPath": "/books/{isbn}",
        "gatewayMethod": "GET",
        "id": "API:_:/library",
        "action": action,
        "pathParameters": [{**described, "type": "string"}],
    }

    url = create(books, doc, "?accesstoken=DUMMY+TOKEN&responsetype=http")

    assert get(books, f"{url}/books/42").status_code == 204
    assert given_to(books)["__ow_path"] == "/library/books/42"


def test_wskdeploy_takes_an_api_host_with_its_scheme_for_a_host(books: Api):
    action = {
        "name": "books",
        "namespace": "_",
        "backendMethod": "GET",
        "backendUrl": f"https://{ORIGIN}/api/v1/web/_/default/books.http",
        "authkey": "uuid:key",
        "secureKey": "s3cret",
    }
    doc = {
        "namespace": "_",
        "apiName": "Library",
        "gatewayBasePath": "/library",
        "gatewayPath": "/books",
        "gatewayMethod": "GET",
        "id": "API:_:/books",
        "action": action,
    }

    url = create(books, doc, "?accesstoken=DUMMY%20TOKEN&responsetype=http")

    assert get(books, f"{url}/books").status_code == 204


@pytest.mark.parametrize(("value", "status"), [({"value": "s3cret"}, 204), ({}, 401)])
def test_the_serverless_framework_sets_the_key_before_it_names_the_target(books: Api, value: Any, status: int):
    url = "https://localhost/api/v1/web/guest/default/books.http"
    operation_id = "get-/books/{isbn}"
    header = {"set": "message.headers.X-Require-Whisk-Auth", **value}
    case = {
        "operations": [operation_id],
        "execute": [
            {"set-variable": {"actions": [header]}},
            {"invoke": {"target-url": f"{url}$(request.path)", "verb": "keep"}},
        ],
    }
    operation = {
        "operationId": operation_id,
        "responses": {"200": {"description": "A successful invocation response"}},
        "x-openwhisk": {"action": "books", "namespace": "guest", "package": "default", "url": url},
        "parameters": [{"name": "isbn", "in": "path", "required": True, "type": "string"}],
    }
    configuration = {"cors": {"enabled": True}, "assembly": {"execute": [{"operation-switch": {"case": [case]}}]}}
    swagger = document({"/books/{isbn}": {"get": operation}}, "/", **{"x-ibm-configuration": configuration})

    made = create(books, {"namespace": "_", "swagger": swagger})

    assert get(books, f"{made}/books/42").status_code == status
    if status == 204:
        assert given_to(books)["__ow_path"] == "/books/42"


def test_a_document_of_an_older_gateway_names_the_method_and_a_key_for_all(books: Api):
    target = "https://172.17.0.1/api/v1/web/guest/default/books.http"
    steps = [
        {"set-variable": {"actions": [{"set": "message.headers.X-Require-Whisk-Auth", "value": "s3cret"}]}},
        {
            "operation-switch": {
                "case": [
                    {
                        "operations": ["get_/books"],
                        "execute": [{"invoke": {"target-url": target, "verb": "post"}}],
                    }
                ]
            }
        },
    ]
    configuration = {"assembly": {"execute": steps}}
    operation = {"operationId": "get_/books", "responses": {"default": {"description": "Default response"}}}
    swagger = document({"/books": {"get": operation}}, "/v1", **{"x-ibm-configuration": configuration})

    url = create(books, {"namespace": "_", "swagger": json.dumps(swagger)})

    assert get(books, f"{url}/books").status_code == 204
    assert given_to(books)["__ow_method"] == "post"
