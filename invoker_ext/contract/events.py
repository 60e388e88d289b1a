"""What stock's user events say: of activations that ended, and of what namespaces ask for. Pure.

Source: Apache OpenWhisk, `Message.scala` (`Activation`, `Metric`), `UserEvents.scala`.
"""

from __future__ import annotations

import json
from typing import Any, Final

from invoker_ext.contract.messages import Identity
from invoker_ext.contract.records import Activation
from invoker_ext.contract.stock import Event

TOPIC: Final = "events"
CONCURRENT_INVOCATIONS: Final = "ConcurrentInvocations"
CONCURRENT_LIMIT: Final = "ConcurrentRateLimit"
TIMED_LIMIT: Final = "TimedRateLimit"
_BAD_STATUS: Final = 400


def activation_event(record: Activation, user: Identity, source: str, at_ms: int) -> Event | None:
    """Return what is said of an activation that ended; None: stock says nothing of one without path and kind.

    Args:
        record: Of the activation.
        user: Whose it is.
        source: `invoker0`, `controller0`.
        at_ms: Now, epoch milliseconds.
    """
    known = {one["key"]: one["value"] for one in record.annotations}
    if "path" not in known or "kind" not in known:
        return None
    body: dict[str, Any] = {
        "name": known["path"],
        "activationId": record.activation_id,
        "statusCode": record.status,
        "duration": record.duration_ms or 0,
        "waitTime": known.get("waitTime", 0),
        "initTime": known.get("initTime", 0),
        "kind": known["kind"],
        "conductor": bool(known.get("conductor")),
        "memory": (known.get("limits") or {}).get("memory", 0),
    }
    if "causedBy" in known:
        body["causedBy"] = known["causedBy"]
    if record.size is not None:
        body["size"] = record.size
    own = _own_status(record.result)
    if own is not None:
        body["userDefinedStatusCode"] = own
    return Event(
        source=source,
        kind="Activation",
        body=body,
        subject=record.subject,
        namespace=record.namespace,
        uuid=user.uuid,
        at_ms=at_ms,
    )


def metric_event(name: str, value: int, who: tuple[str, str, str], source: str, at_ms: int) -> Event:
    """Return what is said of a decision about a limit.

    Args:
        name: One of the three above.
        value: Of the metric.
        who: Subject, namespace and the namespace's uuid.
        source: `controller0`.
        at_ms: Now, epoch milliseconds.
    """
    subject, namespace, uuid = who
    body = {"metricName": name, "metricValue": value}
    return Event(source=source, kind="Metric", body=body, subject=subject, namespace=namespace, uuid=uuid, at_ms=at_ms)


def _own_status(result: bytes | None) -> int | None:
    """Return the status that an action gave its result: of its error, else of itself; 400 if it is no number."""
    if result is None or b'"statusCode"' not in result:
        return None
    document = json.loads(result)
    error = document.get("error") if isinstance(document, dict) else None
    for one in (error, document):
        if isinstance(one, dict) and "statusCode" in one:
            status = one["statusCode"]
            return status if type(status) is int else _BAD_STATUS
    return None
