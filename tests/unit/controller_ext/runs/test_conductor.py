from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, strategies as st

from controller_ext.entities.errors import Malformed
from controller_ext.entities.names import Name
from controller_ext.runs.conductor import (
    MAX_COMPONENTS,
    MAX_CONDUCTIONS,
    TOO_MANY,
    TRANSITIONS,
    Accounting,
    Command,
    Composition,
    Conduct,
    End,
    State,
    Step,
    resolve,
)
from controller_ext.runs.ports import Gap


def begun(content: bytes | None = b"{}", **defaults: Any) -> Composition:
    parameters = {name: json.dumps(value).encode() for name, value in defaults.items()}
    composition = Composition("guest", parameters, Accounting())
    assert composition.begin(content) == Conduct(content)
    return composition


def text(value: Any) -> bytes:
    return json.dumps(value).encode()


def value_of(command: Command) -> Any:
    """Return what a command carries, read."""
    raw = command.result if isinstance(command, End) else command.content
    return None if raw is None else json.loads(raw)


def stepping(**asked: Any) -> Composition:
    """Return a composition whose component `inc` runs."""
    composition = begun()
    assert isinstance(composition.conducted(0, text({"action": "inc", **asked})), Step)
    return composition


@pytest.mark.parametrize(
    ("action", "name"),
    [
        ("a", "guest/a"),
        ("p/a", "guest/p/a"),
        ("ns/p/a", "ns/p/a"),
        ("/ns/a", "ns/a"),
        ("/ns/p/a", "ns/p/a"),
        ("/_/a", "guest/a"),
        ("/_/p/a", "guest/p/a"),
        ("_/p/a", "guest/p/a"),
        ("_/a", "guest/_/a"),
        ("a b.c@d-e&f", "guest/a b.c@d-e&f"),
        ("/ns//a/", "ns/a"),
    ],
)
def test_names_of_components_are_resolved_as_in_stock(action: str, name: str):
    assert resolve(action, "guest") == Name.split(name)


@pytest.mark.parametrize(
    "action",
    [
        "",
        "/",
        "/a",
        "a/b/c/d",
        "/a/b/c/d",
        "bad#name",
        "/_/bad#name",
        " a",
        "a ",
        "x" * 257,
        42,
        None,
        True,
        [],
        {"a": 1},
    ],
)
def test_what_is_no_name_is_none(action: object):
    assert resolve(action, "guest") is None


@pytest.mark.parametrize(
    ("action", "shown"),
    [
        ("/_/bad#name", '"/_/bad#name"'),
        (42, "42"),
        (None, "null"),
        ({"a": [1, 2]}, '{"a":[1,2]}'),
        ("ö#", '"ö#"'),
    ],
)
def test_a_name_that_cannot_be_read_is_told_to_the_conductor(action: object, shown: str):
    composition = begun()
    command = composition.conducted(0, text({"action": action, "state": {"s": 1}}))
    error = f"Failed to parse action name from json value {shown} during composition."
    assert isinstance(command, Conduct)
    assert value_of(command) == {"error": error, "s": 1}


@pytest.mark.parametrize(
    ("asked", "content"),
    [
        ({"params": {"n": 1}}, {"n": 1}),
        ({"params": 42}, {"value": 42}),
        ({"params": None}, {"value": None}),
        ({"params": [1]}, {"value": [1]}),
        ({"params": "x"}, {"value": "x"}),
        ({}, None),
        ({"other": 1}, None),
    ],
)
def test_a_component_gets_the_params_boxed_if_they_are_no_object(asked: dict[str, Any], content: Any):
    command = begun().conducted(0, text({"action": "inc", **asked}))
    assert isinstance(command, Step)
    assert (str(command.name), value_of(command)) == ("guest/inc", content)


@pytest.mark.parametrize(
    ("result", "ended"),
    [
        ({"params": {"n": 1}, "z": 2}, {"n": 1}),
        ({"params": 42}, {"value": 42}),
        ({"params": None}, {"value": None}),
        ({"params": {"error": "x"}}, {"error": "x"}),
        ({"n": 1}, {"n": 1}),
        ({}, {}),
        ([1, 2], {"value": [1, 2]}),
    ],
)
@pytest.mark.parametrize("status", [0, 1, 2, 3])
def test_a_result_without_action_ends_the_composition_with_its_status(status: int, result: Any, ended: Any):
    command = begun().conducted(status, text(result))
    assert isinstance(command, End)
    assert (command.status, value_of(command)) == (status, ended)


def test_a_conductor_without_a_result_ends_the_composition_without_one():
    assert begun().conducted(3, None) == End(3, None)


@pytest.mark.parametrize(
    ("state", "handed_back"),
    [({"s": 1}, {"s": 1}), (42, {"state": 42}), (None, {"state": None}), ([1], {"state": [1]}), ({}, {})],
)
def test_the_state_comes_back_with_the_result_of_the_component(state: Any, handed_back: dict[str, Any]):
    command = stepping(state=state).ended(b'{"n": 2}')
    assert isinstance(command, Conduct)
    assert value_of(command) == {"n": 2, **handed_back}


def test_the_state_goes_over_the_result_and_both_over_the_defaults():
    composition = begun(a=1, b=1, c=1)
    composition.conducted(0, text({"action": "inc", "state": {"a": 3}}))
    assert value_of(composition.ended(b'{"a":2,"b":2}')) == {"a": 3, "b": 2, "c": 1}


def test_the_state_is_replaced_and_not_gathered():
    composition = stepping(state={"one": 1})
    composition.ended(b"{}")
    composition.conducted(0, text({"action": "inc", "state": {"two": 2}}))
    assert value_of(composition.ended(b"{}")) == {"two": 2}
    composition.conducted(0, text({"action": "inc"}))
    assert value_of(composition.ended(b"{}")) == {}


def test_an_array_from_a_component_is_boxed():
    assert value_of(stepping(state={"s": 1}).ended(b"[1]")) == {"value": [1], "s": 1}


def test_a_component_without_a_result_hands_on_the_defaults_alone():
    composition = begun(p=1)
    composition.conducted(0, text({"action": "inc", "state": {"s": 1}}))
    assert value_of(composition.ended(None)) == {"p": 1}


def test_the_failure_of_a_component_is_the_conductors_to_handle():
    assert value_of(stepping(state={"s": 1}).ended(b'{"error":"boom"}')) == {"error": "boom", "s": 1}


@pytest.mark.parametrize(
    ("gap", "error"),
    [
        (Gap.ABSENT, "Failed to resolve action with name 'guest/inc' during composition."),
        (Gap.OUT_OF_REACH, "Failed entitlement check for action with name 'guest/inc' during composition."),
    ],
)
def test_a_component_that_is_missing_is_told_to_the_conductor(gap: Gap, error: str):
    composition = stepping(state={"s": 1})
    assert value_of(composition.missing(gap)) == {"error": error, "s": 1}
    assert composition.accounting.components == 0


def test_a_run_without_result_in_time_ends_the_composition():
    for composition in (begun(), stepping()):
        command = composition.lost("id")
        error = "Timeout reached when retrieving activation id during composition."
        assert (command.status, value_of(command)) == (3, {"error": error})


def test_a_run_that_cannot_be_posted_ends_the_composition():
    command = begun().broken()
    assert (command.status, value_of(command)) == (3, {"error": "Activation failure during composition."})


def test_a_result_that_cannot_be_read_is_no_step():
    composition = begun()
    with pytest.raises(Malformed):
        composition.conducted(0, b'{"action": "\\ud800"}')
    assert composition.broken().status == 3


def test_as_many_components_run_as_a_sequence_may_have_and_the_next_is_told():
    composition = begun()
    for _ in range(MAX_COMPONENTS):
        assert isinstance(composition.conducted(0, text({"action": "inc"})), Step)
        assert isinstance(composition.ended(b"{}"), Conduct)
    command = composition.conducted(0, text({"action": "inc", "state": {"s": 1}}))
    assert isinstance(command, Conduct)
    assert value_of(command) == {"error": TOO_MANY, "s": 1}
    assert composition.conducted(0, b'{"n":1}') == End(0, b'{"n":1}')


def test_a_conductor_that_does_not_end_is_ended():
    composition = begun()
    command: Command = Conduct(b"{}")
    runs = 0
    while isinstance(command, Conduct):
        runs += 1
        command = composition.conducted(0, text({"action": 42}))
    assert runs == MAX_CONDUCTIONS == 101
    assert isinstance(command, End)
    assert (command.status, value_of(command)) == (1, {"error": TOO_MANY})


def test_a_composition_inside_shares_the_counters_and_does_not_count_itself():
    outer = stepping()
    inner = Composition("guest", {}, outer.accounting)
    inner.begin(b"{}")
    inner.conducted(0, text({"action": "inc"}))
    inner.ended(b"{}")
    inner.conducted(0, b"{}")
    outer.ended(b"{}", counts=False)
    assert (outer.accounting.components, outer.accounting.conductions) == (1, 4)


def test_every_state_has_its_transitions():
    assert set(TRANSITIONS) == set(State)
    over = begun()
    over.conducted(0, b"{}")
    with pytest.raises(ValueError, match="a composition that is over cannot become"):
        over.ended(b"{}")
    with pytest.raises(ValueError, match="over"):
        over.broken()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text('aé"\\/ {', max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abc"), inner, max_size=2),
    max_leaves=4,
)
members = st.fixed_dictionaries(
    {},
    optional={
        "action": st.sampled_from(["inc", "/_/inc", "#", 1, None]),
        "params": json_values,
        "state": json_values,
        "x": json_values,
    },
)


@given(
    results=st.lists(st.tuples(members, json_values), max_size=8),
    defaults=st.dictionaries(st.sampled_from("abc"), json_values, max_size=2),
)
def test_any_results_run_conductor_and_components_in_turn_as_the_rules_say(
    results: list[tuple[dict[str, Any], Any]], defaults: dict[str, Any]
):
    composition = begun(**defaults)
    for asked, result in results:
        command = composition.conducted(0, text(asked))
        params, kept = boxed(asked.get("params"), "value"), {}
        if "state" in asked:
            kept = boxed(asked["state"], "state")
        if "action" not in asked:
            assert isinstance(command, End)
            assert value_of(command) == (params if "params" in asked else asked)
            return
        if asked["action"] in ("inc", "/_/inc"):
            assert isinstance(command, Step)
            assert value_of(command) == (params if "params" in asked else None)
            command = composition.ended(text(result))
            expected = {**defaults, **boxed(result, "value"), **kept}
        else:
            shown = json.dumps(asked["action"])
            error = f"Failed to parse action name from json value {shown} during composition."
            expected = {**defaults, "error": error, **kept}
        assert isinstance(command, Conduct)
        assert value_of(command) == expected


def boxed(value: Any, name: str) -> dict[str, Any]:
    return value if isinstance(value, dict) else {name: value}


@given(asked=st.lists(st.sampled_from(["inc", "#", "gone"]), min_size=1, max_size=6))
def test_any_conductor_ends_within_its_counters(asked: list[str]):
    composition = begun()
    command: Command = Conduct(b"{}")
    at = conducted = stepped = 0
    while not isinstance(command, End):
        if isinstance(command, Conduct):
            conducted += 1
            command = composition.conducted(0, text({"action": asked[at % len(asked)]}))
            at += 1
        elif command.name.name == "gone":
            command = composition.missing(Gap.ABSENT)
        else:
            stepped += 1
            command = composition.ended(b"{}")
    assert conducted == MAX_CONDUCTIONS
    assert stepped <= MAX_COMPONENTS
    assert (command.status, value_of(command)) == (1, {"error": TOO_MANY})
