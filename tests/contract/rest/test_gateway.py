"""Requests below `/api/TENANT/`, with a stand-in for the application behind the gateway."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from werkzeug.test import Client, TestResponse

from controller_ext.api.gateway import PATH_PARAMETERS, Gateway
from controller_ext.gateway.apis import Apis, Tables
from controller_ext.gateway.creation import Upload, parse
from invoker_ext.store import StoreUnavailable
from invoker_ext.stores.subjects import GUEST_KEY
from tests.support.api import Api
from tests.support.swagger import HOST, apidoc, document, operation

UUID = GUEST_KEY.partition(":")[0]
BASE = f"/api/{UUID}/base"
PREFLIGHT = {"Origin": "https://page", "Access-Control-Request-Headers": "X-A"}


class Behind:
    """Answers every request, and keeps what it got."""

    def __init__(self) -> None:
        self.got: dict[str, Any] = {}
        self.headers = [
            ("Content-Type", "text/plain"), ("Access-Control-Allow-Origin", "*"),
            ("Access-Control-Allow-Headers", "X-B"), ("Access-Control-Max-Age", "5"),
        ]  # fmt: skip

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        self.got = environ | {"body": environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))}
        start_response("200 OK", self.headers)
        return [b"served"]

    @property
    def path(self) -> str:
        return str(self.got["PATH_INFO"].encode("latin-1").decode())


class Front:
    """A gateway before it."""

    def __init__(self, api: Api) -> None:
        self.behind = Behind()
        self.apis = Apis(api.entities, lambda: 1)
        self.client = Client(Gateway(self.behind, Tables(api.entities)))

    def create(self, path: str, method: str = "GET", response_type: str = "json", **doc: Any) -> None:
        message = {"apidoc": apidoc(path, method, **doc), "responsetype": response_type}
        self.apis.create("guest", parse(message, "guest"))

    def call(self, path: str, method: str = "GET", **more: Any) -> TestResponse:
        return self.client.open(path if path.startswith("/api") else BASE + path, method=method, **more)


@pytest.fixture
def front(api: Api) -> Front:
    return Front(api)


def refusal(reply: TestResponse) -> tuple[int, Any]:
    assert reply.content_type == "application/json; charset=utf-8"
    assert reply.headers["X-Request-ID"]
    return reply.status_code, json.loads(reply.data)


def test_a_request_reaches_the_web_action_with_query_body_and_headers(front: Front):
    front.create("/path", "POST")

    reply = front.call(
        "/path?a=1&b=%20&a=2", "POST", data=b"\x00\xff", headers={"Content-Type": "image/png", "X-Mine": "yes"}
    )

    assert (reply.status_code, reply.data) == (200, b"served")
    got = front.behind.got
    assert front.behind.path == "/api/v1/web/guest/default/hello.json"
    assert got["RAW_URI"] == "/api/v1/web/guest/default/hello.json?a=1&b=%20&a=2"
    assert (got["QUERY_STRING"], got["REQUEST_METHOD"], got["body"]) == ("a=1&b=%20&a=2", "POST", b"\x00\xff")
    assert (got["CONTENT_TYPE"], got["HTTP_X_MINE"]) == ("image/png", "yes")


def test_what_the_route_left_of_the_path_goes_to_the_action(front: Front):
    front.create("/path")

    front.call("/path/more/x%20y/")

    assert front.behind.path == "/api/v1/web/guest/default/hello.json/more/x y"
    assert front.behind.got["RAW_URI"] == "/api/v1/web/guest/default/hello.json/more/x%20y"


def test_actions_that_answer_as_http_get_the_whole_path(front: Front):
    front.create("/pets/{id}/toys/{name}", response_type="http")

    front.call("/pets/7/toys/a%2Fb%C3%A9?x=y")

    assert front.behind.path == "/api/v1/web/guest/default/hello.http/base/pets/7/toys/a/bé"
    assert front.behind.got["RAW_URI"] == ("/api/v1/web/guest/default/hello.http/base/pets/7/toys/a%2Fb%C3%A9?x=y")
    assert front.behind.got[PATH_PARAMETERS] == {"id": "7", "name": "a/bé"}


def test_names_of_actions_may_hold_spaces(front: Front):
    front.create("/p", name="pkg/a-c@t ion")

    front.call("/p")

    assert front.behind.path == "/api/v1/web/guest/pkg/a-c@t ion.json"
    assert front.behind.got["RAW_URI"] == "/api/v1/web/guest/pkg/a-c%40t%20ion.json"


def test_a_secured_action_is_given_its_key_whatever_the_caller_sends(front: Front):
    front.create("/p", secureKey="s3cret")

    front.call("/p", headers={"X-Require-Whisk-Auth": "guessed", "Authorization": "Basic abc"})

    assert front.behind.got["HTTP_X_REQUIRE_WHISK_AUTH"] == "s3cret"
    assert front.behind.got["HTTP_AUTHORIZATION"] == "Basic abc"


def test_a_document_may_choose_method_and_content_type(front: Front):
    steps = [
        {"invoke": {"target-url": f"{HOST}/api/v1/web/guest/default/a.json", "verb": "post"}},
        {"set-variable": {"actions": [{"set": "message.headers.Content-Type", "value": "text/x"}]}},
    ]
    configuration = {"assembly": {"execute": steps}}
    front.apis.create("guest", Upload(document({"/p": {"get": {}}}, **{"x-ibm-configuration": configuration})))

    front.call("/p")

    assert (front.behind.got["REQUEST_METHOD"], front.behind.got["CONTENT_TYPE"]) == ("POST", "text/x")


@pytest.mark.parametrize("path", ["/nope", "/pat", f"/api/{UUID}", f"/api/{UUID}/", f"/api/{UUID[:-1]}0/base/path"])
def test_unknown_paths_are_told_as_by_the_stock_gateway(front: Front, path: str):
    front.create("/path")

    assert refusal(front.call(path)) == (404, {"status": 404, "message": "Error: Not found."})
    assert refusal(front.call(path, "OPTIONS")) == (404, {"status": 404, "message": "Error: Not found."})


@pytest.mark.parametrize("method", ["PUT", "HEAD", "DELETE"])
def test_methods_that_a_path_does_not_have_are_told_as_by_the_stock_gateway(front: Front, method: str):
    front.create("/path")

    reply = front.call("/path", method, data=b"x" * 100)

    assert reply.status_code == 404
    assert reply.data in (b'{"status":404,"message":"Error: Whoops. Verb not supported."}', b"")
    assert front.behind.got == {}


def test_the_body_of_a_request_that_is_refused_is_read(front: Front):
    body = io.BytesIO(b"x" * 100_000)

    front.call("/nope", "POST", input_stream=body, content_length=100_000)

    assert body.read() == b""


def test_an_operation_without_a_web_action_says_so(front: Front):
    front.apis.create("guest", Upload(document({"/": {"get": {"operationId": ""}}})))

    message = "Error: No web action serves this operation."
    assert refusal(front.call("")) == (404, {"status": 404, "message": message})


def test_other_paths_pass_as_they_are(front: Front):
    for path in ("/api/v1/namespaces", "/", "/api", "/api/guest/base/path", f"/x/api/{UUID}/base/path"):
        assert front.client.get(path).data == b"served"
        assert front.behind.path == path


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(segments=st.lists(st.binary(max_size=4) | st.sampled_from([b"a", b"7", b"..", b"%2F"]), max_size=5))
def test_any_path_below_a_tenant_reaches_a_web_action_or_none(front: Front, segments: list[bytes]):
    front.create("/a/{id}", response_type="http")
    front.behind.got = {}

    reply = front.call(BASE + "".join("/" + quote(segment, safe="") for segment in segments))

    if reply.status_code == 404:
        assert front.behind.got == {}
    else:
        assert reply.status_code == 200
        assert front.behind.path.startswith("/api/v1/web/guest/default/hello.http/base/a/")


def test_a_change_is_seen_by_the_next_request(front: Front):
    for name in ("one", "two"):
        front.create("/path", name=name)
        front.call("/path")
        assert front.behind.path == f"/api/v1/web/guest/default/{name}.json"
    front.apis.delete("guest", "/base", None, None)
    assert front.call("/path").status_code == 404


def test_the_gateway_answers_for_cors(front: Front):
    front.create("/path")

    reply = front.call("/path", "OPTIONS", headers=PREFLIGHT)
    assert (reply.status_code, reply.data) == (200, b"")
    wanted = {
        "Access-Control-Allow-Origin": "https://page",
        "Access-Control-Allow-Methods": "GET, POST, PUT, DELETE, PATCH, HEAD, OPTIONS",
        "Access-Control-Allow-Credentials": "true",
    }
    headers = {name: value for name, value in reply.headers.items() if name.startswith("Access-Control-")}
    assert headers == {**wanted, "Access-Control-Allow-Headers": "X-A"}
    assert front.behind.got == {}

    reply = front.call("/path", headers={"Origin": "https://page"})
    assert {name: reply.headers.getlist(name) for name in wanted} == {name: [value] for name, value in wanted.items()}
    assert front.call("/path").headers["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize(
    ("configuration", "kept"),
    [
        ({"cors": {"enabled": False}}, {}),
        (
            {},
            {
                "Access-Control-Allow-Origin": "*",
                "Access-Control-Allow-Headers": "X-B",
                "Access-Control-Max-Age": "5",
            },
        ),
    ],
)
def test_an_api_may_do_without_the_gateways_cors(front: Front, configuration: Any, kept: dict[str, str]):
    url = f"{HOST}/api/v1/web/guest/default/a.json"
    api = document({"/p": {"get": operation("x", url)}}, **{"x-ibm-configuration": configuration})
    front.apis.create("guest", Upload(api))

    reply = front.call("/p", headers=PREFLIGHT)
    assert {name: value for name, value in reply.headers.items() if name.startswith("Access-Control-")} == kept
    assert front.call("/p", "OPTIONS", headers=PREFLIGHT).status_code == 404


def test_a_store_that_cannot_be_read_is_said(api: Api, front: Front, monkeypatch: pytest.MonkeyPatch):
    def broken(entity_type: str, namespace: str) -> None:
        raise StoreUnavailable("/secret/file is locked")

    monkeypatch.setattr(api.entities, "list", broken)

    status, body = refusal(front.call("/path"))
    assert status == 503
    assert "secret" not in body["message"]


def call(api: Api, path: str, method: str = "GET", body: Any = None, **headers: str) -> TestResponse:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return api.client.open(BASE + path, method=method, json=body, headers=sent)


def expose(api: Api, path: str, method: str = "GET", response_type: str = "http", **more: Any) -> None:
    """Write a web action and an API in front of it."""
    marks = {"web-export": True, **more.pop("annotations", {})}
    annotations = [{"key": key, "value": value} for key, value in marks.items()]
    assert api.action("hello", annotations=annotations, parameters=more.pop("parameters", [])).status_code == 200
    message = {"apidoc": apidoc(path, method, **more), "responsetype": response_type}
    assert api.call("POST", "/api/v1/web/whisk.system/apimgmt/createApi", message).status_code == 200


def given_to(api: Api) -> dict[str, Any]:
    """Return what the last run got."""
    found: dict[str, Any] = json.loads(api.balancer.messages[-1].content or b"")
    return found


def test_the_action_behind_an_api_gets_path_query_body_and_headers(api: Api):
    expose(api, "/pets/{id}/toys/{name}", "POST")

    call(api, "/pets/7/toys/a%20ball?colour=red", "POST", {"size": 5}, X_Mine="yes")

    got = given_to(api)
    headers = got.pop("__ow_headers")
    assert (headers["x-mine"], headers["content-type"]) == ("yes", "application/json")
    assert got == {
        "__ow_method": "post",
        "__ow_path": "/base/pets/7/toys/a%20ball",
        "id": "7",
        "name": "a ball",
        "colour": "red",
        "size": 5,
    }


def test_parameters_of_the_path_go_below_those_of_the_request_and_never_over_final_ones(api: Api):
    expose(
        api,
        "/{mine}/{kept}/{asked}/{sent}/{__ow_user}",
        "POST",
        annotations={"final": True},
        parameters=[{"key": "kept", "value": "own"}],
    )

    call(api, "/a/b/c/d/e?asked=query", "POST", {"sent": "body"})

    got = {name: value for name, value in given_to(api).items() if name not in ("__ow_headers", "__ow_path")}
    assert got == {"__ow_method": "post", "mine": "a", "kept": "own", "asked": "query", "sent": "body"}


def test_an_action_that_wants_requests_as_they_are_gets_no_parameters_of_the_path(api: Api):
    expose(api, "/{id}", annotations={"raw-http": True})

    call(api, "/7?a=b")

    assert {name for name in given_to(api) if name != "__ow_headers"} == {
        "__ow_method", "__ow_path", "__ow_query", "__ow_body",
    }  # fmt: skip


@pytest.mark.parametrize(("key", "status"), [("s3cret", 204), (5, 204), ("wrong", 401)])
def test_a_secured_action_lets_the_gateway_in_by_its_key(api: Api, key: Any, status: int):
    expose(api, "/p", annotations={"require-whisk-auth": 5 if key == 5 else "s3cret"}, secureKey=key)

    assert call(api, "/p").status_code == status
    assert call(api, "/p", X_Require_Whisk_Auth="s3cret").status_code == status


def test_answers_of_web_actions_pass_with_the_gateways_cors(api: Api):
    expose(api, "/p", response_type="json")

    reply = call(api, "/p", Origin="https://page")
    assert reply.status_code == 200
    assert reply.headers.getlist("Access-Control-Allow-Origin") == ["https://page"]
    assert reply.headers.getlist("X-Request-ID") == [reply.headers["X-Request-ID"]]

    api.call("DELETE", "actions/hello")
    reply = call(api, "/p", X_Request_ID="mine")
    assert (reply.status_code, reply.get_json()) == (
        404,
        {"error": "The requested resource does not exist.", "code": "mine"},
    )


def test_the_transaction_id_of_a_refusal_is_that_of_the_request(api: Api):
    assert call(api, "/nope", X_Request_ID="mine").headers["X-Request-ID"] == "mine"
