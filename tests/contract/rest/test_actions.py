from __future__ import annotations

import pytest

from controller_ext.entities.subjects import Subjects
from tests.support.api import GUEST, SYSTEM, Api

EXEC = {"kind": "python:3", "code": "def main(a):\n  return a\n"}
SEQUENCE = {"kind": "sequence", "components": ["/_/a"]}


def error_of(reply) -> tuple[int, str]:
    return reply.status_code, reply.get_json()["error"]


NOT_FOUND = (404, "The requested resource does not exist.")
CONFORMANCE = (409, "Resource by this name exists but is not in this collection.")


def test_a_second_create_is_a_conflict(api: Api):
    assert api.call("PUT", "actions/a", {"exec": EXEC}).status_code == 200
    assert error_of(api.call("PUT", "actions/a", {"exec": EXEC})) == (409, "resource already exists")
    assert api.call("PUT", "actions/a?overwrite=true", {}).get_json()["version"] == "0.0.2"


def test_delete_shows_what_was_deleted(api: Api):
    api.action("a")
    assert api.call("DELETE", "actions/a").get_json()["exec"]["code"] == EXEC["code"]
    assert error_of(api.call("DELETE", "actions/a")) == NOT_FOUND


def test_a_list_shows_neither_code_nor_parameters(api: Api):
    api.action("a", parameters=[{"key": "p", "value": 1}])
    (item,) = api.call("GET", "actions").get_json()
    assert item["exec"] == {"binary": False}
    assert "parameters" not in item


def test_a_count_subtracts_skip(api: Api):
    for name in "abc":
        api.action(name)
    assert api.call("GET", "actions?count=true&skip=1&limit=1").get_json() == {"actions": 2}
    assert api.call("GET", "actions?count=true&skip=9").get_json() == {"actions": 0}


def test_the_same_name_cannot_be_an_action_and_a_package(api: Api):
    api.put("packages/p", {})
    api.action("a")
    for method in ("GET", "PUT", "DELETE", "POST"):
        assert error_of(api.call(method, "actions/p", {"exec": EXEC})) == CONFORMANCE
    for method in ("GET", "PUT", "DELETE"):
        assert error_of(api.call(method, "packages/a", {})) == CONFORMANCE
    assert error_of(api.call("GET", "actions/a/b")) == CONFORMANCE


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "POST"])
def test_packages_are_never_made_on_the_way(api: Api, method: str):
    assert error_of(api.call(method, "actions/nosuch/a", {"exec": EXEC})) == NOT_FOUND


def test_the_list_of_a_package_shows_its_actions_only(api: Api):
    api.put("packages/p", {})
    api.put("packages/b", {"binding": {"namespace": "_", "name": "p"}})
    api.action("p/a")
    api.action("c")
    for path in ("actions/p/", "actions/b/"):
        (item,) = api.call("GET", path).get_json()
        assert (item["namespace"], item["name"]) == ("guest/p", "a")
    assert api.call("GET", "actions/p/?count=true").get_json() == {"actions": 1}
    assert {one["namespace"] for one in api.call("GET", "actions").get_json()} == {"guest", "guest/p"}


def test_nothing_is_written_through_a_binding(api: Api):
    api.put("packages/p", {})
    api.put("packages/b", {"binding": {"namespace": "_", "name": "p"}})
    api.action("p/a")
    for method in ("PUT", "DELETE"):
        reply = api.call(method, "actions/b/a", {"exec": EXEC})
        assert error_of(reply) == (400, "Operation not permitted on package binding.")


def test_get_merges_parameters_and_put_does_not(api: Api):
    api.put("packages/p", {"parameters": [{"key": "x", "value": 1}, {"key": "y", "value": 1}]})
    api.put("packages/b", {"binding": {"namespace": "_", "name": "p"}, "parameters": [{"key": "y", "value": 2}]})
    written = api.action("p/a", parameters=[{"key": "z", "value": 3}]).get_json()
    assert written["parameters"] == [{"key": "z", "value": 3}]
    read = api.call("GET", "actions/b/a").get_json()
    assert {one["key"]: one["value"] for one in read["parameters"]} == {"x": 1, "y": 2, "z": 3}


def test_a_body_of_another_type_is_not_supported(api: Api):
    reply = api.call("PUT", "actions/a", b"{}", Content_Type="text/plain; charset=UTF-8")
    assert error_of(reply) == (
        415,
        "The request's Content-Type [text/plain; charset=UTF-8] is not supported. Expected:\napplication/json",
    )


def test_a_body_of_no_stated_type_is_taken_for_json(api: Api):
    body = b'{"exec":{"kind":"python:3","code":""}}'
    reply = api.client.put("/api/v1/namespaces/_/actions/a", data=body, headers={"Authorization": GUEST})
    assert reply.status_code == 200


def test_json_with_a_charset_is_supported(api: Api):
    reply = api.call(
        "PUT", "actions/a", b'{"exec":{"kind":"python:3","code":""}}', Content_Type="application/json; charset=utf-8"
    )
    assert reply.status_code == 200


def test_deprecated_kinds_and_foreign_kinds_are_refused(api: Api):
    Subjects(api.entities).set_limits("guest", {"allowedKinds": ["python:3.11"]})
    assert error_of(api.action("a")) == (
        403,
        "The supplied authentication is not authorized to access actions of kind 'python:3'.",
    )


class TestSequences:
    def test_components_are_stored_with_full_names(self, api: Api):
        api.action("a")
        shown = api.put("actions/s", {"exec": SEQUENCE}).get_json()
        assert shown["exec"] == {"kind": "sequence", "components": ["/guest/a"]}
        assert shown["parameters"] == [{"key": "_actions", "value": ["/guest/a"]}]

    @pytest.mark.parametrize(
        ("components", "text"),
        [
            ([], "No component specified for the sequence."),
            (["/_/nosuch"], "Sequence component does not exist."),
            (["/_/s"], "Sequence may not refer to itself."),
            (["/_/a"] * 51, "Too many actions in the sequence."),
            (["/_/many", "/_/a"], "Too many actions in the sequence."),
            (["/_/around"], "Sequence may not refer to itself."),
        ],
    )
    def test_bad_components_are_refused(self, api: Api, components: list[str], text: str):
        api.action("a")
        api.put("actions/many", {"exec": {"kind": "sequence", "components": ["/_/a"] * 50}})
        api.put("actions/s", {"exec": SEQUENCE})
        api.put("actions/around", {"exec": {"kind": "sequence", "components": ["/_/s"]}})
        reply = api.put("actions/s", {"exec": {"kind": "sequence", "components": components}})
        assert error_of(reply) == (400, text)

    def test_components_out_of_reach_are_named(self, api: Api):
        reply = api.put("actions/s", {"exec": {"kind": "sequence", "components": ["/x/p/a", "/x/b"]}})
        assert error_of(reply) == (403, "The supplied authentication is not authorized to access 'x/b, x/p/a'.")

    def test_a_component_in_a_missing_package_of_ones_own_is_not_found(self, api: Api):
        assert error_of(api.put("actions/s", {"exec": {"kind": "sequence", "components": ["/_/p/a"]}})) == NOT_FOUND

    def test_a_component_of_a_published_package_may_be_used(self, api: Api):
        api.call("PUT", "/api/v1/namespaces/whisk.system/packages/p", {"publish": True}, auth=SYSTEM)
        api.call("PUT", "/api/v1/namespaces/whisk.system/actions/p/a", {"exec": EXEC}, auth=SYSTEM)
        reply = api.put("actions/s", {"exec": {"kind": "sequence", "components": ["/whisk.system/p/a"]}})
        assert reply.status_code == 200


class TestWorkflows:
    GOOD = "dataflow: 1\nsteps:\n  one:\n    action: a\n    inputs: {x: $run.x}\nresult: one\n"

    def test_a_workflow_is_stored_as_it_was_written(self, api: Api):
        api.action("a")
        shown = api.put("actions/w", {"exec": {"kind": "dataflow:1", "code": self.GOOD}}).get_json()
        assert shown["exec"] == {"kind": "dataflow:1", "code": self.GOOD, "binary": False}
        assert {"key": "exec", "value": "dataflow:1"} in shown["annotations"]

    def test_all_findings_are_told_with_their_paths(self, api: Api):
        text = "dataflow: 1\nsteps:\n  one:\n    action: nosuch\n  two:\n    action: neither\nresult: one\n"
        status, error = error_of(api.put("actions/w", {"exec": {"kind": "dataflow:1", "code": text}}))
        assert status == 400
        assert error.startswith("The request content was malformed:\n")
        assert "steps.one.action" in error
        assert "steps.two.action" in error

    @pytest.mark.parametrize("text", ["", "[", "- 1", "dataflow: 2", "steps: {}", "\x00", "a: &a [*a]"])
    def test_what_is_no_workflow_is_refused(self, api: Api, text: str):
        assert api.put("actions/w", {"exec": {"kind": "dataflow:1", "code": text}}).status_code == 400

    def test_a_workflow_cannot_contain_itself(self, api: Api):
        api.action("a")
        api.put("actions/w", {"exec": {"kind": "dataflow:1", "code": self.GOOD}})
        text = self.GOOD.replace("action: a", "action: w")
        status, error = error_of(api.put("actions/w", {"exec": {"kind": "dataflow:1", "code": text}}))
        assert status == 400
        assert "contains itself" in error

    def test_a_workflow_reaches_no_private_action_of_others(self, api: Api):
        api.call("PUT", "/api/v1/namespaces/whisk.system/actions/a", {"exec": EXEC}, auth=SYSTEM)
        text = self.GOOD.replace("action: a", "action: /whisk.system/a")
        status, error = error_of(api.put("actions/w", {"exec": {"kind": "dataflow:1", "code": text}}))
        assert status == 400
        assert "does not exist" in error
