"""What a composition comes to in stock: its state machine, run over Python callables. The yardstick for ours.

No concurrency, no time, no records. Branches run one after the other, each with counters of its own, as in stock, where
each is a composition of its own; a Redis is taken to be there.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from controller_ext.runs.conductor import TOO_MANY, resolve
from invoker_ext.inline.call import Bounds, Call, Evaluated, Fault
from invoker_ext.inline.engine import Engine
from tests.support.composer.states import Code, compiled_states
from tests.support.composer.trees import Tree, lower

Actions = Mapping[str, Callable[[dict[str, Any]], Any]]
"""Name in the caller's namespace → what the action does: it returns its result, an error as `{"error": …}`."""
Evaluate = Callable[[Call], Evaluated]

NAMESPACE: Final = "guest"
ID: Final = "id"
"""Stands for the ids that `async` hands out."""
_PARALLEL: Final = "Parallel combinator failed to invoke a composition at AST node root{} (see log for details)"
_DYNAMIC: Final = "Incorrect use of the dynamic combinator at AST node root{}"


@dataclass(slots=True)
class Outcome:
    """How a composition ended."""

    result: dict[str, Any]
    ok: bool
    calls: list[tuple[str, Any]] = field(default_factory=list)
    """Actions that ran and their arguments; in order, but those of branches are one branch after the other."""


class Over(Exception):
    """The conductor itself failed: nothing in the program hears of it."""


@dataclass(slots=True)
class Thread:
    """State of one composition or branch."""

    params: Any
    at: int = 0
    stack: list[dict[str, Any]] = field(default_factory=list)
    components: int = 0
    conductions: int = 1


def oracle(
    ast: Tree,
    params: dict[str, Any],
    actions: Actions,
    *,
    evaluate: Evaluate | None = None,
    limit: int = 50,
) -> Outcome:
    """Return what stock makes of a composition.

    Args:
        ast: As authored, or lowered.
        params: Arguments of the invocation.
        actions: All that there are.
        evaluate: Runs inline functions; None: an engine of its own.
        limit: Actions in one composition or branch.
    """
    program = ast if "path" in ast else lower(ast)
    machine = Machine(compiled_states(program), actions, evaluate or Engine(Bounds(time_s=1.0)).evaluate, limit)
    result = machine.run(Thread(copy.deepcopy(params)))
    return Outcome(result, not _truthy(result.get("error")), machine.calls)


class Machine:
    """Steps a composition through its instructions."""

    def __init__(self, code: Code, actions: Actions, evaluate: Evaluate, limit: int) -> None:
        self._code = code
        self._actions = actions
        self._evaluate = evaluate
        self._limit = limit
        self.calls: list[tuple[str, Any]] = []

    def run(self, thread: Thread) -> dict[str, Any]:
        """Step from where a thread is to its end; return what its parameters are then."""
        try:
            while 0 <= thread.at < len(self._code):
                one = self._code[thread.at]
                here, thread.at = thread.at, thread.at + one.get("next", 1)
                getattr(self, f"_{one['type']}")(thread, one, here)
        except Over as over:
            return {"error": str(over)}
        params: dict[str, Any] = thread.params
        return params

    def _inspect(self, thread: Thread) -> None:
        """Box what is no object; unwind to the next handler if there is an error, at most to the branch's start."""
        if not isinstance(thread.params, dict):
            thread.params = {"value": thread.params}
        if "error" not in thread.params:
            return
        thread.params = {"error": thread.params["error"]}
        thread.at = -1
        while thread.stack and "marker" not in thread.stack[0]:
            frame = thread.stack.pop(0)
            if "catch" in frame:
                thread.at = frame["catch"]
                return

    def _pass(self, thread: Thread, one: Any, here: int) -> None:
        pass

    def _empty(self, thread: Thread, one: Any, here: int) -> None:
        self._inspect(thread)

    def _choice(self, thread: Thread, one: Any, here: int) -> None:
        thread.at = here + one["then" if _truthy(thread.params.get("value")) else "else"]

    def _try(self, thread: Thread, one: Any, here: int) -> None:
        thread.stack.insert(0, {"catch": here + one["catch"]})

    def _let(self, thread: Thread, one: Any, here: int) -> None:
        thread.stack.insert(0, {"let": copy.deepcopy(one["let"])})

    def _exit(self, thread: Thread, one: Any, here: int) -> None:
        thread.stack.pop(0)

    def _stop(self, thread: Thread, one: Any, here: int) -> None:
        thread.at = -1

    def _action(self, thread: Thread, one: Any, here: int) -> None:
        self._call(thread, one["name"], thread.params)

    def _dynamic(self, thread: Thread, one: Any, here: int) -> None:
        asked = thread.params
        args = asked.get("params", ...)
        if asked.get("type") != "action" or not isinstance(asked.get("name"), str) or not _is_object(args):
            thread.params = {"error": _DYNAMIC.format(one["parent"])}
            self._inspect(thread)
            return
        self._call(thread, asked["name"], args if isinstance(args, dict) else {"value": args})

    def _call(self, thread: Thread, name: str, args: dict[str, Any]) -> None:
        """Have the platform run an action; then the conductor, with what it came to."""
        thread.params = self._ran(thread, name, args)
        thread.conductions += 1
        if thread.conductions > 2 * self._limit + 1:
            raise Over(TOO_MANY)
        self._inspect(thread)

    def _ran(self, thread: Thread, name: str, args: dict[str, Any]) -> Any:
        full = resolve(name, NAMESPACE)
        if full is None:
            text = json.dumps(name, ensure_ascii=False)
            return {"error": f"Failed to parse action name from json value {text} during composition."}
        if thread.components >= self._limit:
            return {"error": TOO_MANY}
        act = self._actions.get(str(full).removeprefix(f"{NAMESPACE}/"))
        if act is None:
            return {"error": f"Failed to resolve action with name '{full}' during composition."}
        thread.components += 1
        self.calls.append((str(full), copy.deepcopy(args)))
        result = act(copy.deepcopy(args))
        return {"error": result["error"]} if isinstance(result, dict) and "error" in result else result

    def _function(self, thread: Thread, one: Any, here: int) -> None:
        cells: dict[str, dict[str, Any]] = {}  # name → the innermost frame in view that has it
        for frame in view_of(thread.stack):
            for name in frame:
                cells.setdefault(name, frame)
        outermost_first = {
            name: _json(cells[name][name]) for frame in reversed(view_of(thread.stack)) for name in frame
        }
        call = Call(
            namespace=NAMESPACE,
            code=one["code"],
            params=(_json(thread.params),),
            cells=outermost_first,
            path=one["parent"],
        )
        answer = self._evaluate(call)
        for name, value in answer.cells.items():
            cells[name][name] = json.loads(value)
        if answer.fault is Fault.INTERNAL:
            raise Over(answer.error)
        if answer.error is not None:
            thread.params = {"error": answer.error}
        elif answer.result is not None:
            thread.params = json.loads(answer.result)
        self._inspect(thread)

    def _async(self, thread: Thread, one: Any, here: int) -> None:
        self._branch(thread, here + 1, thread.params)
        thread.at = here + one["return"]
        thread.params = {"method": "async", "activationId": ID, "sessionId": ID}
        self._inspect(thread)

    def _parallel(self, thread: Thread, one: Any, here: int) -> None:
        self._join(thread, here + one["return"], [(here + at, dict(thread.params)) for at in one["tasks"]])

    def _map(self, thread: Thread, one: Any, here: int) -> None:
        items = thread.params.get("value")
        if not _truthy(items):
            items = []
        if not isinstance(items, list):
            thread.at = here + one["return"]
            thread.params = {"error": _PARALLEL.format(one["parent"])}
            self._inspect(thread)
            return
        boxed = [item if isinstance(item, dict) else {"value": item} for item in items]
        self._join(thread, here + one["return"], [(here + 1, item) for item in boxed])

    def _join(self, thread: Thread, then: int, branches: list[tuple[int, Any]]) -> None:
        thread.params = {"value": [self._branch(thread, at, params) for at, params in branches]}
        thread.at = then
        if branches:
            self._inspect(thread)

    def _branch(self, thread: Thread, at: int, params: Any) -> Any:
        stack = [{"marker": True}, *copy.deepcopy(thread.stack)]
        return self.run(Thread(copy.deepcopy(params), at, stack))


def view_of(stack: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the variables in view, innermost first: each mask hides the nearest scope that no other mask does."""
    found, masks = [], 0
    for frame in stack:
        if "let" not in frame:
            continue
        if frame["let"] is None:
            masks += 1
        elif masks:
            masks -= 1
        else:
            found.append(frame["let"])
    return found


def _truthy(value: Any) -> bool:
    """Return JavaScript's opinion of a JSON value."""
    return isinstance(value, dict | list) or bool(value)


def _is_object(value: Any) -> bool:
    """Return whether its `typeof` is "object"; a member that is missing (...) is none."""
    return value is None or isinstance(value, dict | list)


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
