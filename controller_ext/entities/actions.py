"""Actions: from the body of a PUT to the stored document, and from there to what is shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from controller_ext.entities import documents, limits, parameters
from controller_ext.entities.errors import KindForbidden, Malformed, Rejected
from controller_ext.entities.limited import Limited
from controller_ext.entities.limits import SystemLimits
from controller_ext.entities.names import Name
from controller_ext.entities.parameters import Parameters
from controller_ext.entities.runtimes import NATIVE, SEQUENCE, Manifest, deprecation
from invoker_ext.contract.annotations import truthy

TYPE: Final = "action"
_API_KEY: Final = "provide-api-key"


@dataclass(slots=True, frozen=True, kw_only=True)
class ActionPut(documents.Put):
    """What the body of a PUT says; None: nothing about it."""

    exec: dict[str, Any] | None
    parameters: Parameters | None
    annotations: Parameters | None
    limits: dict[str, int]
    dropped_annotations: tuple[str, ...]


def parse(read: Limited, system: SystemLimits) -> ActionPut:
    """Read the rest of the body of a PUT.

    Args:
        read: What stock reads first.
        system: Limits of the caller's namespace.

    Raises:
        Malformed: It is no description of an action.
        Rejected: A limit is not allowed.
    """
    body = read.body
    put = ActionPut(
        exec=read.exec,
        parameters=read.parameters,
        annotations=read.annotations,
        limits={} if body.get("limits") is None else limits.parse(body["limits"]),
        version=documents.parse_version(body.get("version")),
        publish=documents.parse_flag(body.get("publish")),
        dropped_annotations=_keys(body.get("delAnnotations")),
    )
    limits.check(put.limits, system)
    return put


def _keys(value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list):
        raise Malformed(f"Expected Array as JsArray, but got {documents.dumps(value)}")
    for one in value:
        if not isinstance(one, str):
            raise Malformed(f"Expected String as JsString, but got {documents.dumps(one)}")
    return tuple(value)


def create(put: ActionPut, name: Name, now_ms: int, system: SystemLimits) -> dict[str, Any]:
    """Return the document of a new action.

    Raises:
        Rejected: The body has no code.
    """
    if put.exec is None:
        raise Rejected("exec undefined")
    annotations = put.annotations or []
    if not parameters.has(annotations, _API_KEY):
        annotations = [*annotations, {"key": _API_KEY, "value": False}]
    return {
        **documents.new(TYPE, name, put, now_ms),
        "exec": put.exec,
        "parameters": _parameters(put, None),
        "limits": {**limits.usual(system), **put.limits},
        "annotations": _with_kind(annotations, put.exec["kind"]),
    }


def update(put: ActionPut, old: dict[str, Any], now_ms: int) -> dict[str, Any]:
    """Return the document of an action that replaces another, which keeps what was not told anew."""
    annotations: Parameters = old["annotations"]
    if put.exec is None or put.exec["kind"] != SEQUENCE:
        annotations = parameters.without(annotations, put.dropped_annotations)
    annotations = parameters.merge(annotations, put.annotations or [])
    exec_ = put.exec or old["exec"]
    return {
        **documents.renewed(old, put, now_ms),
        "exec": exec_,
        "parameters": _parameters(put, old),
        "limits": {**old["limits"], **put.limits},
        "annotations": _with_kind(annotations, exec_["kind"]),
    }


def _parameters(put: ActionPut, old: dict[str, Any] | None) -> Parameters:
    """Return the parameters; those of a sequence are its components, whatever the caller says."""
    if put.exec is not None and put.exec["kind"] == SEQUENCE:
        return [{"key": "_actions", "value": put.exec["components"]}]
    if old is None:
        return put.parameters or []
    was_sequence = old["exec"]["kind"] == SEQUENCE
    kept: Parameters = old["parameters"]
    if put.exec is None and was_sequence:
        return kept
    if put.parameters is not None:
        return put.parameters
    return [] if was_sequence else kept


def _with_kind(annotations: Parameters, kind: str) -> Parameters:
    return parameters.merge(annotations, [{"key": "exec", "value": kind}])


def check_kind(kind: str, manifest: Manifest, namespace_limits: dict[str, Any]) -> None:
    """Raise if an action of this kind must not be written or invoked: Rejected (deprecated), KindForbidden."""
    if manifest.deprecated(kind):
        raise Rejected(deprecation(kind))
    allowed = namespace_limits.get("allowedKinds")
    if isinstance(allowed, list) and kind not in allowed:
        raise KindForbidden(kind)


def shown(body: dict[str, Any], *, with_code: bool = True, merged: Parameters | None = None) -> dict[str, Any]:
    """Return what GET, PUT and DELETE show.

    Args:
        body: The stored document.
        with_code: False: leave `exec.code` out.
        merged: Parameters with those of the packages below them; None: the action's own.
    """
    document = documents.shown(body)
    if merged is not None:
        document["parameters"] = merged
    if not with_code:
        document["exec"] = {name: value for name, value in body["exec"].items() if name != "code"}
    return document


def summary(body: dict[str, Any]) -> dict[str, Any]:
    """Return the item of a list."""
    names = ("namespace", "name", "version", "publish", "updated", "annotations", "limits")
    return {**{name: body[name] for name in names}, "exec": {"binary": body["exec"].get("binary", False)}}


def by_control_flow(body: Mapping[str, Any]) -> bool:
    """Return whether a sequence or composition is annotated to run as in stock: `dataflow: false`.

    Composer's `deploy -a dataflow=false` writes a text.
    """
    asked = parameters.value_of(body["annotations"], "dataflow")
    return asked is False or asked == "false"


def is_conductor(body: dict[str, Any]) -> bool:
    """Return whether an action is run as a conductor; the annotation says nothing about a sequence or workflow."""
    plain = body["exec"]["kind"] not in (SEQUENCE, NATIVE)
    return plain and truthy(parameters.value_of(body["annotations"], "conductor"))


def immutable_names(merged: Parameters, annotations: Parameters) -> frozenset[str]:
    """Return the parameters that an invocation must not give (annotation `final`)."""
    if parameters.value_of(annotations, "final") is not True:
        return frozenset()
    return frozenset(one["key"] for one in merged if one["value"] is not None)
