import pytest

from controller_ext.workflow.compile import compile_workflow
from controller_ext.workflow.errors import WorkflowInvalid
from controller_ext.workflow.native import parse
from controller_ext.workflow.nesting import MAX_NESTING, NestingResolver, SequenceEntity, WorkflowEntity
from invoker_ext.contract.graph import ActionCall, GraphKind, WorkflowCall
from tests.support.actions import an_action, loading


def workflow(name: str, *actions: str) -> WorkflowEntity:
    steps = ", ".join(f"s{n}: {{action: {action}}}" for n, action in enumerate(actions))
    return WorkflowEntity(name, "0.0.2", f"{{dataflow: 1, steps: {{{steps}}}, result: s0}}")


def test_a_workflow_in_a_workflow_is_compiled_at_its_own_place():
    entities = {"ns/p/inner": workflow("ns/p/inner", "leaf"), "ns/p/leaf": an_action("ns/p/leaf")}
    call = NestingResolver(loading(entities)).resolve("ns/p/inner")
    assert isinstance(call, WorkflowCall)
    assert (call.name, call.version, call.graph.kind) == ("ns/p/inner", "0.0.2", GraphKind.DATAFLOW)
    assert call.graph.steps[0].call == an_action("ns/p/leaf")


def test_each_entity_is_read_once():
    read: list[str] = []
    entities: dict[str, ActionCall | WorkflowEntity] = {
        "ns/two": workflow("ns/two", "one", "one"),
        "ns/one": workflow("ns/one", "leaf", "leaf"),
        "ns/leaf": an_action("ns/leaf"),
    }

    def load(name: str) -> ActionCall | WorkflowEntity | None:
        read.append(name)
        return entities.get(name)

    NestingResolver(load).resolve("ns/two")
    assert read == ["ns/two", "ns/one", "ns/leaf"]


@pytest.mark.parametrize("inside", [None, "ns/a"])
def test_a_workflow_that_contains_itself_is_refused_with_the_circle(inside):
    entities = {"ns/a": workflow("ns/a", "b"), "ns/b": workflow("ns/b", "a")}
    resolver = NestingResolver(loading(entities), inside=inside)
    with pytest.raises(WorkflowInvalid, match=r"contains itself: ns/. → ns/. → ns/."):
        compile_workflow(parse(entities["ns/a"].text), "ns", resolver)


def test_nesting_is_bounded():
    entities = {f"ns/w{n}": workflow(f"ns/w{n}", f"w{n + 1}") for n in range(MAX_NESTING + 2)}
    with pytest.raises(WorkflowInvalid, match="nest deeper than 16"):
        NestingResolver(loading(entities)).resolve("ns/w0")


def test_what_one_owner_reaches_is_not_kept_for_another():
    entities: dict[str, ActionCall | WorkflowEntity] = {
        "mine/w": workflow("mine/w", "/theirs/shared", "/theirs/private"),
        "theirs/shared": workflow("theirs/shared", "private"),
        "theirs/private": an_action("theirs/private"),
    }

    def load(name: str) -> ActionCall | WorkflowEntity | None:
        owner = (resolver.within or "mine").partition("/")[0]
        return None if name == "theirs/private" and owner != "theirs" else entities.get(name)

    resolver = NestingResolver(load)
    with pytest.raises(WorkflowInvalid, match="`/theirs/private`, which does not exist"):
        resolver.resolve("mine/w")


def test_what_is_missing_inside_is_named_with_the_way_to_it():
    entities = {"ns/s": SequenceEntity("ns/s", "0.0.1", ("/ns/w",)), "ns/w": workflow("ns/w", "gone", "lost")}
    resolver = NestingResolver(loading(entities))
    for _ in range(2):
        with pytest.raises(WorkflowInvalid) as caught:
            resolver.resolve("ns/s")
        assert "in /ns/w: steps.s0.action" in str(caught.value)
        assert "action `gone`" in str(caught.value)
        assert "(and 1 more)" in str(caught.value)


def test_a_missing_component_of_a_nested_sequence_shows_only_when_its_turn_comes():
    entities = {"ns/s": SequenceEntity("ns/s", "0.0.1", ("/ns/gone",))}
    assert isinstance(NestingResolver(loading(entities)).resolve("ns/s"), WorkflowCall)
