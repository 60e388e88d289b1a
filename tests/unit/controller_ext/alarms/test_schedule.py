from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from controller_ext.alarms import schedule
from controller_ext.alarms.dates import iso, parse_ms
from controller_ext.entities.errors import Rejected

NAMED = {"namespace": "guest", "name": "t"}


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def due(alarm: dict[str, Any], after: str) -> str | None:
    at_ms = schedule.of({**NAMED, **alarm}).next_after(ms(after))
    return None if at_ms is None else datetime.fromtimestamp(at_ms / 1000, UTC).isoformat()[:19]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1_700_000_000_000, 1_700_000_000_000),
        (1.7e12, 1_700_000_000_000),
        ("2019-12-25T12:30:00.500Z", ms("2019-12-25T12:30:00.500")),
        ("2019-12-25T12:30:00+02:00", ms("2019-12-25T10:30:00")),
        ("2019-12-25", ms("2019-12-25T00:00:00")),
        ("tomorrow", None),
        ("1700000000000", None),
        ("", None),
        (True, None),
        (float("inf"), None),
        (10**30, None),
        ([], None),
        ("0001-01-01T00:00:00+23:00", -62_135_679_600_000),
    ],
)
def test_dates_are_milliseconds_or_iso_8601(value: Any, expected: int | None):
    assert parse_ms(value) == expected


def test_a_date_is_told_in_utc_to_the_second():
    assert iso(ms("2019-12-25T12:30:00") + 999) == "2019-12-25T12:30:00Z"


@pytest.mark.parametrize(
    ("cron", "after", "expected"),
    [
        ("* * * * *", "2024-01-01T00:00:00", "2024-01-01T00:01:00"),
        ("*/30 * * * * *", "2024-01-01T00:00:01", "2024-01-01T00:00:30"),
        ("0 9 8 * *", "2024-01-09T00:00:00", "2024-02-08T09:00:00"),
        ("0 0 1 jan *", "2024-06-01T00:00:00", "2025-01-01T00:00:00"),
        ("0 0 * * mon", "2024-01-02T00:00:00", "2024-01-08T00:00:00"),
        ("0 0 29 2 *", "2024-03-01T00:00:00", "2028-02-29T00:00:00"),
        ("0 0 31 2 1", "2024-01-01T00:00:00", "2024-02-05T00:00:00"),
    ],
)
def test_a_pattern_has_five_fields_or_six_with_seconds_first(cron: str, after: str, expected: str):
    assert due({"cron": cron}, after) == expected


def test_a_pattern_is_meant_in_its_time_zone():
    assert due({"cron": "0 9 * * *", "timezone": "America/New_York"}, "2024-01-01T00:00:00") == "2024-01-01T14:00:00"


def test_an_hour_that_a_time_zone_leaves_out_does_not_swallow_the_fire():
    # 02:30 does not exist in Berlin on this day.
    assert due({"cron": "30 2 * * *", "timezone": "Europe/Berlin"}, "2024-03-30T12:00:00") == "2024-03-31T01:00:00"


def test_a_pattern_begins_at_its_start():
    alarm = {"cron": "* * * * *", "startDate": "2024-01-01T06:00:00Z"}
    assert due(alarm, "2024-01-01T00:00:00") == "2024-01-01T06:00:00"
    assert due(alarm, "2024-01-01T06:00:00") == "2024-01-01T06:01:00"


def test_an_alarm_that_is_not_strict_fires_at_a_second_of_its_own():
    at = due({"cron": "* * * * *", "strict": "false"}, "2024-01-01T00:00:00")
    assert at is not None
    assert at != "2024-01-01T00:01:00"
    other = schedule.of({**NAMED, "cron": "* * * * *", "strict": False, "name": "u"})
    assert other.delay_ms != schedule.of({**NAMED, "cron": "* * * * *", "strict": False}).delay_ms
    again = ms(at) - 1
    assert schedule.of({**NAMED, "cron": "* * * * *", "strict": False}).next_after(again) == ms(at)
    assert due({"cron": "0 * * * * *", "strict": False}, "2024-01-01T00:00:00") == "2024-01-01T00:01:00"


@pytest.mark.parametrize(
    "cron", ["***", "", "* * * *", "* * * * * * *", "61 * * * *", 1_700_000_000_000, None, "1" * 9999]
)
def test_what_is_no_pattern_is_said(cron: Any):
    with pytest.raises(Rejected, match="is not valid"):
        schedule.check_cron(cron, None)


@pytest.mark.parametrize("zone", ["Mars/Olympus", "../etc/passwd", "America", 5, "/etc/localtime"])
def test_what_is_no_time_zone_is_said(zone: Any):
    with pytest.raises(Rejected, match=r"^Invalid timezone\.$"):
        schedule.check_cron("* * * * *", zone)


def test_a_pattern_that_never_matches_is_never_due():
    with pytest.raises(Rejected):
        schedule.check_cron("0 0 30 2 *", None)
    assert schedule.next_match("* * * * *", None, 10**17) is None


@pytest.mark.parametrize(("cron", "expected"), [("* * * * *", False), ("0 * * * * *", False), ("*/5 * * * * *", True)])
def test_seconds_are_told_apart_from_minutes(cron: str, expected: bool):
    assert schedule.has_seconds(cron) is expected


def test_an_interval_counts_from_its_start():
    alarm = {"minutes": 2, "startDate": "2024-01-01T00:00:30Z"}
    assert due(alarm, "2023-12-31T00:00:00") == "2024-01-01T00:00:30"
    assert due(alarm, "2024-01-01T00:00:30") == "2024-01-01T00:02:30"
    assert due(alarm, "2024-01-01T01:00:00") == "2024-01-01T01:00:30"


def test_a_date_is_due_once():
    alarm = {"date": "2024-01-01T00:00:30Z"}
    assert due(alarm, "2024-01-01T00:00:29") == "2024-01-01T00:00:30"
    assert due(alarm, "2024-01-01T00:00:30") is None


def test_nothing_is_due_after_the_stop():
    stopped = schedule.of({**NAMED, "cron": "* * * * *", "stopDate": 5})
    assert (stopped.ended(5), stopped.ended(6)) == (False, True)
    assert schedule.of({**NAMED, "cron": "* * * * *"}).ended(10**15) is False
