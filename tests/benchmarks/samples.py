"""Numbers of a benchmark: series, medians, ratios. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(slots=True, frozen=True)
class Series:
    """Measurements of one thing, at least one."""

    values: tuple[float, ...]

    @staticmethod
    def of(values: Sequence[float]) -> Series:
        """Keep measurements; raises ValueError if there are none."""
        if not values:
            raise ValueError("a series has at least one measurement")
        return Series(tuple(sorted(values)))

    @property
    def median(self) -> float:
        """The middle one."""
        return self.quantile(0.5)

    def p99(self, *, more_is_better: bool = False) -> float:
        """Return what 99 % keep to: a time that they are not above, a rate that they are not below."""
        return self.quantile(0.01 if more_is_better else 0.99)

    def quantile(self, share: float) -> float:
        """Return the smallest measurement that at least `share` of all are not above."""
        return self.values[max(0, math.ceil(share * len(self.values)) - 1)]


@dataclass(slots=True, frozen=True, kw_only=True)
class Row:
    """One line of the report.

    Attributes:
        scenario: Its scenario.
        case: What is varied.
        unit: Of all its numbers.
        dataflow: Measured with data flow.
        baseline: Measured with stock control flow in the same run; None: it cannot do this.
        more_is_better: A rate, not a time.
    """

    scenario: str
    case: str
    unit: str
    dataflow: Series
    baseline: Series | None = None
    more_is_better: bool = False

    @property
    def ratio(self) -> float | None:
        """How many times better data flow is; None without a baseline."""
        if self.baseline is None:
            return None
        ours, theirs = self.dataflow.median, self.baseline.median
        above, below = (ours, theirs) if self.more_is_better else (theirs, ours)
        return above / below if below else math.inf

    def to_json(self) -> dict[str, Any]:
        """Return the form of the JSON report."""
        return {
            "scenario": self.scenario,
            "case": self.case,
            "unit": self.unit,
            "dataflow": self._to_json(self.dataflow),
            "baseline": None if self.baseline is None else self._to_json(self.baseline),
            "ratio": self.ratio,
        }

    def _to_json(self, series: Series) -> dict[str, float]:
        p99 = series.p99(more_is_better=self.more_is_better)
        return {"median": series.median, "p99": p99, "count": len(series.values)}
