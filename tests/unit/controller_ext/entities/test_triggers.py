from __future__ import annotations

from typing import Any

import pytest

from controller_ext.entities import limited, triggers
from controller_ext.entities.errors import Malformed, Rejected
from controller_ext.entities.limits import SystemLimits
from controller_ext.entities.names import Name, is_path, reference, referred
from controller_ext.entities.runtimes import STOCK
from controller_ext.entities.triggers import ACTIVE, INACTIVE, Link

NAME = Name("guest", None, "t")
ACTION = Name("guest", "p", "a")


def put(body: Any) -> triggers.TriggerPut:
    return triggers.parse(limited.read(body, STOCK, "guest", SystemLimits()))


def made(**body: Any) -> dict[str, Any]:
    return triggers.create(put(body), NAME, 1)


def test_a_trigger_that_says_nothing_has_what_stock_gives_it():
    assert made() == {
        "namespace": "guest", "name": "t", "entityType": "trigger", "version": "0.0.1", "publish": False, "updated": 1,
        "parameters": [], "limits": {}, "annotations": [],
    }  # fmt: skip


def test_limits_of_a_trigger_are_none_whatever_is_given():
    assert made(limits={"timeout": 5})["limits"] == {}
    with pytest.raises(Malformed, match="Object expected"):
        put({"limits": []})


def test_an_update_keeps_the_feed_and_does_not_look_at_a_new_one():
    old = made(annotations=[{"key": "feed", "value": "f"}])
    assert triggers.update(put({}), old, 2)["annotations"] == old["annotations"]
    assert triggers.update(put({"annotations": [{"key": "feed", "value": ""}]}), old, 2)["version"] == "0.0.2"
    with pytest.raises(Rejected, match="Feed name is not valid"):
        made(annotations=[{"key": "feed", "value": ""}])


def test_links_are_read_back_in_the_order_in_which_they_were_made():
    body = made()
    rules = [f"guest/r{number}" for number in (3, 1, 2)]
    for rule in rules:
        body = triggers.linked(body, Link(rule, ACTION, ACTIVE))
    assert triggers.links(body) == tuple(Link(rule, ACTION, ACTIVE) for rule in rules)


def test_a_new_status_goes_to_the_end_and_a_new_action_stays_in_place():
    body = made()
    for rule in ("r", "s"):
        body = triggers.linked(body, Link(rule, ACTION, ACTIVE))
    other = Name("guest", None, "b")
    assert [one.rule for one in triggers.links(triggers.linked(body, Link("r", other, ACTIVE)))] == ["r", "s"]
    moved = triggers.linked(body, Link("r", ACTION, INACTIVE), last=True)
    assert [(one.rule, one.status) for one in triggers.links(moved)] == [("s", ACTIVE), ("r", INACTIVE)]


def test_changes_of_links_leave_the_document_that_was_read_alone():
    body = triggers.linked(made(), Link("r", ACTION, ACTIVE))
    triggers.linked(body, Link("s", ACTION, ACTIVE))
    assert triggers.unlinked(body, "r")["rules"] == {}
    assert [one.rule for one in triggers.links(body)] == ["r"]


def test_what_is_not_linked_is_inactive_and_not_unlinked():
    body = made()
    assert triggers.status(body, "r") == triggers.status(None, "r") == INACTIVE
    assert triggers.unlinked(body, "r") is body
    assert triggers.links(body) == ()


@pytest.mark.parametrize(("value", "there"), [("a", True), ("/a/b c/", True), ("", False), ("a/ b", False), (5, False)])
def test_a_path_has_segments_that_can_be_names(value: object, there: bool):
    assert is_path(value) is there


@pytest.mark.parametrize("name", [NAME, ACTION])
def test_references_are_read_back(name: Name):
    assert referred(reference(name)) == name
