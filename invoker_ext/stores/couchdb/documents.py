"""Entities as stock keeps them in CouchDB, and back (decision I22). Pure.

The code of an action is an attachment: a small one inside its own name, a larger one as CouchDB's. A native workflow
is kept as a `blackbox` action with a member more: that is what a stock controller can list, show and delete; it cannot
run it, as there is no such image.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import uuid
from collections.abc import Callable
from typing import Any, Final

from invoker_ext.store import Document

INLINE_BYTES: Final = 16 * 1024
"""Code from here on is an attachment of its own (`whisk.db.max-inline-size`)."""
WORKFLOW_IMAGE: Final = "dataflower/workflow"
_TEXT: Final = "text/plain; charset=UTF-8"
_BINARY: Final = "application/octet-stream"
_INLINE: Final = "mem:"
_ATTACHED: Final = "couch:"
_WORKFLOW: Final = "dataflow"
"""Member of a workflow's `exec`: its kind."""
_NATIVE: Final = "dataflow:"
_GRAPH: Final = "graph"
_OWN: Final = frozenset({"_id", "_rev", "_attachments"})
_LIMITS: Final = {"logs": 10, "concurrency": 1}
"""What older documents leave out."""


def encode(body: dict[str, Any], revision: str | None) -> dict[str, Any]:
    """Return the document of an entity without its id, attachments included.

    Args:
        body: As `EntityStore.put` takes it.
        revision: Of what it replaces.
    """
    document = dict(body)
    if revision is not None:
        document["_rev"] = revision
    exec_ = body.get("exec")
    if not isinstance(exec_, dict):
        return document
    exec_ = dict(exec_)
    if str(exec_.get("kind", "")).startswith(_NATIVE):
        exec_ = {"kind": "blackbox", "image": WORKFLOW_IMAGE, **_without(exec_, "kind"), _WORKFLOW: exec_["kind"]}
    code = exec_.get("code")
    if isinstance(code, str):
        content, content_type = _content(code, binary=exec_.get("binary", False))
        if len(content) < INLINE_BYTES:
            exec_["code"] = {
                "attachmentName": _INLINE + base64.urlsafe_b64encode(content).decode(),
                "attachmentType": content_type,
                "length": len(content),
                "digest": f"sha256-{hashlib.sha256(content).hexdigest()}",
            }
        else:
            name = str(uuid.uuid4())
            exec_["code"] = {"attachmentName": _ATTACHED + name, "attachmentType": content_type}
            document["_attachments"] = {name: attachment(content, content_type)}
    document["exec"] = exec_
    return document


def attachment(content: bytes, content_type: str) -> dict[str, str]:
    """Return an attachment as it stands in a document that is written."""
    return {"content_type": content_type, "data": base64.b64encode(content).decode()}


def decode(document: dict[str, Any], fetch: Callable[[str], bytes | None] | None) -> Document | None:
    """Return the entity of a document.

    Args:
        document: As CouchDB shows it.
        fetch: Returns the attachment of a name; None: leave code out.

    Returns:
        None if an attachment is not there: somebody writes the document just now.
    """
    body = {name: value for name, value in document.items() if name not in _OWN}
    body.setdefault("entityType", _type_of(body))
    if body["entityType"] == "rule":
        body |= {name: _reference(body[name]) for name in ("trigger", "action") if isinstance(body[name], str)}
    if isinstance(body.get("limits"), dict) and body["entityType"] == "action":
        body["limits"] = body["limits"] | {name: most for name, most in _LIMITS.items() if name not in body["limits"]}
    exec_ = body.get("exec")
    if isinstance(exec_, dict):
        exec_ = dict(exec_)
        if _WORKFLOW in exec_:
            exec_["kind"] = exec_.pop(_WORKFLOW)
            exec_.pop("image", None)
        code = exec_.get("code", exec_.get("jar"))
        if isinstance(code, dict):
            exec_.pop("code", None)
            if fetch is not None:
                content = _attached(code["attachmentName"], fetch)
                if content is None:
                    return None
                # Where it stood: what is shown has its members in this order.
                exec_ = {
                    "kind": exec_["kind"],
                    "code": _code(content, code["attachmentType"]),
                    **_without(exec_, "kind"),
                }
        body["exec"] = exec_
    return Document(document["_id"], document["_rev"], body)


def decode_plain(document: dict[str, Any]) -> Document:
    """Return a document that stands as it is, as those of the database of subjects."""
    body = {name: value for name, value in document.items() if name not in _OWN}
    return Document(document["_id"], document["_rev"], body)


def encode_graph(graph: dict[str, Any]) -> dict[str, Any]:
    """Return the document of a compiled graph, attached: it may be larger than a document, and no view reads it."""
    content = json.dumps(graph, separators=(",", ":")).encode()
    return {"entityType": _GRAPH, "_attachments": {_GRAPH: attachment(content, "application/json")}}


def decode_graph(document: dict[str, Any], fetch: Callable[[str], bytes | None]) -> dict[str, Any] | None:
    """Return the graph of a document."""
    content = fetch(_GRAPH) if _GRAPH in document.get("_attachments", {}) else None
    graph: dict[str, Any] | None = None if content is None else json.loads(content)
    return graph


def _type_of(body: dict[str, Any]) -> str:
    """Return what a document is that does not say so; stock's views tell types apart by the same members."""
    for member, entity_type in (("exec", "action"), ("binding", "package"), ("trigger", "rule")):
        if member in body:
            return entity_type
    return "trigger"


def _reference(name: str) -> dict[str, str]:
    """Return `NAMESPACE[/PACKAGE]/NAME`, as older rules have it, as newer ones do."""
    path, _, last = name.strip("/").rpartition("/")
    return {"path": path, "name": last}


def _content(code: str, *, binary: bool) -> tuple[bytes, str]:
    if binary:
        try:
            return base64.b64decode(code.strip(), validate=True), _BINARY
        except binascii.Error:
            pass  # not what its writer said: kept as the text that it is
    return code.encode(), _TEXT


def _code(content: bytes, content_type: str) -> str:
    return content.decode() if content_type.startswith("text/") else base64.b64encode(content).decode()


def _attached(name: str, fetch: Callable[[str], bytes | None]) -> bytes | None:
    if name.startswith(_INLINE):
        return base64.urlsafe_b64decode(name.removeprefix(_INLINE))
    return fetch(name.removeprefix(_ATTACHED))


def _without(exec_: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in exec_.items() if key != name}
