from __future__ import annotations

from typing import Any

import pytest

from controller_ext.entities import limited, packages
from controller_ext.entities.errors import Conflict, Malformed, Rejected
from controller_ext.entities.limits import SystemLimits
from controller_ext.entities.names import Name
from controller_ext.entities.runtimes import STOCK

NAME = Name("guest", None, "p")
BOUND = {"key": "binding", "value": {"namespace": "other", "name": "q"}}


def put(body: Any) -> packages.PackagePut:
    return packages.parse(limited.read(body, STOCK, "guest", SystemLimits()), "guest")


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ([], "Object expected in field 'exec'"),
        ({"binding": 5}, "Object expected in field 'namespace'"),
        ({"binding": None}, "Object expected in field 'namespace'"),
        ({"binding": {"name": "q"}}, "Object is missing required member 'namespace'"),
        ({"binding": {"namespace": "n", "name": 1}}, "entity name malformed"),
        ({"binding": {"namespace": "n/m", "name": "q"}}, "entity name malformed"),
        ({"parameters": 1}, "parameters malformed!"),
        ({"annotations": [1]}, "parameters malformed!"),
        ({"publish": 1}, "Expected JsBoolean, but got 1"),
    ],
)
def test_a_bad_body_is_malformed(body: Any, text: str):
    with pytest.raises(Malformed) as caught:
        put(body)
    assert text in str(caught.value)


def test_a_new_package_is_bound_to_nothing():
    document = packages.create(put({"annotations": [BOUND]}), NAME, 1)
    assert document["binding"] == {}
    assert document["annotations"] == []
    assert packages.binding(document) is None
    assert packages.summary(document)["binding"] is False


def test_the_name_default_is_reserved():
    with pytest.raises(Rejected, match=r"^Package name 'default' is reserved\.$"):
        packages.create(put({}), Name("guest", None, "default"), 1)


def test_a_binding_is_annotated_with_what_it_is_bound_to():
    document = packages.create(put({"binding": {"namespace": "_", "name": "q"}}), NAME, 1)
    assert packages.binding(document) == "guest/q"
    assert document["annotations"] == [{"key": "binding", "value": {"namespace": "guest", "name": "q"}}]


def test_an_update_replaces_what_is_given_and_keeps_the_binding():
    old = packages.create(put({"binding": {"namespace": "other", "name": "q"}, "publish": True}), NAME, 1)
    document = packages.update(put({"parameters": [{"key": "a", "value": 1}], "annotations": []}), old, 2)
    assert document["parameters"] == [{"key": "a", "value": 1}]
    assert document["annotations"] == [BOUND]
    assert (document["version"], document["publish"]) == ("0.0.2", True)


def test_a_package_cannot_become_a_binding():
    old = packages.create(put({}), NAME, 1)
    with pytest.raises(Conflict, match="cannot be converted into a binding"):
        packages.update(put({"binding": {"namespace": "other", "name": "q"}}), old, 2)


def test_feeds_are_listed_apart_from_actions():
    old = packages.create(put({}), NAME, 1)
    action = {"name": "a", "version": "0.0.1", "annotations": [], "exec": {}}
    feed = {**action, "name": "f", "annotations": [{"key": "feed", "value": 1}]}
    document = packages.shown_with_contents(old, [], [action, feed])
    assert [one["name"] for one in document["actions"]] == ["a"]
    assert [one["name"] for one in document["feeds"]] == ["f"]
    assert "exec" not in document["actions"][0]
