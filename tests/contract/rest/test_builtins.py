"""The built-in packages in the store, and as clients see them."""

from __future__ import annotations

from typing import Any

import pytest

from controller_ext.builtins import install as installing, packages
from controller_ext.builtins.install import MARKER_ID, install
from controller_ext.builtins.packages import NAMESPACE, PACKAGES, BuiltinAction, BuiltinPackage
from tests.support.api import SYSTEM, Api

SYSTEM_NS = "/api/v1/namespaces/whisk.system"
ECHO = f"{NAMESPACE}/utils/echo"


@pytest.fixture(autouse=True)
def _installed(api: Api) -> None:
    install(api.entities, 1_000)


def become(monkeypatch: pytest.MonkeyPatch, *found: BuiltinPackage) -> None:
    """Make this another version, with these packages."""
    monkeypatch.setattr(installing, "PACKAGES", found)
    monkeypatch.setattr(installing, "_digest", lambda: "another")


def echo(**about: Any) -> BuiltinPackage:
    return BuiltinPackage(name="utils", about={}, actions=(BuiltinAction(name="echo", about=about),))


def test_everybody_sees_the_packages(api: Api):
    found = api.call("GET", f"{SYSTEM_NS}/packages").get_json()
    assert {one["name"] for one in found} == {one.name for one in PACKAGES}
    assert all(one["publish"] for one in found)


def test_a_package_shows_its_actions(api: Api):
    found = api.call("GET", f"{SYSTEM_NS}/packages/utils").get_json()
    assert found["annotations"] == [{"key": "description", "value": "Building blocks that format and assemble data"}]
    assert {one["name"] for one in found["actions"]} == {one.name for one in packages.UTILS.actions}
    assert found["version"] == "0.0.1"


def test_an_action_is_told_of_in_its_annotations(api: Api):
    found = api.call("GET", f"{SYSTEM_NS}/actions/utils/echo").get_json()
    assert [one["key"] for one in found["annotations"]] == [
        "description",
        "parameters",
        "sampleInput",
        "sampleOutput",
        "provide-api-key",
        "exec",
    ]
    assert found["exec"]["kind"] == "python:3"


def test_anybody_may_invoke_and_bind(api: Api):
    assert api.call("POST", f"{SYSTEM_NS}/actions/utils/echo", {"a": 1}).status_code == 202
    assert api.put("packages/b", {"binding": {"namespace": NAMESPACE, "name": "utils"}}).status_code == 200
    assert api.call("POST", "actions/b/echo", {"a": 1}).status_code == 202


def test_only_its_owner_may_change_it(api: Api):
    assert api.call("DELETE", f"{SYSTEM_NS}/actions/utils/echo").status_code == 403


def test_installing_again_changes_nothing(api: Api):
    before = api.entities.get(ECHO)
    assert install(api.entities, 2_000) is False
    assert api.entities.get(ECHO) == before


def test_another_version_replaces_what_differs_and_only_that(api: Api, monkeypatch: pytest.MonkeyPatch):
    greeting = next(one for one in packages.SAMPLES.actions if one.name == "greeting")
    samples = BuiltinPackage(name="samples", about=packages.SAMPLES.about, actions=(greeting,))
    become(monkeypatch, echo(description="better"), samples)
    assert install(api.entities, 2_000) is True
    found = api.call("GET", f"{SYSTEM_NS}/actions/utils/echo").get_json()
    assert (found["version"], found["annotations"][0]["value"]) == ("0.0.2", "better")
    assert [one["key"] for one in found["annotations"]] == ["description", "provide-api-key", "exec"]
    assert api.call("GET", f"{SYSTEM_NS}/actions/samples/greeting").get_json()["version"] == "0.0.1"
    listed = api.call("GET", f"{SYSTEM_NS}/actions", auth=SYSTEM).get_json()
    assert {one["name"] for one in listed} == {"echo", "greeting"}


def test_what_an_operator_changed_outlives_another_version(api: Api, monkeypatch: pytest.MonkeyPatch):
    api.put(f"{SYSTEM_NS}/actions/utils/echo", {"exec": {"kind": "python:3", "code": "mine"}}, auth=SYSTEM)
    api.call("DELETE", f"{SYSTEM_NS}/actions/utils/cat", auth=SYSTEM)
    cat = BuiltinAction(name="cat", about={"description": "better"})
    become(monkeypatch, BuiltinPackage(name="utils", about={}, actions=(*echo().actions, cat)))
    install(api.entities, 2_000)
    assert api.call("GET", f"{SYSTEM_NS}/actions/utils/echo").get_json()["exec"]["code"] == "mine"
    assert api.call("GET", f"{SYSTEM_NS}/actions/utils/cat", auth=SYSTEM).status_code == 404
    monkeypatch.setattr(installing, "_digest", lambda: "yet another")
    install(api.entities, 3_000)
    assert api.call("GET", f"{SYSTEM_NS}/actions/utils/echo").get_json()["exec"]["code"] == "mine"
    assert api.call("GET", f"{SYSTEM_NS}/actions/utils/cat", auth=SYSTEM).status_code == 404


def test_an_installation_that_broke_off_is_finished_by_the_next(api: Api, monkeypatch: pytest.MonkeyPatch):
    marker = api.entities.get(MARKER_ID)
    assert marker is not None
    api.entities.delete(MARKER_ID, marker.revision)
    cat = api.entities.get(f"{NAMESPACE}/utils/cat")
    assert cat is not None
    api.entities.delete(cat.id, cat.revision)
    install(api.entities, 2_000)
    assert api.entities.get(cat.id) is not None
    become(monkeypatch, echo(description="better"))
    install(api.entities, 3_000)
    assert api.call("GET", f"{SYSTEM_NS}/actions/utils/echo").get_json()["annotations"][0]["value"] == "better"


def test_the_marker_is_no_entity_of_the_api(api: Api):
    assert api.call("GET", f"{SYSTEM_NS}/actions/.builtins", auth=SYSTEM).status_code == 400
