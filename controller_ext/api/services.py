"""What the API is given: settings, stores and the ports to other processes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from controller_ext.entities.catalog import Catalog
from controller_ext.entities.limits import SystemLimits
from controller_ext.entities.runtimes import STOCK, Manifest
from controller_ext.runs.accept import Acceptor
from controller_ext.runs.ports import Balancer, ControlFlow, Door
from controller_ext.runs.repeats import Repeats
from invoker_ext.store import ActivationStore


def epoch_ms() -> int:
    """Return the time as records have it."""
    return int(time.time() * 1000)


@dataclass(slots=True, frozen=True, kw_only=True)
class ApiSettings:
    """What an operator may choose.

    Attributes:
        limits: The system's; namespaces may have their own.
        manifest: Which kinds of runtime there are.
        build: When this server was built; ISO 8601, begins with the year.
        build_number: Shown beside it.
    """

    limits: SystemLimits = field(default=SystemLimits())
    manifest: Manifest = field(default=STOCK)
    build: str = "2026-01-01T00:00:00Z"
    build_number: str = "dataflower"


@dataclass(slots=True, frozen=True, kw_only=True)
class Services:
    """Everything that a worker's requests share; all of it may be used by many threads at once.

    Attributes:
        settings: What an operator chose.
        catalog: Entities.
        activations: Records.
        acceptor: Makes messages of invocations.
        balancer: Takes them.
        control_flow: Runs compositions, and sequences annotated `dataflow: false`.
        door: To the invokers: pending records, large results, cancel, trace.
        repeats: Idempotency keys.
        now_ms: Epoch milliseconds.
    """

    settings: ApiSettings
    catalog: Catalog
    activations: ActivationStore
    acceptor: Acceptor
    balancer: Balancer
    control_flow: ControlFlow
    door: Door
    repeats: Repeats
    now_ms: Callable[[], int] = epoch_ms
