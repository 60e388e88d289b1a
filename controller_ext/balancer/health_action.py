"""The action that an invoker of stock runs when a controller tests it; it reads it in CouchDB."""

from __future__ import annotations

import logging
from typing import Any, Final

from action_runtime.wire.errors import DataflowError
from controller_ext.balancer.health import ACTION, NAMESPACE
from controller_ext.entities.runtimes import Manifest, manifest_of
from controller_ext.settings import Settings
from invoker_ext.contract.kinds import read as read_kinds
from invoker_ext.store import EntityStore, RevisionConflict

logger = logging.getLogger(__name__)

_CODE: Final = {
    "nodejs": "function main(params) { return params; }",
    "python": "def main(args):\n    return args\n",
}
"""What a test runs, by family of kinds; stock's is the first."""


def action(controller: str, manifest: Manifest, now_ms: int) -> tuple[str, dict[str, Any]] | None:
    """Return id and document of what a test runs; None: no kind of those that are offered could."""
    family = next((one for one in _CODE if one in manifest.families), None)
    if family is None:
        return None
    name = f"{ACTION}{controller}"
    body = {
        "entityType": "action",
        "namespace": NAMESPACE,
        "name": name,
        "version": "0.0.1",
        "publish": False,
        "exec": {"kind": manifest.resolve(f"{family}:default").kind, "code": _CODE[family], "binary": False},
        "limits": {"concurrency": 1, "logs": 10, "memory": 128, "timeout": 60_000},
        "annotations": [],
        "parameters": [],
        "updated": now_ms,
    }
    return f"{NAMESPACE}/{name}", body


def store(entities: EntityStore, settings: Settings, now_ms: int) -> None:
    """Store this controller's, unless it is there; blocks. Without it a test says less, so nothing is raised."""
    found = action(settings.id, manifest_of(read_kinds(settings.kinds)), now_ms)
    if found is None:
        return
    try:
        entities.put(*found, None)
    except RevisionConflict:
        return
    except DataflowError as error:
        logger.warning("action of health tests is not stored", extra={"error": str(error)})
