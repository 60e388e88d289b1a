"""Triggers: from the body of a PUT to the stored document, and the links in it by which a fire finds its rules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from controller_ext.entities import documents, names, parameters
from controller_ext.entities.errors import Malformed, Rejected
from controller_ext.entities.limited import Limited
from controller_ext.entities.names import Name
from controller_ext.entities.parameters import Parameters

TYPE: Final = "trigger"
ACTIVE: Final = "active"
INACTIVE: Final = "inactive"
_RULES: Final = "rules"


@dataclass(slots=True, frozen=True, kw_only=True)
class TriggerPut(documents.Put):
    """What the body of a PUT says; None: nothing about it."""

    parameters: Parameters | None
    annotations: Parameters | None


def parse(read: Limited) -> TriggerPut:
    """Read the rest of the body of a PUT.

    Args:
        read: What stock reads first.

    Raises:
        Malformed: It is no description of a trigger.
    """
    body = read.body
    if not isinstance(body.get("limits"), dict | None):
        raise Malformed("Object expected")
    return TriggerPut(
        parameters=read.parameters,
        annotations=read.annotations,
        version=documents.parse_version(body.get("version")),
        publish=documents.parse_flag(body.get("publish")),
    )


def create(put: TriggerPut, name: Name, now_ms: int) -> dict[str, Any]:
    """Return the document of a new trigger; raises Rejected if the name of its feed cannot be one."""
    annotations = put.annotations or []
    if parameters.has(annotations, "feed") and not names.is_path(parameters.value_of(annotations, "feed")):
        raise Rejected("Feed name is not valid")
    return {
        **documents.new(TYPE, name, put, now_ms),
        "parameters": put.parameters or [],
        "limits": {},
        "annotations": annotations,
    }


def update(put: TriggerPut, old: dict[str, Any], now_ms: int) -> dict[str, Any]:
    """Return the document of a trigger that replaces another; its rules stay."""
    return {
        **documents.renewed(old, put, now_ms),
        "parameters": old["parameters"] if put.parameters is None else put.parameters,
        "annotations": old["annotations"] if put.annotations is None else put.annotations,
    }


@dataclass(slots=True, frozen=True)
class Link:
    """What a trigger knows of one of its rules."""

    rule: str
    action: Name
    status: str


def links(body: Mapping[str, Any]) -> tuple[Link, ...]:
    """Return the links of a stored trigger, oldest first."""
    found = body.get(_RULES) or {}
    return tuple(Link(rule, names.referred(one["action"]), one["status"]) for rule, one in found.items())


def status(body: Mapping[str, Any] | None, rule: str) -> str:
    """Return the status of a rule: its trigger's link has it; without trigger or link it is inactive."""
    link = ((body or {}).get(_RULES) or {}).get(rule)
    return INACTIVE if link is None else str(link["status"])


def linked(body: dict[str, Any], link: Link, *, last: bool = False) -> dict[str, Any]:
    """Return the document with a link put in or replaced; `last`: behind all others, where a new status puts it."""
    found = dict(body.get(_RULES) or {})
    if last:
        found.pop(link.rule, None)
    found[link.rule] = {"action": names.reference(link.action), "status": link.status}
    return {**body, _RULES: found}


def unlinked(body: dict[str, Any], rule: str) -> dict[str, Any]:
    """Return the document without the link of a rule."""
    found = body.get(_RULES)
    if not found or rule not in found:
        return body
    return {**body, _RULES: {name: link for name, link in found.items() if name != rule}}
