"""Rules: from the body of a PUT to the stored document. Whether a rule is active stands in its trigger."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from controller_ext.entities import documents, names
from controller_ext.entities.errors import Malformed, Rejected
from controller_ext.entities.limited import Limited
from controller_ext.entities.names import Name
from controller_ext.entities.parameters import Parameters
from controller_ext.entities.triggers import ACTIVE, INACTIVE

TYPE: Final = "rule"


@dataclass(slots=True, frozen=True, kw_only=True)
class RulePut(documents.Put):
    """What the body of a PUT says; None: nothing about it."""

    trigger: Name | None
    action: Name | None
    annotations: Parameters | None


def parse(read: Limited, namespace: str) -> RulePut:
    """Read the rest of the body of a PUT.

    Args:
        read: What stock reads first.
        namespace: The caller's, which `_` stands for.

    Raises:
        Malformed: It is no description of a rule.
    """

    def referred(member: str) -> Name | None:
        value = read.body.get(member)
        return None if value is None else names.parse_reference(value, namespace)

    return RulePut(
        trigger=referred("trigger"),
        action=referred("action"),
        version=documents.parse_version(read.body.get("version")),
        publish=documents.parse_flag(read.body.get("publish")),
        annotations=read.annotations,
    )


def parse_status(value: object) -> str:
    """Read the body of a POST.

    Raises:
        Malformed: It names no status.
    """
    if not isinstance(value, dict):
        raise Malformed(_mismatch(value))
    if "status" not in value:
        raise Malformed("key not found: status")
    status = value["status"]
    if not isinstance(status, str):
        raise Malformed(_mismatch(status))
    if status not in (ACTIVE, INACTIVE):
        raise Malformed(f"requirement failed: {status} is not a recognized rule state")
    return status


def _mismatch(value: object) -> str:
    """Return stock's sentence for a JSON value of another type than expected."""
    match value:
        case None:
            kind = "Null$"
        case bool():
            kind = "True$" if value else "False$"
        case int() | float():
            kind = "Number"
        case str():
            kind = "String"
        case list():
            kind = "Array"
        case _:
            kind = "Object"
    return f"{documents.dumps(value)} (of class spray.json.Js{kind})"


def create(put: RulePut, name: Name, now_ms: int) -> dict[str, Any]:
    """Return the document of a new rule; raises Rejected if it lacks trigger or action."""
    if put.trigger is None or put.action is None:
        raise Rejected("rule requires a valid trigger and a valid action")
    return {
        **documents.new(TYPE, name, put, now_ms),
        "annotations": put.annotations or [],
        "trigger": names.reference(put.trigger),
        "action": names.reference(put.action),
    }


def update(put: RulePut, old: dict[str, Any], now_ms: int) -> dict[str, Any]:
    """Return the document of a rule that replaces another."""
    return {
        **documents.renewed(old, put, now_ms),
        "annotations": old["annotations"] if put.annotations is None else put.annotations,
        "trigger": old["trigger"] if put.trigger is None else names.reference(put.trigger),
        "action": old["action"] if put.action is None else names.reference(put.action),
    }


def trigger(body: dict[str, Any]) -> Name:
    """Return what fires a stored rule."""
    return names.referred(body["trigger"])


def action(body: dict[str, Any]) -> Name:
    """Return what a stored rule invokes."""
    return names.referred(body["action"])


def shown(body: dict[str, Any], status: str) -> dict[str, Any]:
    """Return what GET, PUT and DELETE show."""
    return {**documents.shown(body), "status": status}
