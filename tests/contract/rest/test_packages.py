from __future__ import annotations

import pytest

from tests.support.api import GUEST, SYSTEM, Api

EXEC = {"kind": "python:3", "code": "def main(a):\n  return a\n"}
SYSTEM_NS = "/api/v1/namespaces/whisk.system"


def error_of(reply) -> tuple[int, str]:
    return reply.status_code, reply.get_json()["error"]


def forbidden(name: str) -> tuple[int, str]:
    return 403, f"The supplied authentication is not authorized to access '{name}'."


@pytest.fixture
def shared(api: Api) -> Api:
    """The system has packages `open` (published) and `closed`, each with an action `a`."""
    for name, publish in (("open", True), ("closed", False)):
        api.call("PUT", f"{SYSTEM_NS}/packages/{name}", {"publish": publish}, auth=SYSTEM)
        api.call("PUT", f"{SYSTEM_NS}/actions/{name}/a", {"exec": EXEC}, auth=SYSTEM)
    api.call("PUT", f"{SYSTEM_NS}/packages/bound", {"binding": {"namespace": "_", "name": "open"}}, auth=SYSTEM)
    return api


def test_published_packages_are_open_to_all(shared: Api):
    assert [one["name"] for one in shared.call("GET", f"{SYSTEM_NS}/packages").get_json()] == ["open"]
    assert shared.call("GET", f"{SYSTEM_NS}/packages/open").get_json()["actions"][0]["name"] == "a"
    assert shared.call("GET", f"{SYSTEM_NS}/actions/open/a").status_code == 200
    assert shared.call("GET", f"{SYSTEM_NS}/actions/open/").status_code == 200
    assert shared.call("POST", f"{SYSTEM_NS}/actions/open/a", {}).status_code == 202


@pytest.mark.parametrize(
    ("method", "path", "name"),
    [
        ("GET", "packages/closed", "whisk.system/closed"),
        ("GET", "packages/nosuch", "whisk.system/nosuch"),
        ("GET", "packages/bound", "whisk.system/bound"),
        ("GET", "actions/closed/a", "whisk.system/closed/a"),
        ("POST", "actions/closed/a", "whisk.system/closed/a"),
        ("GET", "actions/nosuch/a", "whisk.system/nosuch/a"),
        ("GET", "actions/closed/", "whisk.system/closed"),
        ("PUT", "actions/open/a", "whisk.system/open/a"),
        ("DELETE", "actions/open/a", "whisk.system/open/a"),
        ("PUT", "packages/open", "whisk.system/open"),
        ("DELETE", "packages/open", "whisk.system/open"),
        ("GET", "actions/a", "whisk.system/a"),
    ],
)
def test_the_rest_of_other_namespaces_is_out_of_reach(shared: Api, method: str, path: str, name: str):
    assert error_of(shared.call(method, f"{SYSTEM_NS}/{path}", {"exec": EXEC}, auth=GUEST)) == forbidden(name)


def test_packages_of_an_unknown_namespace_are_none(api: Api):
    assert api.call("GET", "/api/v1/namespaces/bogus/packages").get_json() == []


def test_a_binding_to_a_published_package_works_until_it_is_unpublished(shared: Api):
    reply = shared.put("packages/mine", {"binding": {"namespace": "whisk.system", "name": "open"}})
    assert reply.status_code == 200
    assert shared.call("GET", "actions/mine/a").get_json()["namespace"] == "whisk.system/open"
    assert shared.call("POST", "actions/mine/a?blocking=true", {}).status_code == 200
    shared.call("PUT", f"{SYSTEM_NS}/packages/open?overwrite=true", {"publish": False}, auth=SYSTEM)
    assert error_of(shared.call("POST", "actions/mine/a", {})) == forbidden("guest/mine/a")
    assert error_of(shared.call("GET", "packages/mine")) == forbidden("guest/mine")


@pytest.mark.parametrize(
    ("binding", "wanted"),
    [
        ({"namespace": "_", "name": "nosuch"}, (400, "Binding references a package that does not exist.")),
        ({"namespace": "_", "name": "b"}, (400, "Cannot bind to another package binding.")),
        ({"namespace": "_", "name": "a"}, (409, "Cannot bind to a resource that is not a package.")),
        ({"namespace": "whisk.system", "name": "closed"}, forbidden("whisk.system/closed")),
        ({"namespace": "whisk.system", "name": "nosuch"}, forbidden("whisk.system/nosuch")),
        ({"namespace": "whisk.system", "name": "bound"}, forbidden("whisk.system/bound")),
        ({"namespace": "_", "name": "new"}, (400, "Binding references a package that does not exist.")),
    ],
)
def test_a_bad_binding_is_refused(shared: Api, binding: dict[str, str], wanted: tuple[int, str]):
    shared.action("a")
    shared.put("packages/p", {})
    shared.put("packages/b", {"binding": {"namespace": "_", "name": "p"}})
    assert error_of(shared.call("PUT", "packages/new", {"binding": binding})) == wanted


def test_a_package_cannot_become_a_binding(api: Api):
    api.put("packages/p", {})
    api.put("packages/q", {})
    assert error_of(api.put("packages/q", {"binding": {"namespace": "_", "name": "p"}})) == (
        409,
        "Resource is a package and cannot be converted into a binding.",
    )


def test_the_owner_hears_which_package_is_missing(api: Api):
    assert error_of(api.call("GET", "packages/p")) == (404, "The requested resource 'guest/p' does not exist.")
    assert error_of(api.call("DELETE", "packages/p")) == (404, "The requested resource does not exist.")


def test_a_package_with_contents_is_deleted_by_force_only(api: Api):
    api.put("packages/p", {})
    api.action("p/a")
    api.action("p/b")
    assert error_of(api.call("DELETE", "packages/p")) == (
        409,
        "Package not empty (contains 2 entities). Set force param or delete package contents.",
    )
    assert api.call("DELETE", "packages/p?force=true").status_code == 200
    assert api.call("GET", "actions").get_json() == []


def test_a_binding_whose_package_is_gone_is_not_found(api: Api):
    api.put("packages/p", {})
    api.put("packages/b", {"binding": {"namespace": "_", "name": "p"}})
    api.call("DELETE", "packages/p")
    assert api.call("GET", "packages/b").status_code == 404
    assert api.call("POST", "actions/b/a", {}).status_code == 404
    assert api.call("DELETE", "packages/b").status_code == 200


def test_the_name_default_is_reserved(api: Api):
    assert error_of(api.put("packages/default", {})) == (400, "Package name 'default' is reserved.")


def test_the_namespace_that_a_list_shows_for_a_packaged_action_leads_to_it(api: Api):
    api.put("packages/pack", {})
    api.action("pack/act")
    (listed,) = api.call("GET", "actions").get_json()
    assert listed["namespace"] == "guest/pack"
    path = "/api/v1/namespaces/guest%2Fpack/actions/act"

    assert api.call("GET", path).get_json()["namespace"] == "guest/pack"
    assert api.call("POST", f"{path}?blocking=true&result=true", {"a": 1}).status_code == 200
    assert api.call("DELETE", path.replace("%2F", "%2f")).status_code == 200
    assert api.call("GET", path).status_code == 404
    assert api.call("GET", path.replace("%2F", "/")).get_json()["error"] == "The requested resource could not be found."
