"""What the machine of a run asks for. Data, no behaviour; the shell carries them out and answers with events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from invoker_ext.contract.graph import Step
from invoker_ext.dataflow.events import Datum, Outcome
from invoker_ext.dataflow.keys import DataKey, Firing


@dataclass(slots=True, frozen=True)
class Chunks:
    """The value is the concatenation of these data (an output written by `open_output`, read by a plain edge)."""

    parts: tuple[Datum, ...]


@dataclass(slots=True, frozen=True)
class Constant:
    """The value is this compact JSON text."""

    json: str


class Streamed:
    """The value comes by Feed commands (and one FeedEnd); the parameter is read with `open_input`."""

    __slots__ = ()


STREAMED: Final = Streamed()
"""The one Streamed; it carries nothing."""

Value = Datum | Chunks | Constant | Streamed | tuple["Value", ...]
"""What is bound to a name; a tuple is a list (gather), nested for nested levels."""


@dataclass(slots=True, frozen=True)
class Bound:
    """A parameter and its value, in order; name WHOLE: the value's members are all parameters."""

    name: str
    value: Value


@dataclass(slots=True, frozen=True)
class Dispatch:
    """Execute this attempt of the firing. Answered by Began, Committed…, Returned, Drained, or Lost."""

    firing: Firing
    attempt: int
    step: Step
    inputs: tuple[Bound, ...]


@dataclass(slots=True, frozen=True)
class Feed:
    """Hand one more part to a streamed input of a dispatched firing."""

    firing: Firing
    name: str
    datum: Datum


@dataclass(slots=True, frozen=True)
class FeedEnd:
    """The streamed input is complete, or broke off with `error`."""

    firing: Firing
    name: str
    error: str | None = None


@dataclass(slots=True, frozen=True)
class Evaluate:
    """Evaluate a CEL condition over the value of a datum; answered by Evaluated with the same ticket."""

    ticket: int
    condition: str
    value: Value


@dataclass(slots=True, frozen=True)
class Retry:
    """Answer with RetryDue after `delay_s`."""

    firing: Firing
    attempt: int
    delay_s: float


@dataclass(slots=True, frozen=True)
class Release:
    """Nobody in this run will read these data any more."""

    keys: tuple[DataKey, ...]
    data: tuple[Datum, ...]


@dataclass(slots=True, frozen=True)
class Bring:
    """Have data of the result here before the run ends, as they may be lost with their hosts; answered by Brought."""

    data: tuple[Datum, ...]


@dataclass(slots=True, frozen=True)
class End:
    """The run has ended; last but for Release. Firings still running end by themselves, their outputs are dropped.

    Attributes:
        outcome: OpenWhisk's status.
        result: The bound result if it succeeded.
        error: A datum (the error value of the step that failed) or a sentence if it did not.
        failed: The firing that failed the run, if one did.
        data: Every datum that `result` and `error` hold, each once: the shell owns them from here on and releases
            them; all others come back in Release.
    """

    outcome: Outcome
    result: tuple[Bound, ...]
    error: Datum | str | None
    failed: Firing | None
    data: tuple[Datum, ...] = ()


Command = Dispatch | Feed | FeedEnd | Evaluate | Retry | Release | Bring | End

Wants = Mapping[str, str]
"""Output name → `value` or `items`, per step: see `invoker_ext.dataflow.wants`."""
