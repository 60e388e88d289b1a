"""A few figures in Prometheus' text form: of the worker that answers, and of what the balancer knows."""

from __future__ import annotations

import os
import time
from collections import Counter
from pathlib import Path
from typing import Final

from flask import Response

from controller_ext.runs.ports import Balancer

_TYPE: Final = "text/plain; version=0.0.4"
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")


def reply(balancer: Balancer) -> Response:
    """Return the page.

    Raises:
        BalancerUnavailable: It cannot be asked.
    """
    states = Counter(balancer.invokers().values())
    lines = [
        *_gauge("dataflower_controller_in_flight", "Activations under way.", {"": balancer.in_flight()}),
        *_gauge(
            "dataflower_controller_invokers",
            "Invokers by state.",
            {f'{{state="{state}"}}': count for state, count in sorted(states.items())},
        ),
        *_gauge("dataflower_worker_resident_bytes", "Memory of the worker.", {"": _resident_bytes()}),
        *_gauge("dataflower_worker_cpu_seconds", "Processor time of the worker.", {"": time.process_time()}),
    ]
    return Response("\n".join(lines) + "\n", content_type=_TYPE)


def _gauge(name: str, text: str, values: dict[str, float]) -> list[str]:
    head = [f"# HELP {name} {text}", f"# TYPE {name} gauge"]
    return [*head, *(f"{name}{labels} {value}" for labels, value in values.items())]


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE_BYTES
