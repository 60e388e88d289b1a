"""A few figures in Prometheus' text form: of the worker that answers, of what the balancer knows, of each invoker."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from flask import Response

from controller_ext.runs.ports import Balancer, Door

_TYPE: Final = "text/plain; version=0.0.4"
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
_DATA: Final = {"memory": "segment_bytes", "small": "inline_bytes", "disk": "spilled_bytes"}
"""Where data lie → what the sink calls it."""
_JOBS: Final = frozenset({"waiting", "undrained", "memory_mb"})
"""What an invoker says of its pool that is no place of a container."""


def reply(balancer: Balancer, door: Door) -> Response:
    """Return the page; an invoker that does not answer is left out.

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
        *_invokers(door.usage()),
        *_gauge("dataflower_worker_resident_bytes", "Memory of the worker.", {"": _resident_bytes()}),
        *_gauge("dataflower_worker_cpu_seconds", "Processor time of the worker.", {"": time.process_time()}),
    ]
    return Response("\n".join(lines) + "\n", content_type=_TYPE)


def _invokers(usages: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return what is held on each host; without runs, that is nothing but spares and idle containers."""
    runs, lent, data, containers = {}, {}, {}, {}
    for usage in usages:
        label = f'invoker="{usage["name"]}"'
        runs[f"{{{label}}}"] = usage["runs"]
        lent[f"{{{label}}}"] = usage.get("peers", {}).get("runs", 0)
        held = {place: usage["sink"][name] for place, name in _DATA.items()} | {"spare": usage["spare_bytes"]}
        data.update({f'{{{label},place="{place}"}}': size for place, size in held.items()})
        pool = {place: count for place, count in usage["pool"].items() if place not in _JOBS}
        containers.update({f'{{{label},place="{place}"}}': count for place, count in pool.items()})
    return [
        *_gauge("dataflower_invoker_runs", "Runs that an invoker owns and that have not ended.", runs),
        *_gauge("dataflower_invoker_lent_runs", "Runs of other invokers of which it has something.", lent),
        *_gauge("dataflower_invoker_data_bytes", "Data in its sink, and memory kept for the next.", data),
        *_gauge("dataflower_invoker_containers", "Its containers by place.", containers),
    ]


def _gauge(name: str, text: str, values: dict[str, float]) -> list[str]:
    head = [f"# HELP {name} {text}", f"# TYPE {name} gauge"]
    return [*head, *(f"{name}{labels} {value}" for labels, value in values.items())]


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE_BYTES
