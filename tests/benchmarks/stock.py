"""What Apache OpenWhisk itself takes for the same kind of work, measured once on a machine of this class.

Two cores, other load on them, one run each, Python no-ops. Three set-ups: *lean* is its standalone server, one JVM
without Kafka and CouchDB, logs read from files; *lean, logs off* the same without collecting logs; *split* a
controller, an invoker, Kafka and a store that speaks CouchDB's protocol, four processes. These figures are no part of a
run: they stand beside ours for orientation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

SOURCE: Final = "Apache OpenWhisk on a machine of this class"


@dataclass(slots=True, frozen=True)
class Stock:
    """Figures of one case, as text: median, or median / 99th percentile; empty: not measured.

    Attributes:
        lean: The standalone server.
        logs_off: The standalone server that collects no logs.
        split: Controller, invoker, Kafka and store.
    """

    lean: str
    logs_off: str
    split: str

    def cell(self) -> str:
        """Return all three for one cell of the table."""
        return " · ".join(one or "–" for one in (self.lean, self.logs_off, self.split))


TITLE: Final = "stock: lean · logs off · split"
NONE: Final = "–"
_INVOKE: Final = Stock("6.6 / 15.8", "2.2 / 8.2", "35 / 86")
_HOP: Final = Stock("1.3–2.0", "1.3", "21–23")
FIGURES: Final = {
    ("start", "until ready", "s"): Stock("8–10", "", "29"),
    ("memory", "idle", "MiB PSS"): Stock("390–450", "", "1,700"),
    ("invoke", "blocking, warm no-op", "ms"): _INVOKE,
    ("wrk", "blocking no-op, 1 connection", "ms"): _INVOKE,
    **{("hop", f"chain of {length}", "ms"): _HOP for length in (2, 4, 8, 16, 32)},
    ("sequence", "4 steps, 100 B", "ms"): Stock("12 / 30", "8.6 / 23", "104 / 232"),
    ("sequence", "4 steps, 100 KB", "ms"): Stock("45 / 109", "37 / 96", "157 / 229"),
    ("sequence", "4 steps, 900 KB", "ms"): Stock("205 / 299", "280 / 333", "556 / 759"),
    ("sequences of 4", "1 caller, four actions", "runs/s"): Stock("71", "118", "9.7"),
    ("sequences of 4", "4 callers, four actions", "runs/s"): Stock("119", "157", "20"),
    ("sequences of 4", "16 callers, four actions", "runs/s"): Stock("32", "106", "11"),
    ("sequences of 4", "16 callers", "runs/s"): Stock("117", "168", "37"),
}
"""By scenario, case and unit of the table."""


def cell(scenario: str, case: str, unit: str) -> str:
    """Return what stands beside a row."""
    found = FIGURES.get((scenario, case, unit))
    return NONE if found is None else found.cell()
