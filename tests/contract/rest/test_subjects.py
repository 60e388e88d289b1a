"""Subjects and limits as an operator changes them beside a running API: each change holds from the next request on."""

from typing import Any

import pytest

from controller_ext.entities.subjects import AdminInvalid, AdminRefused, Subjects, make_key
from invoker_ext.store import Document
from tests.support.api import GUEST, NS, SYSTEM, Api, basic

UUID = "11111111-2222-4333-8444-555555555555"
ACTION = {"exec": {"kind": "python:3", "code": "def main(a):\n  return a\n"}}


@pytest.fixture
def subjects(api: Api) -> Subjects:
    return Subjects(api.entities)


def create(subjects: Subjects, subject: str, namespace: str | None = None, auth: str | None = None, **how: bool) -> str:
    return subjects.create(
        subject, namespace=namespace, auth=auth, revoke=how.get("revoke", False), force=how.get("force", False)
    )


def namespace_of(api: Api, auth: str) -> object:
    reply = api.call("GET", "/api/v1/namespaces", auth=basic(auth))
    return reply.get_json() if reply.status_code == 200 else reply.status_code


def test_a_user_may_have_keys_to_several_namespaces(api: Api, subjects: Subjects):
    own, team = create(subjects, "alice"), create(subjects, "alice", "team")
    assert namespace_of(api, own) == ["alice"]
    assert namespace_of(api, team) == ["team"]
    assert subjects.keys("alice") == [("alice", own), ("team", team)]


def test_users_of_one_namespace_share_its_entities(api: Api, subjects: Subjects):
    alice, bobby = create(subjects, "alice", "team"), create(subjects, "bobby", "team")
    assert alice.partition(":")[0] != bobby.partition(":")[0]
    assert api.put("actions/a", ACTION, auth=basic(alice)).status_code == 200
    assert api.call("GET", "actions/a", auth=basic(bobby)).status_code == 200
    assert api.call("GET", "actions/a", auth=GUEST).status_code == 404


def test_a_blocked_user_is_refused_at_once_and_let_in_again(api: Api, subjects: Subjects):
    key = create(subjects, "alice")
    assert namespace_of(api, key) == ["alice"]
    subjects.block("alice", blocked=True)
    assert namespace_of(api, key) == 401
    assert subjects.whois(key) is None
    with pytest.raises(AdminRefused, match=r"^The subject you want to edit is blocked$"):
        create(subjects, "alice", "team")
    subjects.block("alice", blocked=False)
    assert namespace_of(api, key) == ["alice"]
    assert subjects.whois(key) == ("alice", "alice")


def test_a_revoked_key_is_replaced_under_its_uuid(api: Api, subjects: Subjects):
    first = create(subjects, "alice")
    with pytest.raises(AdminRefused, match=r"^Namespace already exists"):
        create(subjects, "alice")
    second = create(subjects, "alice", revoke=True)
    assert first.partition(":")[0] == second.partition(":")[0]
    third = create(subjects, "alice", force=True)
    assert third.partition(":")[0] != second.partition(":")[0]
    assert [namespace_of(api, key) for key in (first, second, third)] == [401, 401, ["alice"]]


def test_a_deleted_key_leaves_what_the_namespace_holds(api: Api, subjects: Subjects):
    create(subjects, "alice")
    key = create(subjects, "alice", "team")
    api.put("actions/a", ACTION, auth=basic(key))
    subjects.delete("alice", "team")
    assert namespace_of(api, key) == 401
    again = create(subjects, "bobby", "team")
    assert api.call("GET", "actions/a", auth=basic(again)).status_code == 200
    subjects.delete("alice")
    with pytest.raises(AdminRefused, match="there is no subject"):
        subjects.keys("alice")


def test_a_uuid_belongs_to_one_key_only(subjects: Subjects):
    auth = f"{UUID}:{make_key()}"
    assert create(subjects, "alice", auth=auth) == auth
    with pytest.raises(AdminRefused, match=f'{UUID} is in use: subject "alice", namespace "alice"'):
        create(subjects, "bobby", auth=auth)
    with pytest.raises(AdminRefused, match="is in use"):
        create(subjects, "alice", "team", auth=auth)


@pytest.mark.parametrize(
    ("subject", "namespace", "auth", "text"),
    [
        (" bob ", None, None, "Subject name must be at least 5 characters"),
        ("ali/ce", None, None, "must not contain a slash"),
        ("alice", " ", None, "Namespace must not be empty"),
        ("alice", "a/b", None, "cannot name a namespace"),
        ("alice", "_", None, "must not be"),
        ("alice", None, "x:" + "k" * 64, "authorization id is not a valid UUID"),
        ("alice", None, UUID, "failed to determine authorization id and key"),
        ("alice", None, f"{UUID}:short", "authorization key must be at least 64 characters long"),
        ("alice", None, f"{UUID}:" + "k" * 65, "authorization key must be exactly 64 characters long"),
        ("alice", None, f"{UUID}:" + "é" * 64, "printable ASCII"),
    ],
)
def test_what_is_no_name_or_key_is_refused(
    api: Api, subjects: Subjects, subject: str, namespace: str | None, auth: str | None, text: str
):
    with pytest.raises(AdminInvalid, match=text):
        create(subjects, subject, namespace, auth)
    assert api.entities.subject_document(subject.strip()) is None


def test_keys_are_random_letters_and_digits():
    keys = {make_key() for _ in range(100)}
    assert len(keys) == 100
    assert all(len(key) == 64 and key.isascii() and key.isalnum() for key in keys)


def test_limits_hold_from_the_next_request_on(api: Api, subjects: Subjects):
    assert api.action("a", limits={"memory": 256}).status_code == 200
    subjects.set_limits("guest", {"maxActionMemory": 128, "maxParameterSize": "10 B", "maxActionInstances": 2})
    for body, status in (
        ({"limits": {"memory": 256}}, 400),
        ({"parameters": [{"key": "long", "value": "0123456789"}]}, 413),
        ({"limits": {"memory": 128, "instances": 3}}, 400),
        ({"limits": {"memory": 128, "instances": 2}}, 200),
    ):
        assert api.action("a", **body).status_code == status
    shown = api.call("GET", "limits").get_json()
    assert (shown["maxActionMemory"], shown["maxParameterSize"], shown["maxActionInstances"]) == (128, "10 B", 2)
    subjects.delete_limits("guest")
    assert api.action("a", limits={"memory": 256}).status_code == 200
    assert api.call("GET", "limits").get_json()["maxParameterSize"] == "1048576 B"


MEMORY = "requirement failed: memory size 256 MB exceeds allowed threshold of 128 MB"


def test_an_action_stored_above_the_limits_that_hold_ends_with_the_text_of_the_limit(api: Api, subjects: Subjects):
    api.action("a", limits={"memory": 256})
    assert api.call("POST", "actions/a?blocking=true&result=true", {"x": 1}).get_json() == {"x": 1}
    subjects.set_limits("guest", {"maxActionMemory": 128})

    reply = api.call("POST", "actions/a?blocking=true", {"x": 1})

    record = reply.get_json()
    assert reply.status_code == 502
    assert record["response"] == {"result": {"error": MEMORY}, "status": "application error", "success": False}
    assert (record["start"], record["duration"]) == (record["end"], 0)
    assert record["annotations"] == [{"key": "path", "value": "guest/a"}, {"key": "kind", "value": "unknown"}]
    assert api.balancer.memory_mb[-1] == 0
    assert api.call("GET", f"activations/{record['activationId']}").status_code == 200
    subjects.set_limits("guest", {"maxActionMemory": 256})
    assert api.call("POST", "actions/a?blocking=true&result=true", {"x": 1}).get_json() == {"x": 1}


def test_a_sequence_stops_at_an_action_stored_above_the_limits_that_hold(api: Api, subjects: Subjects):
    api.action("small", limits={"memory": 128})
    api.action("large", limits={"memory": 256})
    api.put("actions/inner", {"exec": {"kind": "sequence", "components": ["/_/small", "/_/large"]}})
    api.put("actions/outer", {"exec": {"kind": "sequence", "components": ["/_/inner", "/_/small"]}})
    subjects.set_limits("guest", {"maxActionMemory": 128})

    record = api.call("POST", "actions/outer?blocking=true", {}).get_json()

    assert record["response"] == {"result": {"error": MEMORY}, "status": "application error", "success": False}
    assert len(record["logs"]) == 1
    step = api.call("GET", f"activations/{record['logs'][0]}").get_json()
    assert len(step["logs"]) == 2
    refused = api.call("GET", f"activations/{step['logs'][1]}").get_json()
    assert refused["response"] == {"result": {"error": MEMORY}, "status": "application error", "success": False}
    assert (refused["name"], refused["cause"], refused["duration"]) == ("large", step["activationId"], 0)


def test_limits_that_are_set_are_merged_with_those_there(subjects: Subjects):
    assert subjects.limits("team") is None
    subjects.set_limits("team", {"firesPerMinute": 0, "storeActivations": False})
    subjects.set_limits("team", {"invocationsPerMinute": 5, "storeActivations": True})
    assert subjects.limits("team") == [
        ("invocationsPerMinute", 5),
        ("firesPerMinute", 0),
        ("storeActivations", True),
    ]
    with pytest.raises(AdminInvalid, match="minActionLogs 5 would be above maxActionLogs 4"):
        subjects.set_limits("team", {"minActionLogs": 5, "maxActionLogs": 4})
    subjects.delete_limits("team")
    with pytest.raises(AdminRefused, match="none of its own"):
        subjects.delete_limits("team")


def test_limits_of_one_namespace_are_not_those_of_another(api: Api, subjects: Subjects):
    subjects.set_limits("guest", {"invocationsPerMinute": 0})
    system = api.call("GET", f"{NS}/limits", auth=SYSTEM).get_json()
    assert system["invocationsPerMinute"] != 0


def test_a_subject_that_is_deleted_meanwhile_is_not_made_again(
    api: Api, subjects: Subjects, monkeypatch: pytest.MonkeyPatch
):
    create(subjects, "alice")
    look, looks = api.entities.subject_document, []

    def look_and_lose(doc_id: str) -> Document | None:
        looks.append(doc_id)
        if len(looks) == 2:
            Subjects(api.entities).delete(doc_id)
        return look(doc_id)

    monkeypatch.setattr(api.entities, "subject_document", look_and_lose)
    with pytest.raises(AdminRefused, match="there is no subject"):
        subjects.block("alice", blocked=True)
    assert look("alice") is None


def test_a_change_by_somebody_else_at_the_same_moment_is_kept(
    api: Api, subjects: Subjects, monkeypatch: pytest.MonkeyPatch
):
    create(subjects, "alice")
    put = api.entities.put_subject_document
    raced: list[str] = []

    def race(doc_id: str, body: dict[str, Any], revision: str | None) -> Document:
        if not raced:
            raced.append(doc_id)
            create(Subjects(api.entities), "alice", "team")
        return put(doc_id, body, revision)

    monkeypatch.setattr(api.entities, "put_subject_document", race)
    subjects.block("alice", blocked=True)
    assert [name for name, _ in subjects.keys("alice")] == ["alice", "team"]
    document = api.entities.subject_document("alice")
    assert document is not None
    assert document.body["blocked"] is True
