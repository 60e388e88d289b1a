from __future__ import annotations

import base64
import re

import pytest

from controller_ext.entities.subjects import Subjects
from invoker_ext.stores.subjects import GUEST_KEY, subject
from tests.support.api import CORS, GUEST, Api, basic

UNSUPPLIED = "The resource requires authentication, which was not supplied with the request"
INVALID = "The supplied authentication is invalid"
MALFORMED = "The query parameter '{}' was malformed:\n"
UUID, _, KEY = GUEST_KEY.partition(":")


@pytest.mark.parametrize(
    ("header", "text"),
    [
        (None, UNSUPPLIED),
        ("Bearer abc", UNSUPPLIED),
        ("", UNSUPPLIED),
        ("Basic", INVALID),
        ("Basic ???", INVALID),
        ("Basic " + base64.b64encode(b"\xff:\xff").decode(), INVALID),
        (basic("foo"), INVALID),
        (basic(f"{UUID}:{'x' * 64}"), INVALID),
        (basic(f"{UUID}:{KEY}x"), INVALID),
        (basic(f"{UUID}:"), INVALID),
        (basic(f"no-uuid:{KEY}"), INVALID),
        (basic(f"00000000-0000-0000-0000-000000000000:{KEY}"), INVALID),
    ],
)
def test_wrong_credentials_are_refused(api: Api, header: str | None, text: str):
    reply = api.call("GET", "actions", auth=header)
    assert reply.status_code == 401
    assert reply.get_json()["error"] == text
    assert reply.headers["WWW-Authenticate"] == 'Basic realm="OpenWhisk secure realm",charset=UTF-8'


def test_a_blocked_user_is_refused_at_once(api: Api):
    assert api.call("GET", "actions").status_code == 200
    api.entities.put_subject({**subject("guest", GUEST_KEY), "blocked": True})
    assert api.call("GET", "actions").status_code == 401


@pytest.mark.parametrize("path", ["/api/v1/namespaces/_/nope", "/api/v1/nope", "/api/v1/web/guest/default"])
def test_unknown_paths_of_the_api_ask_for_a_key_first(api: Api, path: str):
    assert api.call("GET", path, auth=None).status_code == 401
    assert api.call("GET", path).get_json()["error"] == "The requested resource could not be found."


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PATCH", "actions/x"),
        ("POST", "actions"),
        ("PUT", "actions/"),
        ("DELETE", "actions/"),
        ("PUT", "actions/p/"),
        ("POST", "packages/refresh"),
        ("DELETE", "activations/" + "0" * 32),
        ("PUT", "/api/v1/namespaces"),
        ("GET", "actions/a/b/c"),
        ("GET", "packages/p/"),
        ("GET", "actions//x"),
        ("TRACE", "actions"),
    ],
)
def test_what_is_not_routed_is_not_found(api: Api, method: str, path: str):
    reply = api.call(method, path, {})
    assert reply.status_code == 404
    assert reply.get_json()["error"] == "The requested resource could not be found."


def test_a_path_outside_the_api_has_only_options(api: Api):
    reply = api.call("GET", "/nope")
    assert (reply.status_code, reply.headers["Allow"]) == (405, "OPTIONS")
    assert reply.get_json()["error"] == "HTTP method not allowed, supported methods: OPTIONS"


def test_head_is_not_found_and_empty(api: Api):
    reply = api.call("HEAD", "actions")
    assert (reply.status_code, reply.data) == (404, b"")


@pytest.mark.parametrize("path", ["actions", "actions/nosuch", "triggers", "frobs", "/api/v1"])
def test_options_needs_no_key(api: Api, path: str):
    reply = api.call("OPTIONS", path, auth=None)
    assert (reply.status_code, reply.data) == (200, b"OK")
    assert reply.headers["Content-Type"] == "text/plain; charset=UTF-8"
    assert CORS.items() <= dict(reply.headers).items()


@pytest.mark.parametrize("path", ["/", "/ping", "/nope", "/invokers", "/invokers/ready", "/activation/count"])
def test_answers_to_operators_allow_their_methods(api: Api, path: str):
    reply = api.call("GET", path, auth=None)
    assert re.fullmatch(r"[0-9a-zA-Z]{32}", reply.headers["X-Request-ID"])
    assert reply.headers["Access-Control-Allow-Methods"] == "OPTIONS, GET, POST"


def test_the_states_of_invokers_are_shown_and_counted(api: Api):
    def answers() -> list[tuple[int, object]]:
        replies = [api.call("GET", f"/invokers{one}", auth=None) for one in ("", "/healthy/count", "/ready")]
        assert {one.headers["Content-Type"] for one in replies} == {"application/json"}
        return [(one.status_code, one.get_json()) for one in replies]

    assert answers() == [(200, {}), (200, 0), (500, {"unhealthy": "0/0"})]
    api.balancer.states = {"invoker0/a": "up", "invoker1/b": "up"}
    assert answers() == [(200, api.balancer.states), (200, 2), (200, {"healthy": "2/2"})]
    api.balancer.states = {"invoker0/a": "up", "invoker1/b": "unhealthy", "invoker2/c": "down"}
    assert answers() == [(200, api.balancer.states), (200, 1), (500, {"unhealthy": "2/3"})]


def test_what_is_under_way_is_counted(api: Api):
    api.balancer.under_way = 3
    reply = api.call("GET", "/activation/count", auth=None)
    assert (reply.status_code, reply.data, reply.headers["Content-Type"]) == (200, b"3", "application/json")


def test_a_ping_is_answered_in_plain_text(api: Api):
    reply = api.call("GET", "/ping", auth=None)
    assert (reply.data, reply.headers["Content-Type"]) == (b"pong", "text/plain; charset=UTF-8")


@pytest.mark.parametrize("path", ["/api/v1", "/api/v1/", "actions", "actions/nosuch"])
def test_every_answer_has_a_transaction_id_and_cors(api: Api, path: str):
    reply = api.call("GET", path)
    assert re.fullmatch(r"[0-9a-zA-Z]{32}", reply.headers["X-Request-ID"])
    assert CORS.items() <= dict(reply.headers).items()


@pytest.mark.parametrize(("given", "kept"), [("abc-1_2", True), ("sid_x", False), ("x" * 300, False), ("a b", False)])
def test_a_transaction_id_of_the_callers_is_kept_unless_reserved(api: Api, given: str, kept: bool):
    reply = api.call("GET", "actions/nosuch", X_Request_ID=given)
    assert (reply.headers["X-Request-ID"] == given) is kept
    assert reply.get_json()["code"] == reply.headers["X-Request-ID"]


def test_json_has_no_charset(api: Api):
    for path in ("/", "actions", "actions/nosuch"):
        assert api.call("GET", path).headers["Content-Type"] == "application/json"


def test_lists_are_served_with_and_without_a_slash(api: Api):
    for collection in ("actions", "packages", "triggers", "rules", "activations", "limits"):
        assert api.call("GET", collection).status_code == 200
        assert api.call("GET", f"{collection}/").status_code == 200
    assert api.call("GET", "/api/v1/namespaces/").get_json() == ["guest"]


def test_limits_below_the_limits_are_not_there(api: Api):
    reply = api.call("GET", "limits/x")
    assert reply.status_code == 400
    assert reply.get_json()["error"] == "Inner entity level routes for limits are not yet implemented."


def test_other_namespaces_are_out_of_reach(api: Api):
    for collection in ("actions", "triggers", "rules", "activations", "limits"):
        reply = api.call("GET", f"/api/v1/namespaces/whisk.system/{collection}")
        assert reply.status_code == 403
        assert reply.get_json()["error"] == ("The supplied authentication is not authorized to access 'whisk.system'.")


def test_a_namespace_shows_its_own_limits(api: Api):
    Subjects(api.entities).set_limits("guest", {"maxActionMemory": 300, "invocationsPerMinute": 7})
    document = api.call("GET", "limits").get_json()
    assert (document["maxActionMemory"], document["invocationsPerMinute"]) == (300, 7)
    reply = api.action("a", limits={"memory": 301})
    assert reply.get_json()["error"].endswith("memory size 301 MB exceeds allowed threshold of 300 MB")


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("limit=201", MALFORMED.format("limit") + "The value '201' is not in the range of 0 to 200 for {}."),
        ("limit=x", MALFORMED.format("limit") + "The value 'x' is not an integer for {}."),
        ("limit=", MALFORMED.format("limit") + "The value '' is not an integer for {}."),
        ("skip=-1", MALFORMED.format("skip") + "The value '-1' is not greater than or equal to 0 for {}."),
        ("count=maybe", MALFORMED.format("count") + "'maybe' is not a valid Boolean value"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("collection", ["actions", "packages", "activations", "triggers", "rules"])
def test_a_bad_window_is_told(api: Api, collection: str, query: str, text: str):
    reply = api.call("GET", f"{collection}?{query}")
    assert reply.status_code == 400
    assert reply.get_json()["error"] == text.format(collection)


def test_a_key_is_not_in_any_answer(api: Api):
    for path in ("actions", "limits", "/api/v1/namespaces"):
        assert KEY not in api.call("GET", path, auth=GUEST).get_data(as_text=True)
