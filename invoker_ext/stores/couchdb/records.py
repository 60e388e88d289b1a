"""Activation records as stock keeps them in CouchDB, and back. Pure.

A record above DOCUMENT_BYTES, which only a native workflow or very long logs make, has its result as an attachment, and
if that is not enough its logs, too; stock reads it as one without them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import orjson

from invoker_ext.contract.graph import GraphKind
from invoker_ext.contract.records import Activation
from invoker_ext.stores.couchdb.documents import attachment

DOCUMENT_BYTES: Final = 4_000_000
"""CouchDB 3 takes 8 MB by default, which it measures in a form of its own."""
RESULT: Final = "result"
LOGS: Final = "logs"
_WORKFLOWS: Final = frozenset({GraphKind.SEQUENCE.value, GraphKind.DATAFLOW.value})
_JSON_TYPE: Final = "application/json"


def doc_id(namespace: str, activation_id: str) -> str:
    """Return the id of a record's document."""
    return f"{namespace}/{activation_id}"


def attaches(record: Activation) -> bool:
    """Return whether a document does not hold all of a record."""
    return bool(_attached(record))


def _attached(record: Activation) -> frozenset[str]:
    logs_bytes = len(orjson.dumps(record.logs)) if record.logs else 0
    if len(record.result or b"") + logs_bytes <= DOCUMENT_BYTES:
        return frozenset()
    return frozenset((RESULT, LOGS) if logs_bytes > DOCUMENT_BYTES else (RESULT,))


def encode(record: Activation, updated_ms: int, *, attach: bool = False) -> bytes:
    """Return the document of a record.

    Args:
        record: Its result is taken over as it is.
        updated_ms: When it is written.
        attach: Result and logs are attachments, whatever their size.

    Returns:
        With a revision of ours, for CouchDB to take as it is (`Database.write_all`), unless something is attached.
    """
    record = replace(record, place=None)
    attached = frozenset((RESULT, LOGS)) if attach else _attached(record)
    attachments: dict[str, Any] = {}
    if record.result is not None and RESULT in attached:
        attachments[RESULT] = attachment(record.result, _JSON_TYPE)
        record = replace(record, result=None)
    if record.logs and LOGS in attached:
        attachments[LOGS] = attachment(orjson.dumps(record.logs), _JSON_TYPE)
        record = replace(record, logs=())
    more: dict[str, Any] = {
        "_id": doc_id(record.namespace, record.activation_id),
        "entityType": "activation",
        "updated": updated_ms,
    }
    if record.end_ms is None:
        more["end"] = 0  # as stock: its views tell records of triggers by it
    if attachments:
        more["_attachments"] = attachments
    else:
        more["_rev"] = f"1-{record.activation_id}"
    front, result, back = record.document_parts()
    return b"".join((orjson.dumps(more)[:-1], b",", front[1:], result or b"", back))


def decode(document: dict[str, Any], fetch: Callable[[str], bytes | None]) -> Activation:
    """Return the record of a document.

    Args:
        document: As CouchDB shows it.
        fetch: Returns the attachment of a name.

    Raises:
        ValueError: It is no activation record.
    """
    response = document.get("response")
    if not isinstance(response, dict):
        raise ValueError("not an activation record: it has no response")
    attached = document.get("_attachments", {})
    result: bytes | None = None
    if RESULT in attached:
        result = fetch(RESULT)
    elif "result" in response:
        result = json.dumps(response["result"], separators=(",", ":")).encode()
    if LOGS in attached:
        document = {**document, "logs": json.loads(fetch(LOGS) or b"[]")}
    return Activation.from_fields(document, result)


def is_run(value: dict[str, Any]) -> bool:
    """Return whether a row of stock's views is about a sequence or workflow."""
    return any(one["key"] == "kind" and one["value"] in _WORKFLOWS for one in value["annotations"])


def from_summary(value: dict[str, Any]) -> Activation:
    """Return what a row of stock's views tells of a record: everything but subject, result and logs."""
    return Activation(
        activation_id=value["activationId"],
        namespace=value["namespace"],
        name=value["name"],
        subject="",
        version=value["version"],
        start_ms=value["start"],
        end_ms=value.get("end"),
        duration_ms=value.get("duration"),
        status=value.get("statusCode", 0),
        result=None,
        annotations=tuple(value["annotations"]),
        cause=value.get("cause"),
        publish=value.get("publish", False),
    )
