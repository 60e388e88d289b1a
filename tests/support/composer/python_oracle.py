"""What a program of Composer for Python comes to in a fresh container: its derived combinators, and its rules.

Functions are run as the Python that they are; variables are those of the program itself until an action is called.
"""

from __future__ import annotations

import copy
from typing import Any, Final

from hypothesis import strategies as st

from tests.support.composer import trees
from tests.support.composer.in_python import function
from tests.support.composer.oracle import Actions, Machine, Outcome, Over, Thread, view_of
from tests.support.composer.programs import ACTIONS
from tests.support.composer.states import compiled_states
from tests.support.composer.trees import Tree

# The functions that lowering puts in: their texts are part of what is deployed.
SAVE: Final = function("set_params", "def set_params(env, args):\n    env['params'] = args\n")
LOAD: Final = function("get_params", "def get_params(env, args):\n    return env['params']\n")
PACK: Final = function(
    "retain_result", "def retain_result(env, args):\n    return { 'params': env['params'], 'result': args }\n"
)
COUNTDOWN: Final = function(
    "dec_count", "def dec_count(env, args):\n    c = env['count']\n    env['count'] -= 1\n    return c > 0\n"
)
UNNEST: Final = function(
    "retain_nested_result",
    "def retain_nested_result(env, args):\n"
    "    return { 'params': args['params'], 'result': args['result']['result'] }\n",
)
NEST: Final = function("set_nested_params", "def set_nested_params(env, args):\n    return { 'params': args }\n")
TAKE_PARAMS: Final = function("get_nested_params", "def get_nested_params(env, args):\n    return args['params']\n")
WRAP: Final = function("set_nested_result", "def set_nested_result(env, args):\n    return { 'result': args }\n")
TAKE_RESULT: Final = function("get_nested_result", "def get_nested_result(env, args):\n    return args['result']\n")
AGAIN: Final = function(
    "retry_cond",
    "def retry_cond(env, args):\n    result = args['result']\n    count = env['count']\n    env['count'] -= 1\n"
    "    return 'error' in result and count > 0\n",
)
VALUE: Final = function("get_value", "def get_value(env, args):\n    return env['value']\n")
HELPERS: Final = (SAVE, LOAD, PACK, COUNTDOWN, UNNEST, NEST, TAKE_PARAMS, WRAP, TAKE_RESULT, AGAIN, VALUE)


def _node(kind: str, **parts: Any) -> Tree:
    return {"type": kind, **{name: seq() if one is None else one for name, one in parts.items()}}


def seq(*parts: Tree) -> Tree:
    """Return one after the other."""
    return {"type": "sequence", "components": list(parts)}


def mask(*parts: Tree) -> Tree:
    """Return parts that do not see the nearest variables."""
    return {"type": "mask", "components": list(parts)}


def let(declarations: dict[str, Any], *parts: Tree) -> Tree:
    """Return a scope of variables."""
    return {"type": "let", "declarations": declarations, "components": list(parts)}


def do(body: Tree, handler: Tree) -> Tree:
    """Return a body and what takes its error."""
    return _node("do", body=body, handler=handler)


def ensure(body: Tree, finalizer: Tree) -> Tree:
    """Return a body and what comes after it in any case."""
    return _node("ensure", body=body, finalizer=finalizer)


def when_nosave(test: Tree, consequent: Tree, alternate: Tree | None = None) -> Tree:
    """Return a choice whose parts get what the test results in."""
    return _node("when_nosave", test=test, consequent=consequent, alternate=alternate)


def when(test: Tree, consequent: Tree, alternate: Tree | None = None) -> Tree:
    """Return a choice whose parts get the parameters."""
    yes, no = ensure(LOAD, mask(consequent)), ensure(LOAD, mask(alternate or seq()))
    return let({"params": None}, SAVE, ensure(SAVE, when_nosave(mask(test), yes, no)))


def loop_nosave(test: Tree, body: Tree) -> Tree:
    """Return a loop in which each part gets what the one before results in."""
    return _node("loop_nosave", test=test, body=body)


def doloop_nosave(body: Tree, test: Tree) -> Tree:
    """Return the same, with the test at its end."""
    return _node("doloop_nosave", body=body, test=test)


def loop(test: Tree, body: Tree) -> Tree:
    """Return a loop whose body gets the parameters, then what it resulted in."""
    again = ensure(LOAD, seq(mask(body), SAVE))
    return let({"params": None}, ensure(SAVE, seq(loop_nosave(mask(test), again), LOAD)))


def doloop(body: Tree, test: Tree) -> Tree:
    """Return the same, with the test at its end."""
    again = ensure(LOAD, seq(mask(body), SAVE))
    return let({"params": None}, ensure(SAVE, seq(doloop_nosave(again, mask(test)), LOAD)))


def repeat(count: int, *parts: Tree) -> Tree:
    """Return parts that run so often."""
    return let({"count": count}, loop(COUNTDOWN, mask(*parts)))


def retain(*parts: Tree) -> Tree:
    """Return parts whose result stands beside their parameters."""
    return let({"params": None}, ensure(SAVE, seq(mask(*parts), PACK)))


def retain_catch(*parts: Tree) -> Tree:
    """Return the same, also of an error."""
    return seq(retain(ensure(seq(*parts), WRAP)), UNNEST)


def retry(count: int, *parts: Tree) -> Tree:
    """Return parts that run again so often if they fail."""
    body = ensure(TAKE_PARAMS, mask(retain_catch(*parts)))
    return let({"count": count}, NEST, doloop(body, AGAIN), TAKE_RESULT)


def literal(value: Any) -> Tree:
    """Return what results in a value."""
    return let({"value": value}, VALUE)


def programs() -> st.SearchStrategy[Tree]:
    """Return programs of a few actions; what does not end by itself ends by the number of actions."""
    leaves = st.sampled_from((*ACTIONS, "nosuch")).map(trees.action) | st.sampled_from(
        (None, 0, 1, "", [], [1], {}, {"n": 3}, {"value": []}, {"value": {}}, {"value": [0]})
    ).map(literal)
    return st.recursive(leaves, _around, max_leaves=8)


def _around(inner: st.SearchStrategy[Tree]) -> st.SearchStrategy[Tree]:
    some, counts = st.lists(inner, max_size=3), st.integers(-1, 3)
    tests = st.builds(lambda one, name: seq(one, trees.action(name)), inner, st.sampled_from(("parity", "echo")))
    return st.one_of(
        st.builds(lambda kind, parts: kind(*parts), st.sampled_from((seq, mask, retain, retain_catch)), some),
        st.builds(lambda kind, one, two: kind(one, two), st.sampled_from((do, ensure)), inner, inner),
        st.builds(lambda kind, test, body: kind(test, body), st.sampled_from((loop, loop_nosave)), tests, inner),
        st.builds(lambda kind, test, body: kind(body, test), st.sampled_from((doloop, doloop_nosave)), tests, inner),
        st.builds(
            lambda kind, test, yes, no: kind(test, yes, no),
            st.sampled_from((when, when_nosave)), inner, inner, st.none() | inner,
        ),
        st.builds(lambda kind, count, parts: kind(count, *parts), st.sampled_from((repeat, retry)), counts, some),
    )  # fmt: skip


def oracle(program: Tree, params: dict[str, Any], actions: Actions) -> Outcome:
    """Return what the conductor makes of a program, the first time that its container runs it."""
    machine = _Machine(compiled_states(_renamed(copy.deepcopy(program))), actions, _unused, 50)
    result = machine.run(Thread(copy.deepcopy(params)))
    return Outcome(result, "error" not in result, machine.calls)


_NAMES: Final = {
    "when_nosave": "if_nosave", "loop_nosave": "while_nosave", "doloop_nosave": "dowhile_nosave",
    "do": "try", "ensure": "finally",
}  # fmt: skip


def _renamed(tree: Any) -> Any:
    """Return a program under the names that stock's compiler here has; both make the same instructions."""
    if isinstance(tree, list):
        return [_renamed(one) for one in tree]
    if not isinstance(tree, dict):
        return tree
    if tree.get("type") == "function":
        return tree
    return {
        name: one if name == "declarations" else _NAMES.get(one, one) if name == "type" else _renamed(one)
        for name, one in tree.items()
    }


def _unused(call: Any) -> Any:
    raise AssertionError("Python is run by the oracle itself")


class _Machine(Machine):
    def _choice(self, thread: Thread, one: Any, here: int) -> None:
        if "value" not in thread.params:
            raise Over("no value")
        thread.at = here + one["then" if thread.params["value"] else "else"]

    def _let(self, thread: Thread, one: Any, here: int) -> None:
        thread.stack.insert(0, {"let": one["let"]})

    def _ran(self, thread: Thread, name: str, args: dict[str, Any]) -> Any:
        thread.stack = copy.deepcopy(thread.stack)
        return super()._ran(thread, name, args)

    def _function(self, thread: Thread, one: Any, here: int) -> None:
        frames = view_of(thread.stack)
        env = {name: value for frame in reversed(frames) for name, value in frame.items()}
        space: dict[str, Any] = {}
        exec(one["code"], space)
        [run] = [value for value in space.values() if callable(value)]
        try:
            result = run(env, thread.params)
        except (KeyError, TypeError):
            place = one["parent"]
            result = {"error": f"Function combinator threw an exception at AST node root{place} (see log for details)"}
        finally:
            for name, value in env.items():
                holder = next((frame for frame in frames if name in frame), None)
                if holder is not None:
                    holder[name] = value
        thread.params = thread.params if result is None else result
        self._inspect(thread)
