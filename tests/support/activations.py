"""Activation records as the API shows them, for tests of what reads them."""

from __future__ import annotations

from typing import Any


def a_firing(number: int, step: str = "count", **spans: Any) -> dict[str, Any]:
    """Return the record of a firing of a native workflow; its id ends in `number`.

    Args:
        number: Makes the id.
        step: The step's name.
        **spans: Members of its `dataflow` annotation that differ.
    """
    line = {
        "step": step, "tag": [], "attempt": 1, "matched": 1000.0, "queued": 1001.0, "started": 1002.0,
        "returned": 1008.0, "drained": 1010.0, "in": {"inline": 100}, "out": {"memory": 2048},
        "warmth": "warm", "container": "c1",
    }  # fmt: skip
    return a_record(f"{number:032x}", step, [{"key": "dataflow", "value": line | spans}])


def a_run(*firings: dict[str, Any], **spans: Any) -> dict[str, Any]:
    """Return the record of a native run of these firings."""
    line = {"firings": len(firings), "accepted": 1000.0, "ended": 1020.0, "in": {}, "out": {}}
    record = a_record(
        "f" * 32,
        "wordcount",
        [{"key": "kind", "value": "dataflow:1"}, {"key": "dataflow", "value": line | spans}],
    )
    return record | {"logs": [firing["activationId"] for firing in firings]}


def a_record(activation_id: str, name: str, annotations: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a record that began at 1000 and ended at 1020."""
    return {
        "activationId": activation_id,
        "name": name,
        "start": 1000,
        "end": 1020,
        "duration": 20,
        "response": {"status": "success", "success": True, "result": {}},
        "logs": [],
        "annotations": annotations,
    }
