"""The inline functions of one region: what they get is read, their results become data, their logs the run's."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from action_runtime.wire.errors import DataflowError
from invoker_ext.dataflow.events import Outcome
from invoker_ext.dataflow.regions.commands import Applied, Apply
from invoker_ext.dataflow.regions.values import Shape
from invoker_ext.inline.call import Call, Evaluated, Fault
from invoker_ext.owner import answers
from invoker_ext.owner.applying import Applying
from invoker_ext.owner.jobs import home_of
from invoker_ext.owner.reading import Copies, read_in_thread

if TYPE_CHECKING:
    from invoker_ext.owner.run import Run

APPLIED_BYTES: Final = 1024 * 1024
"""Up to here a function's value is read on the loop: it must be copied to another process anyway."""

_ENDING: Final[Mapping[Fault | None, Outcome]] = {
    Fault.INTERNAL: Outcome.APPLICATION_ERROR,
    Fault.CONTAINER: Outcome.DEVELOPER_ERROR,
    Fault.UNPLACED: Outcome.PLATFORM_ERROR,
}
"""How a composition ends for what no handler gets."""


class Evaluating:
    """Lives on the loop.

    Args:
        run: Whose functions they are.
        tell: Takes what a function came to; called in a turn of the run.
    """

    def __init__(self, run: Run, tell: Callable[[Applied], None]) -> None:
        self._run = run
        self._home = home_of(run)
        self._tell = tell
        self._asked: dict[int, int] = {}
        self._applying = Applying(self._begin)
        self._dropped = False

    def apply(self, command: Apply) -> None:
        """Have a function evaluated when it is its turn."""
        self._applying.add(command)

    def drop(self) -> None:
        """Nobody wants to know what they come to. Idempotent."""
        self._dropped = True
        self._applying.clear()
        for asked in self._asked.values():
            self._run.host.functions.cancel(asked)
        self._asked.clear()

    def _begin(self, command: Apply) -> None:
        values = [command.params, *command.cells.values()]
        data = [datum for value in values for datum in answers.data_of(value)]
        if sum(datum.size_bytes for datum in data) <= APPLIED_BYTES and not any(datum.elsewhere for datum in data):
            self._evaluate(command.ticket, self._call(command, {}))
            return
        host = self._run.host
        reading = read_in_thread(host.sink, data, partial(self._call, command), host.copy)
        host.spawn(self._begin_large(command.ticket, reading), f"function of {self._run.activation_id}")

    def _call(self, command: Apply, copies: Copies) -> Call:
        return Call(
            namespace=self._run.spec.user.namespace,
            program=self._run.spec.path,
            code=command.code,
            params=tuple(answers.pieces_of(command.params, copies)),
            cells={name: answers.json_of(value, copies) for name, value in command.cells.items()},
            path=command.path,
            home=self._home,
            more=command.more,
        )

    async def _begin_large(self, ticket: int, reading: Coroutine[Any, Any, Call]) -> None:
        try:
            call = await reading
        except (DataflowError, OSError) as error:
            told = Applied(ticket, self._now(), error=f"The value cannot be read: {error}", fatal=True)
            self._run.turn(partial(self._tell, told))
            self._applying.over(ticket)
        else:
            self._evaluate(ticket, call)

    def _evaluate(self, ticket: int, call: Call) -> None:
        if not self._dropped:
            self._asked[ticket] = self._run.host.functions.evaluate(call, partial(self._evaluated, ticket))

    def _evaluated(self, ticket: int, evaluated: Evaluated) -> None:
        self._asked.pop(ticket, None)
        self._run.turn(partial(self._give, ticket, evaluated))

    def _give(self, ticket: int, evaluated: Evaluated) -> None:
        self._run.own_tally.add_log(evaluated.log)
        put, result = self._run.put_json, evaluated.result
        try:
            shape = Shape.UNKNOWN if result is None else answers.shape_of_text(result)
        except RecursionError:
            shape = Shape.UNKNOWN  # asked for in its turn, and answered with an error
        self._tell(
            Applied(
                ticket=ticket,
                at=self._now(),
                result=None if result is None else put(result),
                shape=shape,
                error=evaluated.error,
                fatal=evaluated.fault in _ENDING,
                outcome=_ENDING.get(evaluated.fault, Outcome.APPLICATION_ERROR),
                waited_s=evaluated.waited_s,
                cells={name: put(text) for name, text in evaluated.cells.items()},
                done=evaluated.done,
            )
        )
        self._applying.over(ticket)

    def _now(self) -> float:
        return self._run.host.clock.now()
