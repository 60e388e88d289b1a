"""What a client asks a feed for: an alarm made, changed or told of. Texts are stock's. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from controller_ext.alarms import schedule
from controller_ext.alarms.dates import iso, parse_ms
from controller_ext.entities.errors import Rejected

_WHOLE: Final = re.compile(r"\s*[+-]?\d{1,15}(\.0*)?\s*", re.ASCII)
_TOO_LARGE: Final = 10**15
"""Of a whole number; as many digits as a text may have."""
_START_AFTER_MS: Final = 30_000
"""An interval without a start begins so long after it was made."""
_DELETE_AFTER_FIRE: Final = ("false", "true", "rules")
_TOLD: Final = (
    "name", "namespace", "payload", "date", "deleteAfterFire", "startDate", "stopDate", "minutes", "cron", "timezone",
    "strict",
)  # fmt: skip
UNLIMITED: Final = -1
"""Of `maxTriggers`."""
Alarm = dict[str, Any]
"""A stored alarm; members that were not given are missing."""


def create(params: Mapping[str, Any], now_ms: int) -> Alarm:
    """Return the alarm that parameters describe, without trigger and key.

    Args:
        params: Of the feed; `fireOnce` and `isInterval` say which feed it is.
        now_ms: Epoch milliseconds.

    Raises:
        Rejected: They describe none.
    """
    payload = params.get("trigger_payload")
    alarm: Alarm = {
        "payload": {"payload": payload} if isinstance(payload, str) else _object(payload or {}),
        "maxTriggers": _max_triggers(params),
        "status": active(now_ms),
    }
    if params.get("fireOnce"):
        if not params.get("date"):
            raise Rejected("alarms once trigger feed is missing the date parameter")
        return alarm | _once(params, now_ms)
    if params.get("isInterval"):
        if not params.get("minutes"):
            raise Rejected("interval trigger feed is missing the minutes parameter")
        alarm |= {"minutes": _minutes(params["minutes"])}
    else:
        if not params.get("cron"):
            raise Rejected("alarms trigger feed is missing the cron parameter")
        alarm |= _cron(params, params["cron"], params.get("timezone"))
    if params.get("startDate"):
        alarm["startDate"] = _future(params["startDate"], "startDate", now_ms)
    elif params.get("isInterval"):
        alarm["startDate"] = now_ms + _START_AFTER_MS
    if params.get("stopDate"):
        alarm["stopDate"] = _stop(params, alarm, now_ms)
    return alarm


def update(params: Mapping[str, Any], old: Alarm, now_ms: int) -> Alarm:
    """Return an alarm as parameters change it, active again.

    Raises:
        Rejected: They change nothing, or to something that is none.
    """
    changed: Alarm = {}
    payload = params.get("trigger_payload")
    if payload:
        changed["payload"] = {"payload": payload} if isinstance(payload, str) else _object(payload)
    if "date" in old:
        changed |= _once(params, now_ms)
    else:
        changed |= _repeated(params, old, now_ms)
    if not changed:
        raise Rejected("no updatable parameters were specified")
    kept = {name: value for name, value in old.items() if name != "triggersLeft"}
    return {**kept, **changed, "status": active(now_ms)}


def active(now_ms: int) -> dict[str, Any]:
    """Return the status of an alarm that fires."""
    return {"active": True, "dateChanged": now_ms}


def disabled(alarm: Alarm, message: str, now_ms: int, status_code: int | None = None) -> Alarm:
    """Return an alarm that does not fire any more, and why."""
    reason: dict[str, Any] = {"kind": "AUTO", "message": message}
    if status_code is not None:
        reason["statusCode"] = status_code
    return {**alarm, "status": {"active": False, "dateChanged": now_ms, "reason": reason}}


def shown(alarm: Alarm) -> dict[str, Any]:
    """Return what READ tells; never the key."""
    status = alarm["status"]
    changed_ms = status["dateChanged"]
    return {
        "config": {name: alarm[name] for name in _TOLD if name in alarm},
        "status": {
            "active": status["active"],
            "dateChanged": changed_ms,
            "dateChangedISO": iso(changed_ms),
            **({"reason": status["reason"]} if "reason" in status else {}),
        },
    }


def _once(params: Mapping[str, Any], now_ms: int) -> Alarm:
    found: Alarm = {}
    if params.get("date"):
        found["date"] = _future(params["date"], "date", now_ms)
    if params.get("deleteAfterFire"):
        wanted = str(params["deleteAfterFire"]).strip().lower()
        if wanted not in _DELETE_AFTER_FIRE:
            raise Rejected("deleteAfterFire parameter must be one of [false, true, rules].")
        found["deleteAfterFire"] = wanted
    return found


def _repeated(params: Mapping[str, Any], old: Alarm, now_ms: int) -> Alarm:
    changed: Alarm = {}
    if "minutes" in old:
        if params.get("minutes"):
            changed["minutes"] = _minutes(params["minutes"])
    elif params.get("cron") or params.get("timezone") or params.get("strict") is not None:
        zone = params.get("timezone") or old.get("timezone")
        changed |= _cron(params, params.get("cron") or old["cron"], zone)
    start, stop = params.get("startDate"), params.get("stopDate")
    if start:
        changed["startDate"] = _future(start, "startDate", now_ms)
    if stop:
        changed["stopDate"] = _future(stop, "stopDate", now_ms, start or old.get("startDate"))
    elif start and "stopDate" in old and _ms(start) >= _ms(old["stopDate"]):
        text = f"startDate parameter '{start}' must be less than the stopDate parameter '{old['stopDate']}'"
        raise Rejected(text)
    return changed


def _cron(params: Mapping[str, Any], cron: Any, zone: Any) -> Alarm:
    schedule.check_cron(cron, zone)
    if params.get("cron") and params.get("limitCronFields") and schedule.has_seconds(cron):
        raise Rejected("cron pattern is limited to 5 fields with 1 minute as the finest granularity")
    found = {"cron": cron}
    if zone:
        found["timezone"] = zone
    if params.get("strict") is not None:
        found["strict"] = params["strict"]
    return found


def _stop(params: Mapping[str, Any], alarm: Alarm, now_ms: int) -> Any:
    if params.get("maxTriggers"):
        if params.get("isInterval"):
            raise Rejected("maxTriggers is not supported for the interval trigger feed")
        raise Rejected("maxTriggers is not allowed when the stopDate parameter is specified")
    stop = _future(params["stopDate"], "stopDate", now_ms, alarm.get("startDate"))
    if "cron" in alarm:
        first_ms = schedule.next_match(alarm["cron"], alarm.get("timezone"), now_ms)
        if first_ms is None or first_ms > _ms(stop):
            raise Rejected("the first scheduled trigger fire is not until after the stop date")
    return stop


def _future(value: Any, name: str, now_ms: int, start: Any = None) -> Any:
    """Return a date as it was given; raises Rejected if it is none, past, or not after the start."""
    at_ms = parse_ms(value)
    if at_ms is None:
        raise Rejected(f"{name} parameter '{value}' is not a valid Date")
    if at_ms <= now_ms:
        raise Rejected(f"{name} parameter '{value}' must be in the future")
    if start is not None and at_ms <= _ms(start):
        raise Rejected(f"{name} parameter '{value}' must be greater than the startDate parameter '{start}'")
    return value


def _ms(value: Any) -> int:
    """Return the milliseconds of a date that has been checked."""
    return parse_ms(value) or 0


def _minutes(value: Any) -> int:
    minutes = _whole(value)
    if minutes is None:
        raise Rejected("the minutes parameter must be an integer")
    if minutes <= 0:
        raise Rejected("the minutes parameter must be an integer greater than zero")
    return minutes


def _max_triggers(params: Mapping[str, Any]) -> int:
    value = params.get("maxTriggers") or UNLIMITED
    found = _whole(value)
    if found is None:
        raise Rejected("the maxTriggers parameter must be an integer")
    return found


def _whole(value: Any) -> int | None:
    """Return a whole number, given as a number or as a text; None: it is none."""
    if isinstance(value, str) and _WHOLE.fullmatch(value):
        return int(value.partition(".")[0])
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value // 1:
        return None
    return int(value) if abs(value) < _TOO_LARGE else None


def _object(payload: Any) -> dict[str, Any]:
    if not isinstance(payload, dict):
        raise Rejected("the trigger_payload parameter must be a string or an object")
    return payload
