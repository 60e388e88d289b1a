"""What happens to alarms, and when: events in, commands out. Pure.

| state | means | moved by |
| --- | --- | --- |
| waiting | it is due at a known time | `Machine.seen`, an answer, a write |
| firing | a request to fire its trigger is under way | `Machine.due` |
| resting | the request is made again after a pause | `Machine.fired` |
| writing | its end, or what is left of it, is being stored, until that is done | `Machine.fired`, `Machine.seen` |
| (gone) | its document is gone, or says that it does not fire | `Machine.seen`, `Machine.written` |

One request an alarm: what becomes due while one is under way is not made up, nor what became due while nobody ran.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from controller_ext.alarms import feed, schedule
from controller_ext.alarms.feed import Alarm
from controller_ext.alarms.schedule import Schedule
from controller_ext.entities.errors import Rejected

ATTEMPTS: Final = 11
"""Of one fire: the first and ten more. Source: RETRY_ATTEMPTS of stock's provider."""
_PAUSE_MS: Final = 1_000
_TOO_MANY: Final = 429
_NO_REASON_TO_END: Final = frozenset({408, 409, _TOO_MANY})


class State(Enum):
    """Of an alarm that fires."""

    WAITING = "waiting"
    FIRING = "firing"
    RESTING = "resting"
    WRITING = "writing"


TRANSITIONS: Final[Mapping[State, frozenset[State]]] = {
    State.WAITING: frozenset({State.FIRING, State.WRITING}),
    State.FIRING: frozenset({State.WAITING, State.RESTING, State.WRITING}),
    State.RESTING: frozenset({State.FIRING}),
    State.WRITING: frozenset({State.WAITING, State.WRITING}),
}


@dataclass(slots=True, frozen=True)
class Stored:
    """An alarm as the store has it."""

    id: str
    revision: str
    alarm: Alarm


@dataclass(slots=True, frozen=True)
class Fire:
    """Fire the trigger; answer with `Machine.fired`."""

    of: Stored


@dataclass(slots=True, frozen=True)
class Write:
    """Store this in place of what was seen, or nothing (None); answer with `Machine.written`."""

    of: Stored
    alarm: Alarm | None


@dataclass(slots=True, frozen=True)
class DeleteTrigger:
    """Delete the trigger of an alarm that is gone, with its rules if they are to go too."""

    alarm: Alarm
    rules: bool


Command = Fire | Write | DeleteTrigger


@dataclass(slots=True)
class _Entry:
    stored: Stored
    schedule: Schedule
    state: State = State.WAITING
    at_ms: int = 0
    """When something is to be done: it is due, or is tried again. Of no meaning while firing."""
    attempts: int = 0
    throttled: int = 0
    write: Write | None = None

    def move(self, state: State) -> None:
        if state not in TRANSITIONS[self.state]:
            raise ValueError(f"an alarm that is {self.state.value} cannot become {state.value}")
        self.state = state


@dataclass(slots=True)
class Machine:
    """Knows all alarms that fire.

    Attributes:
        started_ms: What was changed before is one of an earlier life: what it missed since is not made up.
    """

    started_ms: int
    _entries: dict[str, _Entry] = field(default_factory=dict)

    def seen(self, stored: Iterable[Stored], now_ms: int) -> list[Command]:
        """Take over all alarms that the store has; return what is to be done."""
        commands: list[Command] = []
        kept: dict[str, _Entry] = {}
        for one in stored:
            known = self._entries.get(one.id)
            if known is not None and known.stored.revision == one.revision:
                kept[one.id] = known
            elif one.alarm["status"]["active"]:
                kept[one.id] = self._enter(one, now_ms, commands)
        self._entries = kept
        return commands

    def due(self, now_ms: int) -> list[Command]:
        """Return what is to be done by now."""
        commands: list[Command] = []
        for entry in self._entries.values():
            if entry.state is State.FIRING or entry.at_ms > now_ms:
                continue
            if entry.write is not None:
                entry.at_ms = now_ms + _PAUSE_MS  # until it is known to be written
                commands.append(entry.write)
            else:
                entry.move(State.FIRING)
                entry.attempts += 1
                commands.append(Fire(entry.stored))
        return commands

    def next_ms(self) -> int | None:
        """Return when something is to be done next; None: nothing is."""
        return min((one.at_ms for one in self._entries.values() if one.state is not State.FIRING), default=None)

    def fired(self, of: Stored, status_code: int | None, now_ms: int) -> list[Command]:
        """Take the answer to a Fire.

        Args:
            of: What the command had.
            status_code: Of the answer; None: there was none.
            now_ms: Epoch milliseconds.
        """
        entry = self._entries.get(of.id)
        if entry is None or entry.stored is not of or entry.state is not State.FIRING:
            return []  # it was changed or deleted meanwhile
        ok = status_code is not None and status_code < 400
        if not ok and (ended := _ends(status_code)) is not None:
            return self._end(entry, ended, now_ms, status_code)
        if status_code == _TOO_MANY:
            entry.throttled += 1
        if not ok and entry.attempts < ATTEMPTS:
            entry.at_ms = now_ms + max(_PAUSE_MS, entry.throttled**2 * 1_000)
            entry.move(State.RESTING)
            return []
        if entry.throttled == ATTEMPTS:
            text = "Automatically disabled after continuously receiving a 429 status code when firing the trigger"
            return self._end(entry, text, now_ms, _TOO_MANY)
        entry.attempts = entry.throttled = 0
        return self._after_fire(entry, counted=ok, now_ms=now_ms)

    def written(self, of: Stored, now: Stored | None, now_ms: int) -> None:
        """Take the success of a Write.

        Args:
            of: What the command had.
            now: What the store has; None: nothing, or what somebody else wrote.
            now_ms: Epoch milliseconds.
        """
        entry = self._entries.get(of.id)
        if entry is None or entry.stored is not of:
            return
        if now is None or not now.alarm["status"]["active"]:
            del self._entries[of.id]
            return
        entry.stored, entry.write = now, None
        entry.move(State.WAITING)
        entry.at_ms = entry.schedule.next_after(now_ms) or now_ms

    def _enter(self, one: Stored, now_ms: int, commands: list[Command]) -> _Entry:
        """Return the entry of an alarm that is new here, or was changed."""
        changed_ms = one.alarm["status"]["dateChanged"]
        of_this_life = changed_ms >= self.started_ms
        try:
            when = schedule.of(one.alarm)
            at_ms = when.next_after(changed_ms if of_this_life else now_ms)
            problem = _expired(when, at_ms, now_ms)
        except Rejected as error:
            when, at_ms, problem = Schedule(), None, str(error)
        entry = _Entry(one, when)
        if at_ms is None or problem is not None:
            what = "creation" if of_this_life else "initialization"
            text = f"Automatically disabled after receiving error on trigger {what}: {problem}"
            commands += self._end(entry, text, now_ms)
        else:
            entry.at_ms = at_ms
        return entry

    def _after_fire(self, entry: _Entry, *, counted: bool, now_ms: int) -> list[Command]:
        """Go on after a fire, whether it succeeded or was given up."""
        alarm = entry.stored.alarm
        if "date" in alarm:
            return self._after_once(entry, now_ms)
        at_ms = entry.schedule.next_after(now_ms)
        if at_ms is None or entry.schedule.ended(at_ms):
            kind = "interval" if "minutes" in alarm else "cron"
            return self._end(entry, f"Automatically disabled after firing last scheduled {kind} trigger", now_ms)
        if counted and "cron" in alarm and alarm["maxTriggers"] > 0:
            left = (alarm["triggersLeft"] if "triggersLeft" in alarm else alarm["maxTriggers"]) - 1
            counted_down = {**alarm, "triggersLeft": left}
            if left <= 0:
                text = "Automatically disabled after reaching max triggers"
                return self._write(entry, feed.disabled(counted_down, text, now_ms), now_ms)
            return self._write(entry, counted_down, now_ms)
        entry.move(State.WAITING)
        entry.at_ms = at_ms
        return []

    def _after_once(self, entry: _Entry, now_ms: int) -> list[Command]:
        alarm = entry.stored.alarm
        wanted = alarm.get("deleteAfterFire", "false")
        if wanted == "false":
            return self._end(entry, "Automatically disabled after firing once", now_ms)
        return [*self._write(entry, None, now_ms), DeleteTrigger(alarm, rules=wanted == "rules")]

    def _end(self, entry: _Entry, text: str, now_ms: int, status_code: int | None = None) -> list[Command]:
        return self._write(entry, feed.disabled(entry.stored.alarm, text, now_ms, status_code), now_ms)

    def _write(self, entry: _Entry, alarm: Alarm | None, now_ms: int) -> list[Command]:
        entry.move(State.WRITING)
        entry.write = Write(entry.stored, alarm)
        entry.at_ms = now_ms + _PAUSE_MS
        return [entry.write]


def _expired(when: Schedule, at_ms: int | None, now_ms: int) -> str | None:
    """Return why an alarm will not fire, None: it will."""
    if when.date_ms is not None:
        return "the fire once date has expired" if at_ms is None else None
    if when.stop_ms is not None and when.stop_ms <= now_ms:
        return "the stop date has expired"
    if at_ms is None:
        return "it is never due"
    if when.ended(at_ms):
        return "the next scheduled trigger fire is after the stop date"
    return None


def _ends(status_code: int | None) -> str | None:
    """Return why an answer ends an alarm, None: it does not."""
    if status_code is None or not 400 <= status_code < 500 or status_code in _NO_REASON_TO_END:
        return None
    return f"Trigger automatically disabled: Received a {status_code} status code when firing the trigger"
