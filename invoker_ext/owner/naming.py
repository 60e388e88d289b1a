"""What a name stands for that only a running composition knows: looked up in the store, in the name of its caller.

Of a sequence, workflow or composition only that it is one: a controller compiles it (`named.py`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from invoker_ext.contract.annotations import truthy
from invoker_ext.contract.graph import ActionCall, Fault, GraphKind
from invoker_ext.contract.messages import Identity
from invoker_ext.contract.naming import absent, out_of_reach, parts_of, unreadable
from invoker_ext.store import Document

Get = Callable[[str], Document | None]
_COMPILED: Final = frozenset({GraphKind.SEQUENCE.value, GraphKind.DATAFLOW.value})


@dataclass(slots=True, frozen=True)
class NotPlain:
    """A sequence, workflow or conductor: a controller knows what that runs.

    Attributes:
        name: In full, as it was named: perhaps through a binding.
    """

    name: str


class _Gap(Exception):
    """There is no such action for this caller; the text says why."""


def named_call(get: Get, user: Identity, action: str) -> ActionCall | NotPlain | Fault:
    """Return what a composition runs that names an action by its data; blocks.

    Args:
        get: Reads the store.
        user: Who invoked the composition.
        action: The name, as data.

    Raises:
        StoreUnavailable: The store cannot be read.
    """
    parts = parts_of(action, user.namespace)
    if parts is None:
        return Fault(unreadable(action))
    try:
        if "ACTIVATE" not in user.rights or (parts.package is None and parts.namespace != user.namespace):
            raise _Gap(out_of_reach(parts))
        layers: list[Document] = []
        if parts.package is not None:
            layers = _package(get, user.namespace, f"{parts.namespace}/{parts.package}", str(parts))
        home = layers[0].id if layers else parts.namespace
        document = _typed(get(f"{home}/{parts.name}"), "action")
        if document is None:
            raise _Gap(absent(parts))
        return NotPlain(str(parts)) if _is_compiled(document) else _call(document, layers)
    except _Gap as gap:
        return Fault(str(gap))


def _typed(document: Document | None, kind: str) -> Document | None:
    if document is None or document.body.get("entityType", "action") != kind:
        return None
    return document


def _package(get: Get, namespace: str, package_id: str, name: str) -> list[Document]:
    """Return the package that provides an action, and the binding that it was named through."""
    package = _typed(get(package_id), "package")
    if package is None:
        raise _Gap(out_of_reach(name))
    own = package_id.partition("/")[0] == namespace
    bound = package.body.get("binding") or None
    if bound is None:
        if not own and not package.body.get("publish"):
            raise _Gap(out_of_reach(name))
        return [package]
    provider_id = f"{bound['namespace']}/{bound['name']}"
    provider = _typed(get(provider_id), "package")
    if not own or (provider is not None and bound["namespace"] != namespace and not provider.body.get("publish")):
        raise _Gap(out_of_reach(name))
    if provider is None:
        raise _Gap(absent(name))
    return [provider, package]


def _is_compiled(document: Document) -> bool:
    annotations = {one["key"]: one["value"] for one in document.body["annotations"]}
    return document.body["exec"]["kind"] in _COMPILED or truthy(annotations.get("conductor"))


def _call(document: Document, layers: list[Document]) -> ActionCall:
    body = document.body
    merged: dict[str, Mapping[str, Any]] = {}
    for layer in (*layers, document):
        merged |= {one["key"]: one for one in layer.body["parameters"]}
    limits = body["limits"]
    return ActionCall(
        name=document.id,
        version=body["version"],
        revision=document.revision,
        kind=body["exec"]["kind"],
        memory_mb=limits["memory"],
        timeout_ms=limits["timeout"],
        logs_mb=limits["logs"],
        concurrency=limits.get("concurrency", 1),
        binding=layers[1].id if len(layers) > 1 else None,
        parameters=json.dumps({key: one["value"] for key, one in merged.items()}, separators=(",", ":")),
        init_names=tuple(key for key, one in merged.items() if one.get("init")),
    )
