"""A composition: what the results of its conductor ask for, one after the other. Pure.

A conductor is an action annotated `conductor`. It is run again and again; a result with `action` names the component to
run next, with `params` for it and `state` to be handed back to the conductor, any other result ends the composition.

| state | means | moved by |
| --- | --- | --- |
| conducting | the conductor runs | `Composition.begin`, `ended`, `missing`, `conducted` |
| stepping | the component that it asked for is looked up or runs | `conducted` |
| over | there is a result | `conducted`, `ended`, `missing`, `lost`, `broken` |

Unlike stock, an array that is handed on is boxed as `{"value": […]}`; stock loses it or tells of another error.

Source: Apache OpenWhisk docs/conductors.md and PrimitiveActions.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

from controller_ext import json_text
from controller_ext.entities.names import Name
from controller_ext.runs.ports import Gap
from controller_ext.workflow.sequence import MAX_ACTIONS
from invoker_ext.contract import naming

MAX_COMPONENTS: Final = MAX_ACTIONS
"""Of one call, those of conductors inside it included."""
MAX_CONDUCTIONS: Final = 2 * MAX_COMPONENTS + 1
"""Runs of conductors in one call: one before each component, as many to be told of errors, and one at the end."""
TOO_MANY: Final = "Too many actions in the composition."
_BROKEN: Final = "Activation failure during composition."
_LOST: Final = "Timeout reached when retrieving activation {} during composition."

_APPLICATION_ERROR: Final = 1
_PLATFORM_ERROR: Final = 3
_dumps: Final = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


class State(Enum):
    """Of a composition."""

    CONDUCTING = "conducting"
    STEPPING = "stepping"
    OVER = "over"


TRANSITIONS: Final[Mapping[State, frozenset[State]]] = {
    State.CONDUCTING: frozenset({State.CONDUCTING, State.STEPPING, State.OVER}),
    State.STEPPING: frozenset({State.CONDUCTING, State.OVER}),
    State.OVER: frozenset(),
}


@dataclass(slots=True, frozen=True)
class Conduct:
    """Run the conductor with these arguments; None: nothing beyond its parameters."""

    content: bytes | None


@dataclass(slots=True, frozen=True)
class Step:
    """Find an action and run it with this object; None: nothing beyond its parameters."""

    name: Name
    content: bytes | None


@dataclass(slots=True, frozen=True)
class End:
    """The composition has ended with this status and result."""

    status: int
    result: bytes | None


Command = Conduct | Step | End


@dataclass(slots=True)
class Accounting:
    """What a call has used up; shared by the conductors in it."""

    components: int = 0
    conductions: int = 0


@dataclass(slots=True)
class Composition:
    """One composition: each event returns what is to be done next.

    Attributes:
        namespace: The caller's, in which names are resolved.
        defaults: Parameters of the conductor → JSON text; they lie below its input in every step.
        accounting: Shared with the compositions around it.
        state: Where it is.
    """

    namespace: str
    defaults: Mapping[str, bytes]
    accounting: Accounting
    state: State = State.CONDUCTING
    _kept: dict[str, bytes] = field(default_factory=dict)
    _step: Name | None = None

    def begin(self, content: bytes | None) -> Command:
        """Start with arguments that lie over the defaults already."""
        return self._conduct(content)

    def conducted(self, status: int, result: bytes | None) -> Command:
        """The conductor has ended.

        Raises:
            Malformed: What it returned cannot be read.
        """
        asked = json_text.split(boxed(result, "value")) if result is not None else {}
        kept = asked.get("state")
        self._kept = {} if kept is None else json_text.split(boxed(kept, "state"))
        params = None if "params" not in asked else boxed(asked["params"], "value")
        if "action" not in asked:
            whole = result if result is None else boxed(result, "value")
            return self._end(status, whole if params is None else params)
        action = json_text.parse(asked["action"])
        name = resolve(action, self.namespace)
        if name is None:
            return self._tell(naming.unreadable(action))
        if self.accounting.components >= MAX_COMPONENTS:
            return self._tell(TOO_MANY)
        self._move(State.STEPPING)
        self._step = name
        return Step(name, params)

    def missing(self, gap: Gap) -> Command:
        """The component cannot be run."""
        return self._tell(missing(gap, self._step))

    def ended(self, result: bytes | None, *, counts: bool = True) -> Command:
        """The component has ended.

        Args:
            result: Whatever it came to; None: nothing.
            counts: False: it was a composition, whose own components have been counted.

        Raises:
            Malformed: The result cannot be read.
        """
        self.accounting.components += counts
        if result is None:
            return self._conduct(None)
        payload = boxed(result, "value")
        if self._kept or self.defaults:
            payload = json_text.join({**self.defaults, **json_text.split(payload), **self._kept})
        return self._conduct(payload)

    def lost(self, activation_id: str) -> End:
        """What runs was accepted, and has no result in time."""
        return self._fail(_PLATFORM_ERROR, _LOST.format(activation_id))

    def broken(self) -> End:
        """What was to be run cannot be, for a reason that is not the composition's."""
        return self._fail(_PLATFORM_ERROR, _BROKEN)

    def exhausted(self) -> End:
        """It has used up what a call may."""
        return self._fail(_APPLICATION_ERROR, TOO_MANY)

    def _tell(self, text: str) -> Command:
        """Hand an error to the conductor, which may know what to do."""
        return self._conduct(json_text.join({**self.defaults, "error": _dumps(text).encode(), **self._kept}))

    def _conduct(self, content: bytes | None) -> Command:
        if self.accounting.conductions >= MAX_CONDUCTIONS:
            return self.exhausted()
        self._move(State.CONDUCTING)
        self.accounting.conductions += 1
        return Conduct(json_text.join(self.defaults) if content is None else content)

    def _fail(self, status: int, text: str) -> End:
        return self._end(status, error_json(text))

    def _end(self, status: int, result: bytes | None) -> End:
        self._move(State.OVER)
        return End(status, result)

    def _move(self, state: State) -> None:
        if state not in TRANSITIONS[self.state]:
            raise ValueError(f"a composition that is {self.state.value} cannot become {state.value}")
        self.state = state


def boxed(raw: bytes, name: str) -> bytes:
    """Return a JSON text if it is an object, else an object with it as the only member."""
    return raw if raw.lstrip()[:1] == b"{" else json_text.join({name: raw})


def error_json(text: str) -> bytes:
    """Return the object that tells of an error."""
    return _dumps({"error": text}).encode()


def missing(gap: Gap, name: Name | None) -> str:
    """Return what is told of an action that cannot be run."""
    return naming.out_of_reach(name) if gap is Gap.OUT_OF_REACH else naming.absent(name)


def resolve(action: Any, namespace: str) -> Name | None:
    """Return the full name of a component; see `naming.parts_of`."""
    parts = naming.parts_of(action, namespace)
    return None if parts is None else Name(*parts)
