"""What stock looks at in the body of any PUT, in its order: code, parameters and annotations, then the rest."""

from __future__ import annotations

from typing import Any

import pytest

from controller_ext.entities.limits import MIB
from tests.support.api import Api

COLLECTIONS = ("actions", "packages", "triggers", "rules")
MALFORMED = "The request content was malformed:\n"
BIG = [{"key": "a", "value": "x" * MIB}]
TOO_BIG = "{} larger than allowed: 1048579 > 1048576 bytes."
OVERWRITE = "The query parameter 'overwrite' was malformed:\n'maybe' is not a valid Boolean value"


def refused(api: Api, path: str, body: Any) -> tuple[int, str]:
    reply = api.call("PUT", path, body)
    assert api.call("GET", path.partition("?")[0]).status_code == 404
    return reply.status_code, reply.get_json()["error"]


FIRST: tuple[tuple[Any, int, str], ...] = (
    ([], 400, MALFORMED + "Object expected in field 'exec'"),
    ({"exec": "x"}, 400, MALFORMED + "JSON object expected"),
    ({"exec": {"code": "x"}}, 400, MALFORMED + "'kind' must be a string defined in 'exec'"),
    ({"exec": {"kind": "sequence"}}, 400, MALFORMED + "'components' must be defined for sequence kind"),
    ({"parameters": {"a": 1}, "version": 5}, 400, MALFORMED + "parameters malformed!"),
    ({"parameters": BIG, "version": 5}, 413, TOO_BIG.format("parameters")),
    ({"annotations": BIG, "limits": 5}, 413, TOO_BIG.format("annotations")),
)


@pytest.mark.parametrize("collection", COLLECTIONS)
def test_code_and_parameters_come_first_whatever_the_entity_is(api: Api, collection: str):
    for body, status, text in FIRST:
        assert refused(api, f"{collection}/x", body) == (status, text)


def test_then_comes_the_query_and_then_the_rest_of_the_body(api: Api):
    for collection in COLLECTIONS:
        path = f"{collection}/x?overwrite=maybe"
        assert refused(api, path, {"parameters": 1}) == (400, MALFORMED + "parameters malformed!")
        assert refused(api, path, {"version": 5}) == (400, OVERWRITE)
        assert refused(api, f"{collection}/x", {"version": 5}) == (400, MALFORMED + "semantic version malformed")


def test_a_body_that_must_be_too_large_is_refused_unread(api: Api):
    for collection in ("packages", "triggers", "rules"):
        reply = api.call("PUT", f"{collection}/x", b" " * (24 * MIB + 1))
        assert reply.status_code == 413
        assert reply.get_json()["error"] == "Request larger than allowed: 25165825 > 25165824 bytes."


def test_versions_are_read_as_leniently_as_by_stock(api: Api):
    good = {"1": "1.0.0", "1.2": "1.2.0", "1.2.": "1.2.0", "1.2.3.4": "1.2.3", "+1.02.3": "1.2.3"}
    for version, stored in good.items():
        assert api.put("packages/p", {"version": version}).get_json()["version"] == stored
    bad: list[Any] = ["", ".", "1..2", "0.0.0", "-1.0.0", "1.2.3-beta", "1.2.2147483648", "x", 1, []]
    for version in bad:
        assert refused(api, "packages/q", {"version": version}) == (400, MALFORMED + "semantic version malformed")


def test_names_in_bodies_are_read_as_by_stock(api: Api):
    api.action("a")
    api.put("triggers/t", {})
    good: list[Any] = ["//guest//t/", {"path": "/guest/", "name": "t"}]
    for name in good:
        made = api.put("rules/r", {"trigger": name, "action": "/_/a"}).get_json()
        assert made["trigger"] == {"path": "guest", "name": "t"}
    wrong: tuple[tuple[Any, str], ...] = (
        ("/guest/t!", "requirement failed: path contains invalid parts WrappedArray(guest, t!)"),
        ("t!", "requirement failed: path contains invalid parts WrappedArray(t!)"),
        ("///", "requirement failed: path undefined"),
        ({"path": "guest", "name": "a/t"}, "fully qualified name malformed"),
        ({"path": "guest"}, "fully qualified name malformed"),
        (5, "fully qualified name malformed"),
    )
    for name, text in wrong:
        assert refused(api, "rules/s", {"trigger": name, "action": "/_/a"}) == (400, MALFORMED + text)


def test_a_number_of_the_query_that_stock_cannot_hold_is_no_integer(api: Api):
    for name in ("limit", "skip"):
        for number in ("2147483648", "-2147483649", "99999999999"):
            reply = api.call("GET", f"packages?{name}={number}")
            text = f"The query parameter '{name}' was malformed:\nThe value '{number}' is not an integer for packages."
            assert (reply.status_code, reply.get_json()["error"]) == (400, text)


def test_a_request_for_a_web_action_that_is_too_large_is_told_so_before_anything_else(api: Api):
    reply = api.call("POST", "/api/v1/web/guest/default/nosuch.json", b"x" * (MIB + 1), auth=None)

    assert reply.status_code == 413
    assert reply.get_json()["error"] == "Request larger than allowed: 1048577 > 1048576 bytes."
