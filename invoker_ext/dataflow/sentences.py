"""What a run that the machine ends says: one function a sentence, so that no text lives twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from action_runtime.wire.values import RUN, WHOLE
from invoker_ext.contract.graph import EdgeKind
from invoker_ext.dataflow.events import Datum, Outcome
from invoker_ext.dataflow.keys import Firing

if TYPE_CHECKING:
    from invoker_ext.dataflow.plan import LeafPlan

DIED: Final = "The action did not produce a valid response and exited unexpectedly."
"""Source: openwhisk ActivationResponse, run without a usable response."""
UNDELIVERED: Final = "an output was reported but never arrived; this is a fault of the platform"
STREAM_STOPPED: Final = "the run has ended"


class RunFails(Exception):
    """Raised inside the machine by whatever makes the run impossible; `RunMachine.handle` turns it into End.

    Attributes:
        outcome: Of the run.
        error: The error value of the step that failed, or a sentence.
        firing: Whose failure it is, if it is one's.
    """

    def __init__(self, outcome: Outcome, error: Datum | str, firing: Firing | None = None) -> None:
        super().__init__(error)
        self.outcome = outcome
        self.error = error
        self.firing = firing


def _output(firing: Firing | str, output: str) -> str:
    return f"the result of step '{firing}'" if output == WHOLE else f"the output '{output}' of step '{firing}'"


def _consumer(leaf: LeafPlan) -> str:
    return leaf.consumer.title


def missing(firing: Firing, output: str, leaf: LeafPlan) -> RunFails:
    """A step ended without an output that somebody needs."""
    if firing.step == RUN:
        text = f"the run has no parameter '{output}', which {_consumer(leaf)} needs"
        return RunFails(Outcome.APPLICATION_ERROR, text)
    text = f"step '{firing}' ended without producing the output '{output}', which {_consumer(leaf)} needs"
    return RunFails(Outcome.DEVELOPER_ERROR, text, firing)


def not_one(firing: Firing, output: str, leaf: LeafPlan) -> RunFails:
    """A plain edge on an output that was emitted twice."""
    text = f"{_output(firing, output)} was emitted more than once, but {_consumer(leaf)} reads it as one value"
    return RunFails(Outcome.DEVELOPER_ERROR, text, firing)


def not_a_list(firing: Firing, output: str, leaf: LeafPlan) -> RunFails:
    """An `each` on a value that is no list."""
    reads = "fires once for each of its items" if leaf.kind is EdgeKind.EACH else "gathers its items"
    if firing.step == RUN:
        text = f"the parameter '{output}' of the run is not a list, but {_consumer(leaf)} {reads}"
        return RunFails(Outcome.APPLICATION_ERROR, text)
    text = f"{_output(firing, output)} is not a list, but {_consumer(leaf)} {reads}"
    return RunFails(Outcome.DEVELOPER_ERROR, text, firing)


def clash(firing: Firing, output: str) -> RunFails:
    """One name was produced in two ways."""
    text = f"{_output(firing, output)} was both emitted and returned; use two names"
    return RunFails(Outcome.DEVELOPER_ERROR, text, firing)


def unequal(firing: Firing, counts: list[tuple[str, int]], title: str) -> RunFails:
    """Outputs that one step reads item by item have different numbers of items."""
    each = ", ".join(f"{count} of '{output}'" for output, count in counts)
    text = f"{title} reads the items of step '{firing}' side by side, but there are {each}"
    return RunFails(Outcome.DEVELOPER_ERROR, text, None if firing.step == RUN else firing)


def repeated(firing: Firing, output: str, before: int, now: int) -> RunFails:
    """A repetition yielded another number of items."""
    text = (
        f"{_output(firing, output)} has {now} item{'' if now == 1 else 's'} after the step was repeated, "
        f"but {'at least ' if before > now else ''}{before} were there before"
    )
    return RunFails(Outcome.DEVELOPER_ERROR, text, firing)


def dead_result(name: str) -> RunFails:
    """A required member of the result can no longer become live."""
    what = "the result" if name == WHOLE else f"the member '{name}' of the result"
    return RunFails(Outcome.APPLICATION_ERROR, f"{what} was not produced: every path to it was skipped")


def condition(leaf: LeafPlan, error: str) -> RunFails:
    """A condition could not be evaluated."""
    where = (
        f"the input '{leaf.slot.name}' of {_consumer(leaf)}" if leaf.slot.name else f"the input of {_consumer(leaf)}"
    )
    return RunFails(Outcome.DEVELOPER_ERROR, f"the condition '{leaf.when}' on {where} failed: {error}")


def undelivered(firing: Firing, refusal: str | None) -> RunFails:
    """An output never came, though the function that made it succeeded."""
    text = UNDELIVERED if refusal is None else f"the data sink refused an output of step '{firing}': {refusal}"
    return RunFails(Outcome.PLATFORM_ERROR, text, firing)


def lost(firing: Firing, output: str) -> RunFails:
    """An output is gone with its host and cannot be made again."""
    text = f"{_output(firing, output)} was lost with the host that held it, and the step cannot be executed again"
    return RunFails(Outcome.PLATFORM_ERROR, text, firing)


def unreachable(error: str) -> RunFails:
    """The result is on another host, which does not give it."""
    return RunFails(Outcome.PLATFORM_ERROR, f"The result cannot be had: {error}")


def deadline(timeout_s: float | None) -> str:
    """The run's own time is over."""
    bound = "" if timeout_s is None else f" of {round(timeout_s * 1000)} milliseconds"
    return f"The workflow exceeded its time limit{bound}."


def failed(firing: Firing) -> str:
    """A step failed and left no error value."""
    return f"step '{firing}' failed"
