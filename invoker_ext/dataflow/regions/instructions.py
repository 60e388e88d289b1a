"""What each instruction does to a thread. Each returns whether the thread goes on at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from invoker_ext.contract.graph import Fault, Step
from invoker_ext.contract.regions import RegionKind
from invoker_ext.dataflow.events import Outcome
from invoker_ext.dataflow.regions import forks, helpers
from invoker_ext.dataflow.regions.commands import Answered, Call, Question
from invoker_ext.dataflow.regions.helpers import Unable
from invoker_ext.dataflow.regions.program import Instruction, Op
from invoker_ext.dataflow.regions.threads import Fork, Frame, FrameKind, State, Thread
from invoker_ext.dataflow.regions.values import (
    Leaf,
    Members,
    Shape,
    Text,
    Value,
    boxed,
    error_of,
    inputs_of,
    is_null,
    is_open,
    member,
    text_of,
    truth,
)

if TYPE_CHECKING:
    from invoker_ext.dataflow.regions.machine import RegionMachine

TOO_MANY: Final = "Too many actions in the composition."
_NOT_FORKED: Final = "Parallel combinator failed to invoke a composition at AST node root{} (see log for details)"
_NOT_LAUNCHED: Final = "Async combinator failed to invoke composition at AST node root{} (see log for details)"
_NO_TEST: Final = "Internal error: the test of root{} results in no `value`, which Composer for Python needs"
_NOT_DYNAMIC: Final = "Incorrect use of the dynamic combinator at AST node root{}"


def _pass(machine: RegionMachine, thread: Thread, instruction: Instruction) -> bool:
    return True


def _check(machine: RegionMachine, thread: Thread, instruction: Instruction) -> bool:
    return machine.check(thread)


def _choose(machine: RegionMachine, thread: Thread, instruction: Instruction) -> bool:
    if instruction.region.python:
        return _choose_in_python(machine, thread, instruction)

    def then(answer: Answered) -> None:
        if not answer.holds:
            thread.place = instruction.target
        machine.go_on(thread)

    found = member(thread.value, "value")
    if found is None and not is_open(thread.value):
        return machine.ask(thread, Question.TRUTH, then)
    holds = False if found is None else truth(found)
    if holds is None:
        return machine.ask(thread, Question.TRUE_ITSELF, then, found)
    if not holds:
        thread.place = instruction.target
    return True


def _choose_in_python(machine: RegionMachine, thread: Thread, instruction: Instruction) -> bool:
    def then(answer: Answered) -> None:
        if answer.error is not None:
            thread.move(State.READY)
            machine.abort(thread, Outcome.DEVELOPER_ERROR, _NO_TEST.format(instruction.path))
            return
        if not answer.holds:
            thread.place = instruction.target
        machine.go_on(thread)

    return machine.ask(thread, Question.TRUTH_IN_PYTHON, then)


def _try(machine: RegionMachine, thread: Thread, instruction: Instruction) -> bool:
    thread.frames.append(Frame(FrameKind.CATCH, target=instruction.target))
    return True


def _let(machine: RegionMachine, thread: Thread, instruction: Instruction) -> bool:
    region = instruction.region
    kind = FrameKind.LET if region.kind is RegionKind.LET else FrameKind.MASK
    thread.frames.append(Frame(kind, {name: Text(text) for name, text in region.cells}))
    return True


def _enter(machine: RegionMachine, thread: Thread, instruction: Instruction) -> bool:
    thread.frames.append(Frame(FrameKind.LOOP))
    return True


def _again(machine: RegionMachine, thread: Thread, instruction: Instruction) -> bool:
    thread.frames[-1].index += 1
    thread.place = instruction.target
    return True


def _while(machine: RegionMachine, thread: Thread, instruction: Instruction) -> bool:
    region = instruction.region
    if thread.frames[-1].index + 1 >= region.most:
        return True

    def then(answer: Answered) -> None:
        if answer.error is not None:
            thread.move(State.READY)
            machine.abort(thread, Outcome.DEVELOPER_ERROR, answer.error)
            return
        if answer.holds:
            _again(machine, thread, instruction)
        machine.go_on(thread)

    return machine.ask(thread, Question.CONDITION, then, condition=region.condition)


def _exit(machine: RegionMachine, thread: Thread, instruction: Instruction) -> bool:
    thread.frames.pop()
    return True


def _stop(machine: RegionMachine, thread: Thread, instruction: Instruction) -> bool:
    thread.place = -1
    return True


def _raise(machine: RegionMachine, thread: Thread, instruction: Instruction) -> bool:
    return machine.refuse(thread, instruction.region.error)


# -- functions -----------------------------------------------------------------------------------


def _function(machine: RegionMachine, thread: Thread, instruction: Instruction) -> bool:
    helper = instruction.region.helper
    if helper is not None:
        outcome = helpers.apply(helper, thread)
        if outcome is Unable.OVERLAY:
            return machine.ask(thread, Question.OVERLAY, lambda answer: _made(machine, thread, answer))
        if outcome is Unable.UNREAD:
            return _look_at_result(machine, thread, instruction)
        if not isinstance(outcome, Unable):
            if not (instruction.region.python and is_null(outcome)):  # in Python, None is no result
                thread.value = outcome
            return machine.check(thread)
    return machine.evaluate(thread, instruction)


def _look_at_result(machine: RegionMachine, thread: Thread, instruction: Instruction) -> bool:
    """Have the member `result` looked at, then do the instruction again."""
    result = member(thread.value, "result")

    def then(answer: Answered) -> None:
        if isinstance(result, Leaf):
            result.shape = answer.shape
        thread.place = instruction.at
        machine.go_on(thread)

    return machine.ask(thread, Question.SHAPE, then, result)


def _made(machine: RegionMachine, thread: Thread, answer: Answered) -> None:
    """Go on with what was made of the value."""
    thread.move(State.READY)
    thread.value = error_of(answer.error) if answer.error is not None else machine.leaf(answer.data[0], answer.shape)
    if machine.check(thread):
        machine.resume(thread)


# -- actions -------------------------------------------------------------------------------------


def _call(machine: RegionMachine, thread: Thread, instruction: Instruction) -> bool:
    step = instruction.step
    if step is None:
        raise ValueError("a call without a step")
    return _run_call(machine, thread, step)


def _run_call(machine: RegionMachine, thread: Thread, step: Step) -> bool:
    if thread.account.exhausted:
        return machine.refuse(thread, TOO_MANY)
    if isinstance(step.call, Fault):
        return machine.refuse(thread, step.call.error)
    return _dispatch(machine, thread, step)


def _dispatch(machine: RegionMachine, thread: Thread, step: Step) -> bool:
    inputs = inputs_of(thread.value)
    if inputs is None:

        def then(answer: Answered) -> None:
            if answer.error is not None:
                _made(machine, thread, answer)
                return
            thread.move(State.READY)
            thread.value = machine.leaf(answer.data[0], answer.shape)
            _dispatch(machine, thread, step)

        return machine.ask(thread, Question.JOIN, then)
    thread.move(State.WAITING)
    machine.send(machine.flights.send(thread, step, inputs))
    return False


def _dynamic(machine: RegionMachine, thread: Thread, instruction: Instruction) -> bool:
    step = instruction.step
    if step is None:
        raise ValueError("a call without a step")

    def then(answer: Answered) -> None:
        thread.move(State.READY)
        call: Call | None = answer.call
        if answer.error is not None or call is None:
            thread.value = error_of(_NOT_DYNAMIC.format(instruction.path))
            goes_on = machine.check(thread)
        else:
            [datum] = answer.data
            params = machine.leaf(datum, answer.shape)
            thread.value = boxed(params) if answer.shape is Shape.OTHER else params
            goes_on = _run_call(machine, thread, replace(step, call=call))
        if goes_on:
            machine.resume(thread)

    return machine.ask(thread, Question.DYNAMIC, then)


def _async(machine: RegionMachine, thread: Thread, instruction: Instruction) -> bool:
    def then(answer: Answered) -> None:
        thread.move(State.READY)
        if answer.error is not None:
            thread.value = error_of(_NOT_LAUNCHED.format(instruction.path))
        else:
            told = {"method": "async", "activationId": answer.name, "sessionId": machine.session}
            thread.value = Members({name: text_of(value) for name, value in told.items()})
        if machine.check(thread):
            machine.resume(thread)

    return machine.launch(thread, instruction, then)


# -- branches ------------------------------------------------------------------------------------


def _parallel(machine: RegionMachine, thread: Thread, instruction: Instruction) -> bool:
    return _fork(machine, thread, instruction, instruction.starts, [thread.value] * len(instruction.starts))


def _map(machine: RegionMachine, thread: Thread, instruction: Instruction) -> bool:
    found = forks.elements(thread.value)
    if found is not None:
        return _fork_each(machine, thread, instruction, found)

    def then(answer: Answered) -> None:
        thread.move(State.READY)
        pairs = zip(answer.data, answer.shapes, strict=True)
        values = [forks.as_object(machine.leaf(datum, shape), shape) for datum, shape in pairs]
        if _fork_each(machine, thread, instruction, answer.error or values):
            machine.resume(thread)

    return machine.ask(thread, Question.ELEMENTS, then)


def _fork_each(machine: RegionMachine, thread: Thread, instruction: Instruction, found: list[Value] | str) -> bool:
    if isinstance(found, str):
        return _not_forked(machine, thread, instruction)
    return _fork(machine, thread, instruction, (instruction.at + 1,) * len(found), found)


def _fork(
    machine: RegionMachine, thread: Thread, instruction: Instruction, starts: tuple[int, ...], values: list[Value]
) -> bool:
    if not values:
        thread.value = forks.joined(Fork(thread, [], 0))
        return True
    if not machine.room_for(len(values)):
        return _not_forked(machine, thread, instruction)
    thread.move(State.WAITING)
    for branch in forks.branches(thread, starts, values, thread.since):
        machine.start(branch)
    return False


def _not_forked(machine: RegionMachine, thread: Thread, instruction: Instruction) -> bool:
    thread.value = error_of(_NOT_FORKED.format(instruction.path))
    return machine.check(thread)


OPS: Final[Mapping[Op, Callable[[RegionMachine, Thread, Instruction], bool]]] = {
    Op.PASS: _pass,
    Op.CHECK: _check,
    Op.CHOOSE: _choose,
    Op.TRY: _try,
    Op.LET: _let,
    Op.ENTER: _enter,
    Op.AGAIN: _again,
    Op.WHILE: _while,
    Op.EXIT: _exit,
    Op.STOP: _stop,
    Op.CALL: _call,
    Op.DYNAMIC: _dynamic,
    Op.FUNCTION: _function,
    Op.RAISE: _raise,
    Op.ASYNC: _async,
    Op.PARALLEL: _parallel,
    Op.MAP: _map,
}
