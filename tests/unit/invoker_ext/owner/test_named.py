"""What a composition names by its data: plain actions from the store, all else by its controller."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from invoker_ext.contract.graph import Fault, WorkflowCall
from invoker_ext.door.compiled import NotCompiled
from invoker_ext.owner.actions import Program
from invoker_ext.owner.named import MAX_LEVELS, Naming, call_named
from invoker_ext.owner.naming import NotPlain
from tests.support.actions import an_action
from tests.support.containers import GUEST
from tests.support.graphs import graph, step, value

GRAPH = graph(step("a"), result=value("a"))
SEQUENCE = NotPlain("guest/seq")
DOC: Any = "doc"
DOCS: Any = {("a", None): DOC}
TOLD = {"name": "guest/seq", "version": "0.0.2", "graph": GRAPH.digest, "parameters": "{}"}


def a_run(told: Any = TOLD, found: Any = SEQUENCE, **spec: Any) -> Any:
    asked: list[Any] = []

    async def compiled(*what: Any) -> Any:
        asked.append(what)
        if isinstance(told, Exception):
            raise told
        return told

    program = Program(GRAPH, DOCS)
    actions = SimpleNamespace(named=lambda user, name: found, fetch_program=lambda digest, name, revision: program)
    fields = {"user": GUEST, "door": "/door", "level": 0, "naming": Naming(), **spec}
    host = SimpleNamespace(actions=actions, compile=compiled, asked=asked)
    return SimpleNamespace(host=host, spec=SimpleNamespace(**fields))


async def test_what_is_no_plain_action_is_compiled_by_the_controller_of_the_run():
    run = a_run()
    call, docs = await call_named(run, "seq")
    assert (call, docs) == (WorkflowCall("guest/seq", "0.0.2", GRAPH), DOCS)
    assert run.host.asked == [("/door", GUEST, "guest/seq")]


async def test_a_plain_action_needs_no_controller():
    call = an_action("a")
    run = a_run(found=(call, DOC))
    assert await call_named(run, "a") == (call, {(call.name, call.revision): DOC})
    assert run.host.asked == []


@pytest.mark.parametrize(
    ("run", "text"),
    [
        (
            a_run(NotCompiled()),
            "The controller could not be asked what an action that is named by data does; try again.",
        ),
        (a_run({"fault": "no"}), "no"),
        (a_run(found=Fault("nowhere")), "nowhere"),
        (a_run(door=None), "/guest/seq cannot be named by data in a run that was accepted before its controller"),
        (a_run(level=MAX_LEVELS), "Too many actions in the composition."),
        (a_run(naming=Naming(0)), "Too many actions in the composition."),
    ],
    ids=["away", "refused", "missing", "no door", "deep", "many"],
)
async def test_a_controller_that_is_away_is_told_to_who_names_by_data(run, text):
    call, docs = await call_named(run, "seq")
    assert isinstance(call, Fault)
    assert (call.error[: len(text)], docs) == (text, {})


async def test_so_many_runs_are_named_in_a_run_and_all_that_is_inside_it():
    run = a_run(naming=Naming(1))
    found = [(await call_named(run, "seq"))[0] for _ in range(2)]
    assert [type(one) for one in found] == [WorkflowCall, Fault]
