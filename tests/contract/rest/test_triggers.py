from __future__ import annotations

from typing import Any

import pytest

from tests.support.api import SYSTEM, Api

SYSTEM_NS = "/api/v1/namespaces/whisk.system"
MALFORMED = "The request content was malformed:\n"


def error_of(reply) -> tuple[int, str]:
    return reply.status_code, reply.get_json()["error"]


def annotated(feed: Any) -> dict[str, Any]:
    return {"annotations": [{"key": "feed", "value": feed}]}


@pytest.fixture
def linked(api: Api) -> Api:
    """Trigger `t` fires action `a` by rule `r`."""
    api.put("triggers/t", {"parameters": [{"key": "p", "value": 1}], "annotations": [{"key": "x", "value": 2}]})
    api.action("a")
    api.put("rules/r", {"trigger": "/_/t", "action": "/_/a"})
    return api


def test_an_update_replaces_whole_arrays_and_keeps_the_rest(linked: Api):
    before = linked.call("GET", "triggers/t").get_json()
    reply = linked.put("triggers/t", {"parameters": [{"key": "q", "value": 2}]})
    after = reply.get_json()
    assert after["parameters"] == [{"key": "q", "value": 2}]
    assert after["annotations"] == before["annotations"]
    assert after["rules"] == before["rules"] == {
        "guest/r": {"action": {"path": "guest", "name": "a"}, "status": "active"}
    }  # fmt: skip
    assert after["version"] == "0.0.2"
    assert linked.call("GET", "triggers/t").get_json() == after


def test_a_trigger_that_never_had_a_rule_shows_none(linked: Api):
    assert "rules" not in linked.put("triggers/u", {}).get_json()
    linked.call("DELETE", "rules/r")
    assert linked.call("GET", "triggers/t").get_json()["rules"] == {}


def test_lists_show_items_without_parameters_and_rules(linked: Api):
    [item] = linked.call("GET", "triggers").get_json()
    assert set(item) == {"namespace", "name", "version", "publish", "annotations", "updated"}
    linked.put("triggers/u", {})
    assert [one["name"] for one in linked.call("GET", "triggers?limit=1&skip=1").get_json()] == ["t"]
    assert linked.call("GET", "triggers?count=true&skip=1").get_json() == {"triggers": 1}


def test_a_deleted_trigger_is_shown_once_more(linked: Api):
    shown = linked.call("GET", "triggers/t").get_json()
    assert linked.call("DELETE", "triggers/t").get_json() == shown
    assert error_of(linked.call("DELETE", "triggers/t")) == (404, "The requested resource does not exist.")


@pytest.mark.parametrize("feed", ["/whisk.system/alarms/alarm", "p/f", "f", "a//b"])
def test_a_feed_may_be_any_path_whether_it_exists_or_not(api: Api, feed: str):
    assert api.call("PUT", "triggers/t", annotated(feed)).status_code == 200


@pytest.mark.parametrize("feed", ["", "/", "a,b", "p/f ", 5, None, ["f"]])
def test_a_feed_that_is_no_path_is_refused_at_creation_only(api: Api, feed: Any):
    assert error_of(api.call("PUT", "triggers/t", annotated(feed))) == (400, "Feed name is not valid")
    assert api.call("GET", "triggers/t").status_code == 404
    api.put("triggers/t", {})
    assert api.put("triggers/t", annotated(feed)).status_code == 200


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        ([], 400, MALFORMED + "Object expected in field 'exec'"),
        ({"parameters": {}}, 400, MALFORMED + "parameters malformed!"),
        ({"annotations": [{"key": "a"}]}, 400, MALFORMED + "parameters malformed!"),
        ({"limits": 5}, 400, MALFORMED + "Object expected"),
        ({"publish": "yes"}, 400, MALFORMED + 'Expected JsBoolean, but got "yes"'),
        ({"parameters": [{"key": "a", "value": "x" * 1048576}]}, 413,
         "parameters larger than allowed: 1048579 > 1048576 bytes."),
        ({"annotations": [{"key": "a", "value": "x" * 1048576}]}, 413,
         "annotations larger than allowed: 1048579 > 1048576 bytes."),
    ],
)  # fmt: skip
def test_a_bad_body_is_told_and_stores_nothing(api: Api, body: Any, status: int, text: str):
    assert error_of(api.put("triggers/t", body)) == (status, text)
    assert api.call("GET", "triggers").get_json() == []


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "POST"])
def test_triggers_of_others_are_out_of_reach(api: Api, method: str):
    api.call("PUT", f"{SYSTEM_NS}/triggers/t", {}, auth=SYSTEM)
    text = "The supplied authentication is not authorized to access 'whisk.system/t'."
    assert error_of(api.call(method, f"{SYSTEM_NS}/triggers/t", {})) == (403, text)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "POST"])
@pytest.mark.parametrize(("collection", "path"), [("triggers", "rules/r"), ("rules", "triggers/t")])
def test_a_name_of_another_collection_is_a_conflict(linked: Api, method: str, collection: str, path: str):
    text = "Resource by this name exists but is not in this collection."
    body = {"trigger": "/_/t", "action": "/_/a"} if method == "PUT" else {"status": "active"}
    name = path.partition("/")[2]
    assert error_of(linked.call(method, f"{collection}/{name}", body)) == (409, text)
    assert error_of(linked.call("GET", f"{collection}/a")) == (409, text)
    assert error_of(linked.put(f"actions/{name}", {"exec": {"kind": "python:3", "code": "x"}})) == (409, text)


def test_a_name_that_cannot_be_one_is_told(api: Api):
    assert error_of(api.put("triggers/a,b", {})) == (400, "The name of the entity contains illegal characters.")
    assert api.put("triggers/" + "x" * 257, {}).get_json()["error"] == "Name segement longer than allowed: 257 > 256."
