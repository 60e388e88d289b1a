"""Packages and bindings: from the body of a PUT to the stored document, and from there to what is shown."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from controller_ext.entities import documents, names, parameters
from controller_ext.entities.errors import Conflict, Malformed, Rejected
from controller_ext.entities.limited import Limited
from controller_ext.entities.names import Name
from controller_ext.entities.parameters import Parameters

TYPE: Final = "package"
_BINDING: Final = "binding"
_RESERVED: Final = "default"


@dataclass(slots=True, frozen=True, kw_only=True)
class PackagePut(documents.Put):
    """What the body of a PUT says; None: nothing about it.

    Attributes:
        binding: Id of the package to be bound to.
    """

    binding: str | None
    parameters: Parameters | None
    annotations: Parameters | None


def parse(read: Limited, namespace: str) -> PackagePut:
    """Read the rest of the body of a PUT.

    Args:
        read: What stock reads first.
        namespace: The caller's, which `_` stands for.

    Raises:
        Malformed: It is no description of a package.
    """
    return PackagePut(
        binding=_parse_binding(read.body[_BINDING], namespace) if _BINDING in read.body else None,
        parameters=read.parameters,
        annotations=read.annotations,
        version=documents.parse_version(read.body.get("version")),
        publish=documents.parse_flag(read.body.get("publish")),
    )


def _parse_binding(value: object, namespace: str) -> str | None:
    if value == {}:
        return None
    if not isinstance(value, dict):
        raise Malformed("Object expected in field 'namespace'")
    bound = []
    for member in ("namespace", "name"):
        if member not in value:
            raise Malformed(f"Object is missing required member '{member}'")
        if not isinstance(value[member], str) or not names.is_segment(value[member]):
            raise Malformed("entity name malformed")
        bound.append(value[member])
    return str(names.parse("/".join(bound), namespace))


def binding(body: dict[str, Any]) -> str | None:
    """Return the id of the package that a stored package is bound to, None if it is no binding."""
    bound = body.get(_BINDING)
    return f"{bound['namespace']}/{bound['name']}" if bound else None


def create(put: PackagePut, name: Name, now_ms: int) -> dict[str, Any]:
    """Return the document of a new package; raises Rejected for a reserved name."""
    if name.name == _RESERVED:
        raise Rejected(f"Package name '{name.name}' is reserved.")
    bound = _binding_object(put.binding)
    return {
        **documents.new(TYPE, name, put, now_ms),
        _BINDING: bound,
        "parameters": put.parameters or [],
        "annotations": _annotations(put.annotations or [], bound),
    }


def update(put: PackagePut, old: dict[str, Any], now_ms: int) -> dict[str, Any]:
    """Return the document of a package that replaces another.

    Raises:
        Conflict: A package would become a binding.
    """
    if put.binding is not None and not old[_BINDING]:
        raise Conflict("Resource is a package and cannot be converted into a binding.")
    bound = old[_BINDING] if put.binding is None else _binding_object(put.binding)
    return {
        **documents.renewed(old, put, now_ms),
        _BINDING: bound,
        "parameters": old["parameters"] if put.parameters is None else put.parameters,
        "annotations": _annotations(old["annotations"] if put.annotations is None else put.annotations, bound),
    }


def _binding_object(bound: str | None) -> dict[str, str]:
    if bound is None:
        return {}
    namespace, _, name = bound.partition("/")
    return {"namespace": namespace, "name": name}


def _annotations(annotations: Parameters, bound: dict[str, str]) -> Parameters:
    """Return the annotations; `binding` among them is the controller's."""
    rest = parameters.without(annotations, [_BINDING])
    return [*rest, {"key": _BINDING, "value": bound}] if bound else rest


def shown(body: dict[str, Any]) -> dict[str, Any]:
    """Return what PUT and DELETE show."""
    return documents.shown(body)


def shown_with_contents(body: dict[str, Any], merged: Parameters, contents: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Return what GET shows.

    Args:
        body: The package or binding.
        merged: Its parameters over those of the package it is bound to.
        contents: Documents of the actions inside.
    """
    actions: list[dict[str, Any]] = []
    feeds: list[dict[str, Any]] = []
    for one in contents:
        kept = actions if not parameters.has(one["annotations"], "feed") else feeds
        kept.append({name: one[name] for name in ("name", "version", "annotations")})
    return {**documents.shown(body), "parameters": merged, "actions": actions, "feeds": feeds}


def summary(body: dict[str, Any]) -> dict[str, Any]:
    """Return the item of a list."""
    return {**documents.listed(body), _BINDING: body[_BINDING] or False}
