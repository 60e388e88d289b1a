"""What a name stands for that only a running composition knows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from invoker_ext.contract.graph import ActionCall, Fault
from invoker_ext.owner.naming import NotPlain, named_call
from invoker_ext.store import Document
from tests.support.containers import GUEST


def action(kind: str = "python:3", parameters: dict[str, Any] | None = None, **notes: Any) -> dict[str, Any]:
    return {
        "entityType": "action",
        "version": "0.0.1",
        "exec": {"kind": kind},
        "limits": {"timeout": 1000, "memory": 128, "logs": 1},
        "annotations": [{"key": key, "value": value} for key, value in notes.items()],
        "parameters": [{"key": key, "value": value} for key, value in (parameters or {}).items()],
    }


def package(binding: str | None = None, *, publish: bool = False, **parameters: Any) -> dict[str, Any]:
    namespace, _, name = (binding or "").partition("/")
    return {
        "entityType": "package",
        "publish": publish,
        "binding": {"namespace": namespace, "name": name} if binding else {},
        "parameters": [{"key": key, "value": value} for key, value in parameters.items()],
    }


STORE = {
    "guest/a": action(parameters={"x": 1}),
    "guest/seq": action("sequence"),
    "guest/conductor": action(conductor=True),
    "guest/p": package(x=1, y=1, z=1),
    "guest/p/a": action(parameters={"z": 3}),
    "guest/bound": package("other/public", y=2, z=2),
    "guest/broken": package("other/gone"),
    "guest/barred": package("other/private"),
    "other/a": action(),
    "other/public": package(publish=True, x=1, y=1, z=1),
    "other/public/a": action(parameters={"z": 3}),
    "other/private": package(),
    "other/private/a": action(),
    "other/bound": package("other/public", publish=True),
}


def find(name: str, user: Any = GUEST) -> ActionCall | NotPlain | Fault:
    def get(doc_id: str) -> Document | None:
        return Document(doc_id, "1", STORE[doc_id]) if doc_id in STORE else None

    return named_call(get, user, name)


@pytest.mark.parametrize(
    ("name", "found", "binding", "parameters"),
    [
        ("a", "guest/a", None, '{"x":1}'),
        ("/_/a", "guest/a", None, '{"x":1}'),
        ("/guest/a", "guest/a", None, '{"x":1}'),
        ("p/a", "guest/p/a", None, '{"x":1,"y":1,"z":3}'),
        ("bound/a", "other/public/a", "guest/bound", '{"x":1,"y":2,"z":3}'),
        ("/other/public/a", "other/public/a", None, '{"x":1,"y":1,"z":3}'),
    ],
)
def test_a_plain_action_is_found_with_its_parameters(name, found, binding, parameters):
    call = find(name)
    assert isinstance(call, ActionCall)
    assert (call.name, call.binding, call.parameters, call.revision) == (found, binding, parameters, "1")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("nosuch", "Failed to resolve action with name 'guest/nosuch' during composition."),
        ("p/nosuch", "Failed to resolve action with name 'guest/p/nosuch' during composition."),
        ("broken/a", "Failed to resolve action with name 'guest/broken/a' during composition."),
        ("/other/a", "Failed entitlement check for action with name 'other/a' during composition."),
        ("/other/private/a", "Failed entitlement check for action with name 'other/private/a' during composition."),
        ("/other/bound/a", "Failed entitlement check for action with name 'other/bound/a' during composition."),
        ("barred/a", "Failed entitlement check for action with name 'guest/barred/a' during composition."),
        ("/a", 'Failed to parse action name from json value "/a" during composition.'),
    ],
)
def test_what_cannot_be_run_is_told_in_stocks_words(name, text):
    found = find(name)
    assert isinstance(found, Fault)
    assert found.error.startswith(text)


@pytest.mark.parametrize(
    ("name", "found"),
    [("seq", "guest/seq"), ("/_/conductor", "guest/conductor")],
)
def test_what_is_no_plain_action_is_left_to_a_controller(name, found):
    assert find(name) == NotPlain(found)


def test_a_caller_without_the_right_to_activate_runs_nothing():
    found = find("a", replace(GUEST, rights=("READ",)))
    assert isinstance(found, Fault)
    assert "entitlement" in found.error
