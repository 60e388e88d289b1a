"""Activation records; and, beyond stock, the time line of a run and its cancelling."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, Final

from flask import Blueprint, Response

from controller_ext.api import queries, replies
from controller_ext.api.context import namespace_of, own_namespace
from controller_ext.api.services import Services
from controller_ext.entities.errors import Conflict, NotFound, Rejected
from controller_ext.entities.runtimes import NATIVE, SEQUENCE
from controller_ext.runs.ports import Cancelled
from invoker_ext.contract.records import Activation
from invoker_ext.store import ActivationQuery

_ERROR_BYTES: Final = 16 << 10
"""Of a result that a time line may repeat the error of."""
_COLLECTION: Final = "activations"
_ID_CHARS: Final = 32
_ID: Final = re.compile(r"[0-9a-f]{32}")


def make(services: Services) -> Blueprint:
    """Return the routes."""
    blueprint = Blueprint("activations", __name__)
    handlers = _Activations(services)
    blueprint.get("")(handlers.list)
    blueprint.get("/")(handlers.list)
    blueprint.get("/<activation_id>")(handlers.read)
    blueprint.get("/<activation_id>/")(handlers.read)
    blueprint.get("/<activation_id>/logs")(handlers.logs)
    blueprint.get("/<activation_id>/result")(handlers.result)
    blueprint.get("/<activation_id>/trace")(handlers.trace)
    blueprint.post("/<activation_id>/cancel")(handlers.cancel)
    return blueprint


class _Activations:
    def __init__(self, services: Services) -> None:
        self._records = services.activations
        self._door = services.door

    def list(self, namespace: str) -> Response:
        own = own_namespace(namespace)
        # In this order stock reads them: of several that are malformed it tells of the first.
        skip, limit = queries.window(_COLLECTION)
        count, docs = queries.flag("count"), queries.flag("docs")
        query = ActivationQuery(
            namespace=own,
            name=queries.activation_name(),
            since_ms=queries.instant_ms("since"),
            upto_ms=queries.instant_ms("upto"),
            skip=skip,
            limit=limit,
            docs=docs,
        )
        if docs and count:
            raise Rejected("The parameter 'docs' is not permitted with 'count'.")
        # Records are written behind the response; who asks must see what he was answered before.
        self._door.settle()
        if count:
            return replies.json_object({_COLLECTION: self._records.count(query)})
        records = self._records.list(query)
        if docs:
            return replies.json_array([record.api_json() for record in records])
        return replies.json_object([record.summary() for record in records])

    def read(self, namespace: str, activation_id: str) -> Response:
        return replies.json_bytes(self._record(namespace, activation_id).api_json())

    def logs(self, namespace: str, activation_id: str) -> Response:
        return replies.json_object({"logs": self._record(namespace, activation_id).logs})

    def result(self, namespace: str, activation_id: str) -> Response:
        return replies.json_bytes(self._record(namespace, activation_id).response_json())

    def trace(self, namespace: str, activation_id: str) -> Response:
        """Show a run with all its firings: `live` while an invoker has it, records for what has ended."""
        own = self._check(namespace, activation_id)
        run = self._find(own, activation_id)
        # What has a record has ended: its trace must not hang on an invoker that is away.
        live = None if run is not None else self._door.trace(own, activation_id)
        if run is None and live is None:
            raise NotFound
        ids = (live or {}).get("ids", ()) if run is None else firing_ids(run)
        at_work = {one["activationId"] for one in (live or {}).get("live", ())}
        firings = self._firings(own, [one for one in ids if one not in at_work])
        return replies.json_object(
            {
                "activationId": activation_id,
                "live": live,
                "run": None if run is None else _traced(run),
                "firings": [_traced(one) for one in firings],
            }
        )

    def cancel(self, namespace: str, activation_id: str) -> Response:
        own = self._check(namespace, activation_id)
        match self._door.cancel(own, activation_id):
            case Cancelled.CANCELLED:
                return replies.json_object({"activationId": activation_id}, 202)
            case Cancelled.ENDED:
                raise Conflict("The run has ended.")
            case Cancelled.UNKNOWN:
                if self._find(own, activation_id) is not None:
                    raise Conflict("The run has ended.")
                raise NotFound

    def _record(self, namespace: str, activation_id: str) -> Activation:
        record = self._find(self._check(namespace, activation_id), activation_id)
        if record is None:
            raise NotFound
        return record

    def _find(self, namespace: str, activation_id: str) -> Activation | None:
        record = self._records.get(namespace, activation_id)
        if record is None:
            self._door.settle()
            record = self._records.get(namespace, activation_id)
        return record

    def _firings(self, namespace: str, ids: Sequence[str]) -> Sequence[Activation]:
        """Return the records of firings that have ended, as far as they were made."""
        found = {one: self._records.get(namespace, one) for one in ids}
        missing = [one for one, record in found.items() if record is None]
        if missing:
            self._door.settle()
            found |= {one: self._records.get(namespace, one) for one in missing}
        return [record for record in found.values() if record is not None]

    def _check(self, namespace: str, activation_id: str) -> str:
        """Return the caller's namespace; raises Rejected for what is no activation id, before Forbidden."""
        namespace_of(namespace)
        if len(activation_id) != _ID_CHARS:
            raise Rejected(f"Activation id length is {len(activation_id)} but must be {_ID_CHARS}.")
        if not _ID.fullmatch(activation_id):
            raise Rejected("The activation id is not valid.")
        return own_namespace(namespace, activation_id)


def firing_ids(run: Activation) -> tuple[str, ...]:
    """Return the ids of the records that a run is made of: its logs, or itself if it is a plain action."""
    return run.logs if run.annotation("kind") in (SEQUENCE, NATIVE) else (run.activation_id,)


def _traced(record: Activation) -> dict[str, Any]:
    time_line = record.dataflow if record.dataflow is not None else record.annotation("dataflow")
    error = _error(record)
    return {**record.summary(), "dataflow": time_line, **({} if error is None else {"error": error})}


def _error(record: Activation) -> str | None:
    """Return what went wrong, in a line; None of a success, or where the record does not hold it in a few words."""
    result = record.result
    if record.status == 0 or result is None or len(result) > _ERROR_BYTES:
        return None
    error = json.loads(result).get("error") if result[:1] == b"{" else None
    return error if error is None or isinstance(error, str) else json.dumps(error, ensure_ascii=False)
