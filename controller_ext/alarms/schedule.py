"""When an alarm is due. Pure."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any, Final
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from controller_ext.alarms.dates import parse_ms
from controller_ext.entities.errors import Rejected

_MOST_CHARS: Final = 256
"""Of a cron pattern."""
_LAST_MS: Final = 250_000_000_000_000
"""The year 9892: later nothing is due."""
_SHORT_FIELDS: Final = 5
"""Of a pattern without seconds."""


@dataclass(slots=True, frozen=True, kw_only=True)
class Schedule:
    """One of `date_ms`, `period_ms` and `cron` is set.

    Attributes:
        date_ms: When it fires once.
        period_ms: It fires at `start_ms` and every so often after it.
        cron: It fires when this matches.
        zone: In which the pattern is meant; None: UTC.
        start_ms: Nothing is due before; None: no bound.
        stop_ms: Nothing is due after; None: no bound.
        delay_ms: After each match.
    """

    date_ms: int | None = None
    period_ms: int | None = None
    cron: str | None = None
    zone: str | None = None
    start_ms: int | None = None
    stop_ms: int | None = None
    delay_ms: int = 0

    def next_after(self, now_ms: int) -> int | None:
        """Return when it is due next after a moment, whatever `stop_ms` says; None: never."""
        if self.date_ms is not None:
            return self.date_ms if self.date_ms > now_ms else None
        if self.period_ms is not None:
            start_ms = self.start_ms or 0
            return start_ms + max(0, (now_ms - start_ms) // self.period_ms + 1) * self.period_ms
        if self.cron is None:
            return None
        from_ms = now_ms - self.delay_ms
        if self.start_ms is not None:
            from_ms = max(from_ms, self.start_ms - 1)
        match = next_match(self.cron, self.zone, from_ms)
        return None if match is None else match + self.delay_ms

    def ended(self, at_ms: int) -> bool:
        """Return whether nothing is due any more at a moment."""
        return self.stop_ms is not None and at_ms > self.stop_ms


def of(alarm: dict[str, Any]) -> Schedule:
    """Return the schedule of a stored alarm; raises Rejected if it makes no sense."""
    if "date" in alarm:
        return Schedule(date_ms=parse_ms(alarm["date"]))
    start_ms, stop_ms = parse_ms(alarm.get("startDate")), parse_ms(alarm.get("stopDate"))
    if "minutes" in alarm:
        return Schedule(period_ms=alarm["minutes"] * 60_000, start_ms=start_ms, stop_ms=stop_ms)
    cron, zone = alarm["cron"], alarm.get("timezone")
    check_cron(cron, zone)
    delay_ms = 0 if strict(alarm) or len(cron.split()) > _SHORT_FIELDS else _delay_ms(alarm)
    return Schedule(cron=cron, zone=zone, start_ms=start_ms, stop_ms=stop_ms, delay_ms=delay_ms)


def strict(alarm: dict[str, Any]) -> bool:
    """Return whether an alarm fires at the top of the minute; so it does unless it says otherwise."""
    return str(alarm.get("strict", True)).strip().lower() != "false"


def check_cron(cron: Any, zone: Any) -> None:
    """Raise Rejected with stock's text if a pattern or a time zone is none."""
    _matches(cron, _zone(zone), 0)


def has_seconds(cron: str) -> bool:
    """Return whether a pattern is finer than a minute."""
    fields = cron.split()
    return len(fields) > _SHORT_FIELDS and fields[-6] != "0"


def next_match(cron: Any, zone: Any, after_ms: int) -> int | None:
    """Return when a pattern matches next; None: never, as far as anybody lives.

    Raises:
        Rejected: It is no pattern, or the zone none.
    """
    if after_ms > _LAST_MS:
        return None
    found = next(_matches(cron, _zone(zone), after_ms), None)
    return None if found is None else int(found.timestamp()) * 1000


def _matches(cron: Any, zone: tzinfo, after_ms: int) -> CronSim:
    text = cron if isinstance(cron, str) and len(cron) <= _MOST_CHARS else ""
    try:
        return CronSim(text, datetime.fromtimestamp(after_ms // 1000, zone))
    except CronSimError as error:
        raise Rejected(f"cron pattern '{cron}' is not valid") from error


def _zone(zone: Any) -> tzinfo:
    if not zone:
        return UTC
    try:
        return ZoneInfo(zone)
    except (KeyError, ValueError, TypeError, OSError) as error:
        # The name of a folder of the database is one that cannot be read.
        raise Rejected("Invalid timezone.") from error


def _delay_ms(alarm: dict[str, Any]) -> int:
    """Return where in a minute an alarm fires that does not care: always the same, and spread over all of them."""
    return zlib.crc32(f"{alarm['namespace']}/{alarm['name']}".encode()) % 60 * 1000
