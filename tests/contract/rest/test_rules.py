from __future__ import annotations

import threading
from typing import Any

import pytest

from invoker_ext.store import RevisionConflict
from tests.support.api import GUEST, SYSTEM, Api

SYSTEM_NS = "/api/v1/namespaces/whisk.system"
MALFORMED = "The request content was malformed:\n"
BODY = {"trigger": "/_/t", "action": "/_/a"}
EXEC = {"kind": "python:3", "code": "x"}


def error_of(reply) -> tuple[int, str]:
    return reply.status_code, reply.get_json()["error"]


def status_of(api: Api, rule: str = "r") -> str:
    status: str = api.call("GET", f"rules/{rule}").get_json()["status"]
    return status


def links_of(api: Api, trigger: str) -> dict[str, Any]:
    found: dict[str, Any] = api.call("GET", f"triggers/{trigger}").get_json().get("rules", {})
    return found


@pytest.fixture
def ready(api: Api) -> Api:
    """There are triggers `t` and `u`, actions `a` and `b`, and package `p` with action `c`."""
    for trigger in ("t", "u"):
        api.put(f"triggers/{trigger}", {})
    api.put("packages/p", {})
    for action in ("a", "b", "p/c"):
        api.action(action)
    return api


@pytest.fixture
def ruled(ready: Api) -> Api:
    """Rule `r` has `t` fire `a`."""
    ready.call("PUT", "rules/r", BODY)
    return ready


@pytest.mark.parametrize(
    ("action", "path"),
    [
        ("/_/a", "guest"),
        ("guest/a", "guest"),
        ("/guest/p/c", "guest/p"),
        ({"path": "guest", "name": "a"}, "guest"),
        ({"path": "_/p", "name": "c"}, "guest/p"),
    ],
)
def test_an_action_may_be_named_in_every_way(ready: Api, action: Any, path: str):
    reply = ready.call("PUT", "rules/r", {"trigger": "/_/t", "action": action})
    assert (reply.status_code, reply.get_json()["action"]["path"]) == (200, path)
    assert links_of(ready, "t")["guest/r"]["action"]["path"] == path


def test_an_action_of_a_bound_package_keeps_the_name_it_is_given(ready: Api):
    ready.call("PUT", f"{SYSTEM_NS}/packages/open", {"publish": True}, auth=SYSTEM)
    ready.call("PUT", f"{SYSTEM_NS}/actions/open/x", {"exec": EXEC}, auth=SYSTEM)
    ready.put("packages/mine", {"binding": {"namespace": "whisk.system", "name": "open"}})
    reply = ready.call("PUT", "rules/r", {"trigger": "/_/t", "action": "/_/mine/x"})
    assert reply.get_json()["action"] == {"path": "guest/mine", "name": "x"}
    assert ready.call("PUT", "rules/s", {"trigger": "/_/t", "action": "/whisk.system/open/x"}).status_code == 200


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ([], MALFORMED + "Object expected in field 'exec'"),
        ({**BODY, "trigger": 5}, MALFORMED + "fully qualified name malformed"),
        ({**BODY, "trigger": {"path": "guest"}}, MALFORMED + "fully qualified name malformed"),
        ({**BODY, "action": {"path": "guest", "name": "a/b"}}, MALFORMED + "fully qualified name malformed"),
        ({**BODY, "action": ""}, MALFORMED + "requirement failed: path undefined"),
        ({**BODY, "annotations": 1}, MALFORMED + "parameters malformed!"),
        ({**BODY, "publish": 0}, MALFORMED + "Expected JsBoolean, but got 0"),
        ({"action": "/_/a"}, "rule requires a valid trigger and a valid action"),
        ({"trigger": "/_/no", "action": "/_/no"}, "trigger /guest/no does not exist"),
        ({"trigger": "/_/t", "action": "/_/p/no"}, "action /guest/p/no does not exist"),
        ({"trigger": "/_/a", "action": "/_/a"},
         "document type class org.apache.openwhisk.core.entity.WhiskAction did not match expected type class"
         " org.apache.openwhisk.core.entity.WhiskTrigger."),
        ({"trigger": "/_/t", "action": "/_/p"},
         "document type class org.apache.openwhisk.core.entity.WhiskPackage did not match expected type class"
         " org.apache.openwhisk.core.entity.WhiskActionMetaData."),
    ],
)  # fmt: skip
def test_a_bad_body_is_told_and_stores_nothing(ready: Api, body: Any, text: str):
    assert error_of(ready.call("PUT", "rules/r", body)) == (400, text)
    assert ready.call("GET", "rules").get_json() == []
    assert links_of(ready, "t") == {}


def test_what_a_rule_refers_to_must_be_readable(ready: Api):
    body = {"trigger": "/whisk.system/t", "action": "/other/a"}
    text = "The supplied authentication is not authorized to access '{}'."
    assert error_of(ready.call("PUT", "rules/r", body)) == (403, text.format("other/a, whisk.system/t"))
    assert error_of(ready.call("PUT", "rules/r", {"trigger": "/_/t", "action": "/whisk.system/p/a"}))[0] == 403
    missing = ready.call("PUT", "rules/r", {"trigger": "/_/t", "action": "/_/nosuch/a"})
    assert error_of(missing) == (404, "The requested resource does not exist.")
    taken = ready.call("PUT", "rules/r", {"trigger": "/_/t", "action": "/_/a/c"})
    assert error_of(taken)[0] == 409


def test_annotations_have_their_bound(ready: Api):
    body = {**BODY, "annotations": [{"key": "a", "value": "x" * 1048576}]}
    text = "annotations larger than allowed: 1048579 > 1048576 bytes."
    assert error_of(ready.call("PUT", "rules/r", body)) == (413, text)


def test_lists_show_no_status(ruled: Api):
    [item] = ruled.call("GET", "rules").get_json()
    assert set(item) == {"namespace", "name", "version", "publish", "annotations", "updated", "trigger", "action"}
    assert ruled.call("GET", "rules?count=true").get_json() == {"rules": 1}


def test_an_update_keeps_what_it_does_not_name_and_the_status(ruled: Api):
    ruled.call("POST", "rules/r", {"status": "inactive"})
    reply = ruled.put("rules/r", {"action": "/_/b", "status": ""}).get_json()
    assert (reply["status"], reply["action"]["name"], reply["trigger"]["name"]) == ("inactive", "b", "t")
    assert reply["version"] == "0.0.2"
    assert links_of(ruled, "t") == {"guest/r": {"action": {"path": "guest", "name": "b"}, "status": "inactive"}}
    assert ruled.put("rules/r", {}).get_json()["version"] == "0.0.3"


def test_a_rule_that_moves_to_another_trigger_leaves_the_old_one_and_keeps_its_status(ruled: Api):
    for status in ("active", "inactive"):
        ruled.call("POST", "rules/r", {"status": status})
        assert ruled.put("rules/r", {"trigger": "/_/u"}).get_json()["status"] == status
        assert links_of(ruled, "t") == {}
        assert links_of(ruled, "u")["guest/r"]["status"] == status
        ruled.put("rules/r", {"trigger": "/_/t"})


def test_an_update_that_cannot_be_leaves_all_as_it_was(ruled: Api):
    ruled.call("DELETE", "actions/a")
    before = ruled.call("GET", "rules/r").get_json(), links_of(ruled, "t")
    assert error_of(ruled.put("rules/r", {"trigger": "/_/u"})) == (400, "action /guest/a does not exist")
    assert error_of(ruled.put("rules/r", {"trigger": "/_/no"})) == (400, "trigger /guest/no does not exist")
    assert (ruled.call("GET", "rules/r").get_json(), links_of(ruled, "t")) == before


def test_linking_changes_neither_version_nor_time_of_the_trigger(ready: Api):
    before = ready.call("GET", "triggers/t").get_json()
    ready.call("PUT", "rules/r", BODY)
    ready.call("POST", "rules/r", {"status": "inactive"})
    after = ready.call("GET", "triggers/t").get_json()
    assert (after["version"], after["updated"]) == (before["version"], before["updated"])


def test_a_new_status_is_answered_by_a_word_and_read_back(ruled: Api):
    for status in ("inactive", "inactive", "active", "active"):
        reply = ruled.call("POST", "rules/r", {"status": status, "trigger": None, "action": None})
        assert (reply.status_code, reply.data, reply.content_type) == (200, b"OK", "text/plain; charset=UTF-8")
        assert status_of(ruled) == status
        assert links_of(ruled, "t")["guest/r"]["status"] == status


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"status": "foo"}, "requirement failed: foo is not a recognized rule state"),
        ({}, "key not found: status"),
        ({"status": 5}, "5 (of class spray.json.JsNumber)"),
        ({"status": None}, "null (of class spray.json.JsNull$)"),
        ([1], "[1] (of class spray.json.JsArray)"),
        ("active", '"active" (of class spray.json.JsString)'),
    ],
)
def test_a_status_that_is_none_is_told(ruled: Api, body: Any, text: str):
    assert error_of(ruled.call("POST", "rules/r", body)) == (400, MALFORMED + text)
    assert error_of(ruled.call("POST", "rules/nosuch", body)) == (400, MALFORMED + text)
    assert status_of(ruled) == "active"


def test_without_its_trigger_a_rule_is_inactive_and_stays_so(ruled: Api):
    ruled.call("DELETE", "triggers/t")
    assert status_of(ruled) == "inactive"
    assert ruled.call("POST", "rules/r", {"status": "inactive"}).status_code == 200
    text = "Only rules with existing triggers can be activated"
    assert error_of(ruled.call("POST", "rules/r", {"status": "active"})) == (404, text)
    assert ruled.call("DELETE", "rules/r").get_json()["status"] == "inactive"


def test_a_trigger_that_is_made_anew_takes_its_rules_back_when_they_are_enabled(ruled: Api):
    ruled.call("DELETE", "triggers/t")
    ruled.put("triggers/t", {})
    assert (status_of(ruled), links_of(ruled, "t")) == ("inactive", {})
    ruled.call("POST", "rules/r", {"status": "active"})
    assert (status_of(ruled), list(links_of(ruled, "t"))) == ("active", ["guest/r"])


def test_a_trigger_whose_name_something_else_took_is_missing(ruled: Api):
    ruled.call("DELETE", "triggers/t")
    ruled.action("t")
    assert status_of(ruled) == "inactive"
    assert ruled.call("POST", "rules/r", {"status": "active"}).status_code == 404
    assert ruled.call("DELETE", "rules/r").status_code == 200
    assert "rules" not in ruled.call("GET", "actions/t").get_json()


def test_an_active_rule_can_be_deleted(ruled: Api):
    assert ruled.call("DELETE", "rules/r").get_json()["status"] == "inactive"
    assert links_of(ruled, "t") == {}
    assert error_of(ruled.call("POST", "rules/r", {"status": "active"}))[0] == 404


def test_a_body_above_its_bound_is_refused_before_it_is_read(ruled: Api):
    reply = ruled.call("POST", "rules/r", b'{"status": "' + b"x" * 1048576 + b'"}')
    assert error_of(reply) == (413, "Request larger than allowed: 1048590 > 1048576 bytes.")


def test_rules_of_one_trigger_made_at_once_are_all_linked(ready: Api):
    statuses: list[int] = []

    def make(number: int) -> None:
        client = ready.app.test_client()
        headers = {"Authorization": GUEST, "Content-Type": "application/json"}
        path = f"/api/v1/namespaces/_/rules/r{number}"
        statuses.append(client.put(path, json=BODY, headers=headers).status_code)
        statuses.append(client.post(path, json={"status": "inactive"}, headers=headers).status_code)

    threads = [threading.Thread(target=make, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert statuses == [200] * 32
    assert {one["status"] for one in links_of(ready, "t").values()} == {"inactive"}
    assert len(links_of(ready, "t")) == 16


def test_others_that_are_always_faster_are_told_as_a_conflict_and_nothing_stays(
    ready: Api, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("controller_ext.entities.links.GIVE_UP_S", 0.0)
    put = ready.entities.put

    def overtaken(doc_id: str, body: dict[str, Any], revision: str | None) -> Any:
        if doc_id == "guest/t":
            raise RevisionConflict(doc_id)
        return put(doc_id, body, revision)

    monkeypatch.setattr(ready.entities, "put", overtaken)
    text = "Concurrent modification to resource detected."
    assert error_of(ready.call("PUT", "rules/r", BODY)) == (409, text)
    assert ready.call("GET", "rules").get_json() == []


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [("DELETE", "rules/r", None), ("PUT", "rules/r?overwrite=true", {"trigger": "/_/u"})],
    ids=["deleted", "moved"],
)
def test_no_link_stays_of_a_rule_that_goes_while_it_is_disabled(
    ruled: Api, monkeypatch: pytest.MonkeyPatch, method: str, path: str, body: Any
):
    put = ruled.entities.put
    ahead = ["the other request"]

    def overtaken(doc_id: str, document: dict[str, Any], revision: str | None) -> Any:
        if doc_id == "guest/t" and ahead:
            ahead.clear()
            assert ruled.call(method, path, body).status_code == 200
        return put(doc_id, document, revision)

    monkeypatch.setattr(ruled.entities, "put", overtaken)
    assert ruled.call("POST", "rules/r", {"status": "inactive"}).status_code == 200
    assert not ahead
    assert links_of(ruled, "t") == {}


@pytest.mark.parametrize(
    ("method", "path", "body", "answer"),
    [
        ("POST", "rules/r", {"status": "inactive"}, 200),
        ("PUT", "rules/r?overwrite=true", {"action": "/_/p/c"}, 200),
        ("DELETE", "rules/r", None, 409),
    ],
    ids=["disabled", "changed", "deleted"],
)
def test_a_trigger_fires_what_its_rule_names_whoever_changes_both_at_once(
    ruled: Api, monkeypatch: pytest.MonkeyPatch, method: str, path: str, body: Any, answer: int
):
    put = ruled.entities.put
    ahead = ["the other request"]

    def overtaken(doc_id: str, document: dict[str, Any], revision: str | None) -> Any:
        if doc_id == "guest/t" and ahead:
            ahead.clear()
            assert ruled.call("PUT", "rules/r?overwrite=true", {"action": "/_/b"}).status_code == 200
        return put(doc_id, document, revision)

    monkeypatch.setattr(ruled.entities, "put", overtaken)
    assert ruled.call(method, path, body).status_code == answer
    assert not ahead
    rule = ruled.call("GET", "rules/r").get_json()
    assert links_of(ruled, "t") == {"guest/r": {"action": rule["action"], "status": rule["status"]}}
    assert (rule["action"]["name"], rule["status"]) == ("b", "inactive" if method == "POST" else "active")
