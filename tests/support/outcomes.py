"""Which statuses tests have seen of which operation: what the table `tests/contract/rest/outcomes.tsv` is made from."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from tests.support.conformance import Outcome

SEEN: Final[set[Outcome]] = set()
"""Of this process; only answers that tests of the contract and replays got are in it."""


def note(outcome: Outcome | None) -> None:
    """Keep that an answer was seen; None: of what is not in the document."""
    if outcome is not None:
        SEEN.add(outcome)


def written(found: Iterable[Outcome]) -> str:
    """Return the table: a line an operation."""
    rows: dict[tuple[str, str], set[str]] = {}
    for method, path, status in found:
        rows.setdefault((path, method), set()).add(status)
    lines = [f"{method}\t{path}\t{' '.join(sorted(of))}\n" for (path, method), of in sorted(rows.items())]
    return (
        "# What tests have seen of each route: METHOD<tab>PATH<tab>STATUSES. test_outcomes.py renews it.\n"
        + "".join(lines)
    )


def read(path: Path) -> set[Outcome]:
    """Read a table."""
    rows = [line.split("\t") for line in path.read_text().splitlines() if not line.startswith("#")]
    return {(method, at, status) for method, at, statuses in rows for status in statuses.split()}


def excused(outcome: Outcome, reasons: Iterable[str]) -> str | None:
    """Return the pattern that says why an outcome is not seen; None: there is none."""
    return next((one for one in reasons if re.fullmatch(one, " ".join(outcome))), None)
