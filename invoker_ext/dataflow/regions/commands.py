"""What the machine of a region asks for beside `dataflow.commands.Dispatch`, and what it is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from invoker_ext.contract.graph import ActionCall, Fault, WorkflowCall
from invoker_ext.contract.regions import Region
from invoker_ext.dataflow.commands import Dispatch
from invoker_ext.dataflow.events import Cancelled, Datum, Drained, Lost, Outcome, PlatformFailed, Returned
from invoker_ext.dataflow.keys import Firing
from invoker_ext.dataflow.regions.values import Shape, Value

Call = ActionCall | WorkflowCall | Fault


class Question(Enum):
    """What is to be known of a value, or made of it."""

    SHAPE = "shape"
    """Its shape, and the value of `error` if it has one."""
    TRUTH = "truth"
    """Whether its member `value` is true for JavaScript."""
    TRUTH_IN_PYTHON = "truth-in-python"
    """Whether its member `value` is true for Python; an error if there is none."""
    TRUE_ITSELF = "true-itself"
    """Whether it is."""
    ELEMENTS = "elements"
    """The elements of its member `value`, a datum each."""
    JOIN = "join"
    """One datum of it."""
    OVERLAY = "overlay"
    """Members of its member `result` over those of `params`, as one datum."""
    DYNAMIC = "dynamic"
    """The action that it names, and a datum of its `params`."""
    CONDITION = "condition"
    """Whether a CEL condition holds for it."""


@dataclass(slots=True, frozen=True)
class Ask:
    """Answer a question about a value with Answered, under the same ticket."""

    ticket: int
    question: Question
    value: Value
    condition: str = ""


@dataclass(slots=True, frozen=True)
class Apply:
    """Evaluate an inline function; answered by Applied.

    Attributes:
        ticket: Of the answer.
        code: JavaScript.
        path: Where the function stands, for the texts of errors.
        params: What it gets.
        cells: That are in view, by name.
        more: Code and path of the functions that come next, with the same cells in view: some of them may be done, too.
    """

    ticket: int
    code: str
    path: str
    params: Value
    cells: Mapping[str, Value]
    more: tuple[tuple[str, str], ...] = ()


@dataclass(slots=True, frozen=True)
class Launch:
    """Start a run of its own of a region; answered by Answered, whose `name` is its activation id."""

    ticket: int
    region: Region
    params: Value
    cells: tuple[Mapping[str, Value] | None, ...]
    """Frames around it, outermost first; None: a mask."""


@dataclass(slots=True, frozen=True)
class Pause:
    """Let others have the loop, then tell Resumed."""


@dataclass(slots=True, frozen=True)
class Leave:
    """The region has ended; what still runs of it ends by itself.

    Attributes:
        outcome: OpenWhisk's status.
        value: What it results in, or the value of `error`.
    """

    outcome: Outcome
    value: Value


Command = Dispatch | Ask | Apply | Launch | Pause | Leave


@dataclass(slots=True, frozen=True)
class Entered:
    """The region is to run; first event.

    Attributes:
        datum: What it is given.
        at: Monotonic seconds.
        cells: Frames around it, outermost first; None: a mask.
    """

    datum: Datum
    at: float
    cells: tuple[Mapping[str, Value] | None, ...] = ()


@dataclass(slots=True, frozen=True)
class Resulted:
    """What a firing resulted in is in the sink; comes before its Returned."""

    firing: Firing
    attempt: int
    datum: Datum
    shape: Shape
    at: float


@dataclass(slots=True, frozen=True)
class Answered:
    """The answer to a question.

    Attributes:
        ticket: Of the question.
        at: Monotonic seconds.
        holds: For TRUTH and CONDITION.
        shape: For SHAPE; of the datum, for JOIN, OVERLAY and DYNAMIC.
        name: The action's, for DYNAMIC; the run's, of a launched region.
        error: JSON text of `error`, for SHAPE; else a sentence: there is no answer.
        data: What was made; owned by the machine.
        shapes: Of ELEMENTS.
        call: What the name of DYNAMIC stands for.
    """

    ticket: int
    at: float
    holds: bool = False
    shape: Shape = Shape.UNKNOWN
    name: str = ""
    error: str | None = None
    data: tuple[Datum, ...] = ()
    shapes: tuple[Shape, ...] = ()
    call: Call | None = None


@dataclass(slots=True, frozen=True)
class Applied:
    """What a function came to.

    Attributes:
        ticket: Of the Apply.
        at: Monotonic seconds.
        result: A datum; None: the value goes on as it is, or there is an error.
        shape: Of the result.
        error: A sentence.
        fatal: No handler gets the error.
        cells: Those that the function changed.
        outcome: With which the thread ends, if no handler gets the error.
        waited_s: For a place to be evaluated, which no limit counts.
        done: How many functions it was, from the first on; all else is of the last.
    """

    ticket: int
    at: float
    result: Datum | None = None
    shape: Shape = Shape.UNKNOWN
    error: str | None = None
    fatal: bool = False
    cells: Mapping[str, Datum] = field(default_factory=dict)
    outcome: Outcome = Outcome.APPLICATION_ERROR
    waited_s: float = 0.0
    done: int = 1


@dataclass(slots=True, frozen=True)
class Resumed:
    """Go on after a Pause."""

    at: float


Event = Entered | Resulted | Returned | Drained | Lost | Answered | Applied | Resumed | Cancelled | PlatformFailed
