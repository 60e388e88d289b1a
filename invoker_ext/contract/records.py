"""Activation records: one type, three JSON forms (stored, acknowledged, API) that differ in the response's status.

The result is kept as the JSON bytes that the action produced and is spliced into each form, never parsed: at 900 KB a
step parsing and printing it again would cost more than moving it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any, Final

import orjson

STATUS: Final = ("success", "application error", "action developer error", "whisk internal error")


@dataclass(slots=True, frozen=True, kw_only=True)
class Activation:
    """One activation record, as OpenWhisk's `WhiskActivation`.

    Attributes:
        namespace: The caller's.
        name: Last segment of the action's name.
        start_ms, end_ms: Epoch milliseconds; end_ms None: a trigger's record.
        duration_ms: None with end_ms; for sequences the sum of the components.
        status: 0…3, index of STATUS.
        result: JSON text as UTF-8; None: no result member.
        size: Characters of the container's raw response; None for platform-made results.
        annotations: In stock order, as `{"key", "value"}`.
        place: Where the store keeps the result ahead of the record (`ActivationStore.keep_result`).
        dataflow: Time line of a firing or a run, where the API's document must stay as stock (plain actions,
            sequences):
            stored beside the record, shown by `trace` alone. Native runs carry it as an annotation instead.
        unstored: The namespace keeps no records (`Identity.stores_activations`): who waits is told, no store has it.
    """

    activation_id: str
    namespace: str
    name: str
    subject: str
    version: str
    start_ms: int
    end_ms: int | None
    duration_ms: int | None
    status: int
    result: bytes | None
    annotations: tuple[dict[str, Any], ...]
    size: int | None = None
    logs: tuple[str, ...] = ()
    cause: str | None = None
    publish: bool = False
    dataflow: dict[str, Any] | None = None
    place: str | None = None
    unstored: bool = False

    def annotation(self, key: str) -> Any:
        """Return the value of an annotation, or None."""
        return next((one["value"] for one in self.annotations if one["key"] == key), None)

    def without_logs(self) -> Activation:
        """Return the record as a blocking reply of a plain action shows it."""
        return replace(self, logs=())

    def head(self) -> dict[str, Any]:
        """Return everything but result and status, in the wire's names."""
        document: dict[str, Any] = {
            "namespace": self.namespace,
            "name": self.name,
            "version": self.version,
            "subject": self.subject,
            "activationId": self.activation_id,
            "start": self.start_ms,
            "publish": self.publish,
            "annotations": list(self.annotations),
            "logs": list(self.logs),
        }
        if self.end_ms is not None:
            document["end"] = self.end_ms
            document["duration"] = self.duration_ms
        if self.cause is not None:
            document["cause"] = self.cause
        return document

    def summary(self) -> dict[str, Any]:
        """Return the item of a list."""
        document = self.head()
        del document["logs"], document["subject"]
        if self.end_ms is not None:
            document["duration"] = self.end_ms - self.start_ms
            document["statusCode"] = self.status
        return document

    def response_json(self) -> bytes:
        """Return the API's `response` object."""
        rest: dict[str, Any] = {"status": STATUS[self.status], "success": self.status == 0}
        if self.size is not None:
            rest["size"] = self.size
        text = orjson.dumps(rest)
        if self.result is None:
            return text
        return b'{"result":' + self.result + b"," + text[1:]

    def api_json(self) -> bytes:
        """Return the record as `GET /activations/ID` shows it."""
        return orjson.dumps(self.head())[:-1] + b',"response":' + self.response_json() + b"}"

    def document_json(self) -> tuple[bytes, int, int]:
        """Return the form of Kafka and CouchDB, and where in it the result stands (offset, length; 0, 0: none).

        Copies the result once.
        """
        front, result, back = self.document_parts()
        if result is None:
            return front + back, 0, 0
        return b"".join((front, result, back)), len(front), len(result)

    def document_parts(self) -> tuple[bytes, bytes | None, bytes]:
        """Return the form of Kafka and CouchDB as what stands before the result, the result, and what follows.

        The place stands in it instead of the result (for the owner's journal), never beside it.
        """
        rest: dict[str, Any] = {"statusCode": self.status}
        if self.size is not None:
            rest["size"] = self.size
        head = self.head()
        if self.dataflow is not None:
            head["dataflow"] = self.dataflow
        if self.place is not None and self.result is None:
            head["place"] = self.place
        if self.unstored:
            head["unstored"] = True
        front = orjson.dumps(head)[:-1] + b',"response":'
        text = orjson.dumps(rest)
        if self.result is None:
            return front + text, None, b"}"
        return front + b'{"result":', self.result, b"," + text[1:] + b"}"

    @staticmethod
    def from_document(document: bytes, at: int = 0, length: int = 0) -> Activation:
        """Read the form of Kafka and CouchDB.

        Args:
            document: UTF-8 JSON.
            at: Where the result stands, if known: it is then taken over without being parsed.
            length: Its bytes; 0: not known.

        Raises:
            ValueError: Not an activation record.
        """
        try:
            if length:
                fields = orjson.loads(document[:at] + b"null" + document[at + length :])
                result: bytes | None = document[at : at + length]
            else:
                fields = json.loads(document)
                found = "result" in fields["response"]
                result = json.dumps(fields["response"]["result"]).encode() if found else None
        except (KeyError, TypeError) as error:
            raise ValueError(f"not an activation record: {error!r}") from error
        return Activation.from_fields(fields, result)

    @staticmethod
    def from_fields(fields: dict[str, Any], result: bytes | None) -> Activation:
        """Read the form of Kafka and CouchDB, parsed.

        Args:
            fields: The document; the result in it is not looked at.
            result: JSON text of the result; None: there is none.

        Raises:
            ValueError: Not an activation record.
        """
        try:
            return Activation(
                activation_id=fields["activationId"],
                namespace=fields["namespace"],
                name=fields["name"],
                subject=fields["subject"],
                version=fields["version"],
                start_ms=fields["start"],
                end_ms=fields.get("end") or None,  # stock stores 0 for a trigger's record
                duration_ms=fields.get("duration"),
                status=fields["response"]["statusCode"],
                result=result,
                size=fields["response"].get("size"),
                annotations=tuple(fields["annotations"]),
                logs=tuple(fields["logs"]),
                cause=fields.get("cause"),
                publish=fields.get("publish", False),
                dataflow=fields.get("dataflow"),
                place=fields.get("place"),
                unstored=fields.get("unstored", False),
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"not an activation record: {error!r}") from error
