from __future__ import annotations

from typing import Any

import pytest

from controller_ext.alarms import feed
from controller_ext.entities.errors import Rejected

NOW = 1_700_000_000_000
LATER = NOW + 60_000
ONCE = {"fireOnce": True}
INTERVAL = {"isInterval": True, "minutes": 2}
CRON = {"cron": "* * * * *"}


def created(**params: Any) -> feed.Alarm:
    return feed.create(params, NOW)


@pytest.mark.parametrize(
    ("params", "text"),
    [
        (ONCE, "alarms once trigger feed is missing the date parameter"),
        ({**ONCE, "date": "tomorrow"}, "date parameter 'tomorrow' is not a valid Date"),
        ({**ONCE, "date": NOW}, f"date parameter '{NOW}' must be in the future"),
        (
            {**ONCE, "date": LATER, "deleteAfterFire": 7},
            "deleteAfterFire parameter must be one of [false, true, rules].",
        ),
        ({"isInterval": True}, "interval trigger feed is missing the minutes parameter"),
        ({"isInterval": True, "minutes": 0}, "interval trigger feed is missing the minutes parameter"),
        ({"isInterval": True, "minutes": "five"}, "the minutes parameter must be an integer"),
        ({"isInterval": True, "minutes": 1.5}, "the minutes parameter must be an integer"),
        ({"isInterval": True, "minutes": True}, "the minutes parameter must be an integer"),
        ({"isInterval": True, "minutes": float("inf")}, "the minutes parameter must be an integer"),
        ({"isInterval": True, "minutes": 10**400}, "the minutes parameter must be an integer"),
        ({"isInterval": True, "minutes": -1}, "the minutes parameter must be an integer greater than zero"),
        ({}, "alarms trigger feed is missing the cron parameter"),
        ({"cron": "***"}, "cron pattern '***' is not valid"),
        ({"cron": NOW}, f"cron pattern '{NOW}' is not valid"),
        ({**CRON, "timezone": "Nowhere"}, "Invalid timezone."),
        (
            {"cron": "* * * * * *", "limitCronFields": True},
            "cron pattern is limited to 5 fields with 1 minute as the finest granularity",
        ),
        ({**CRON, "startDate": NOW - 5000}, f"startDate parameter '{NOW - 5000}' must be in the future"),
        (
            {**CRON, "startDate": LATER, "stopDate": LATER},
            f"stopDate parameter '{LATER}' must be greater than the startDate parameter '{LATER}'",
        ),
        (
            {**CRON, "maxTriggers": 1, "stopDate": LATER},
            "maxTriggers is not allowed when the stopDate parameter is specified",
        ),
        (
            {**INTERVAL, "maxTriggers": 1, "stopDate": LATER},
            "maxTriggers is not supported for the interval trigger feed",
        ),
        (
            {"cron": "0 0 1 1 *", "stopDate": LATER},
            "the first scheduled trigger fire is not until after the stop date",
        ),
        (
            {**INTERVAL, "stopDate": NOW + 30_000},
            f"stopDate parameter '{NOW + 30_000}' must be greater than the startDate parameter '{NOW + 30_000}'",
        ),
        ({**CRON, "maxTriggers": "many"}, "the maxTriggers parameter must be an integer"),
        ({**CRON, "trigger_payload": 5}, "the trigger_payload parameter must be a string or an object"),
    ],
)
def test_what_describes_no_alarm_is_refused_with_its_text(params: dict[str, Any], text: str):
    with pytest.raises(Rejected) as refused:
        feed.create(params, NOW)
    assert str(refused.value) == text


def test_an_alarm_keeps_what_was_given_as_it_was_given():
    alarm = created(
        cron="*/2 * * * *", timezone="Europe/Berlin", startDate="2033-01-01", stopDate=NOW * 2, strict="true"
    )
    assert alarm == {
        "payload": {},
        "maxTriggers": -1,
        "status": {"active": True, "dateChanged": NOW},
        "cron": "*/2 * * * *",
        "timezone": "Europe/Berlin",
        "strict": "true",
        "startDate": "2033-01-01",
        "stopDate": NOW * 2,
    }


def test_an_interval_without_a_start_begins_in_half_a_minute():
    assert created(isInterval=True, minutes="5")["startDate"] == NOW + 30_000
    assert created(isInterval=True, minutes="5")["minutes"] == 5


@pytest.mark.parametrize(("given", "payload"), [("x", {"payload": "x"}), ("", {"payload": ""}), ({"a": 1}, {"a": 1})])
def test_a_text_is_the_payload_of_a_payload(given: Any, payload: dict[str, Any]):
    assert created(cron="* * * * *", trigger_payload=given)["payload"] == payload


@pytest.mark.parametrize(("given", "kept"), [(True, "true"), (" Rules ", "rules"), ("false", "false")])
def test_deletion_after_the_fire_is_a_word(given: Any, kept: str):
    assert created(fireOnce=True, date=LATER, deleteAfterFire=given)["deleteAfterFire"] == kept


def alarm(**params: Any) -> feed.Alarm:
    return {"name": "t", "namespace": "guest", "apikey": "secret", **created(**params)}


@pytest.mark.parametrize(
    ("old", "params", "changed"),
    [
        (alarm(**CRON), {"cron": "*/2 * * * *", "startDate": LATER}, {"cron": "*/2 * * * *", "startDate": LATER}),
        (alarm(**CRON), {"timezone": "UTC"}, {"cron": "* * * * *", "timezone": "UTC"}),
        (alarm(**INTERVAL), {"minutes": 7}, {"minutes": 7}),
        (alarm(fireOnce=True, date=LATER), {"date": LATER + 1, "deleteAfterFire": "rules"}, {"date": LATER + 1}),
        (alarm(**CRON), {"trigger_payload": "x"}, {"payload": {"payload": "x"}}),
    ],
)
def test_an_update_changes_what_it_names(old: feed.Alarm, params: dict[str, Any], changed: dict[str, Any]):
    found = feed.update(params, old, NOW + 1)
    assert {name: found[name] for name in changed} == changed
    assert found["status"] == {"active": True, "dateChanged": NOW + 1}
    assert found["apikey"] == "secret"


@pytest.mark.parametrize(
    ("old", "params", "text"),
    [
        (alarm(**CRON), {"minutes": 5, "trigger_payload": ""}, "no updatable parameters were specified"),
        (alarm(fireOnce=True, date=LATER), {"startDate": LATER}, "no updatable parameters were specified"),
        (alarm(**INTERVAL), {"minutes": "x"}, "the minutes parameter must be an integer"),
        (
            alarm(**INTERVAL, startDate=LATER, stopDate=LATER + 10),
            {"startDate": LATER + 20},
            f"startDate parameter '{LATER + 20}' must be less than the stopDate parameter '{LATER + 10}'",
        ),
        (
            alarm(**INTERVAL, startDate=LATER + 5),
            {"stopDate": LATER},
            f"stopDate parameter '{LATER}' must be greater than the startDate parameter '{LATER + 5}'",
        ),
    ],
)
def test_an_update_that_changes_nothing_or_to_nothing_good_is_refused(
    old: feed.Alarm, params: dict[str, Any], text: str
):
    with pytest.raises(Rejected) as refused:
        feed.update(params, old, NOW)
    assert str(refused.value) == text


def test_an_update_gives_all_fires_again():
    old = {**alarm(cron="* * * * *", maxTriggers=3), "triggersLeft": 0}
    assert "triggersLeft" not in feed.update({"cron": "*/2 * * * *"}, old, NOW)


def test_what_is_told_of_an_alarm_has_stocks_shape_and_no_key():
    assert feed.shown(alarm(**CRON, trigger_payload={"a": 1})) == {
        "config": {"name": "t", "namespace": "guest", "payload": {"a": 1}, "cron": "* * * * *"},
        "status": {"active": True, "dateChanged": NOW, "dateChangedISO": "2023-11-14T22:13:20Z"},
    }


def test_an_alarm_that_ended_says_why():
    ended = feed.disabled(alarm(**CRON), "it is over", NOW + 1, 404)
    assert feed.shown(ended)["status"]["reason"] == {"kind": "AUTO", "message": "it is over", "statusCode": 404}
    assert feed.shown(ended)["status"]["active"] is False
