from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from controller_ext.runs import control_flow
from controller_ext.runs.conductor import MAX_COMPONENTS, MAX_CONDUCTIONS, TOO_MANY
from controller_ext.runs.ports import Accepted, Ended, Gap, MessageTooLarge, Needs, NoInvoker, Throttled
from invoker_ext.contract.messages import ActivationMessage
from tests.support.control_flow import NOW_MS, Bench, annotations_of
from tests.support.fake_invoker import a_record

Script = Callable[[dict[str, Any]], object]


def steps(*asked: dict[str, Any]) -> Script:
    """Return a conductor that asks for these one after the other and then ends with what it gets."""

    def script(given: dict[str, Any]) -> object:
        at = given.pop("$at", 0)
        return {**asked[at], "state": {"$at": at + 1}} if at < len(asked) else {"params": given}

    return script


def test_the_conductor_runs_before_and_after_each_component(bench: Bench):
    record = bench.compose(steps({"action": "a", "params": {"n": 1}}, {"action": "p/b", "params": {"n": 2}}))
    assert [one.action for one in bench.balancer.messages] == ["guest/c", "guest/a", "guest/c", "guest/p/b", "guest/c"]
    assert (record.status, record.result, record.size) == (0, b'{"n": 2}', None)
    assert list(record.logs) == [one.activation_id for one in bench.balancer.messages]
    assert len(set(record.logs)) == 5
    assert record.duration_ms == 25
    assert bench.records.written == [record]
    assert {one.cause for one in bench.balancer.messages} == {record.activation_id}


def test_runs_of_the_conductor_are_waited_for_a_minute_beyond_its_limit(bench: Bench):
    bench.compose(steps({"action": "a"}))
    assert bench.balancer.waits == [67.0, 120.0, 67.0]


def test_runs_of_the_conductor_are_components_of_the_composition(bench: Bench):
    record = bench.compose(steps())
    (message,) = bench.balancer.messages
    assert message.blocking
    assert message.transid == ["tid", NOW_MS, ["tid", 1_700_000_000_000]]
    assert message.activation_id != record.activation_id


def test_a_topmost_record_says_that_it_is_a_composition(bench: Bench):
    record = bench.compose(lambda given: {}, limits={"timeout": 1000, "logs": 1}, needs=Needs(memory_mb=512))
    found = annotations_of(record)
    assert list(found) == ["topmost", "path", "waitTime", "conductor", "kind", "limits"]
    assert (found["topmost"], found["path"], found["conductor"], found["kind"]) == (True, "guest/c", True, "sequence")
    assert found["limits"] == {"timeout": 1000, "memory": 512, "logs": 1, "concurrency": 1}
    assert record.cause is None


def test_the_memory_of_the_record_is_the_largest(bench: Bench):
    record = bench.compose(steps({"action": "a"}))
    assert annotations_of(record)["limits"]["memory"] == 256


def test_a_nested_composition_is_one_component_of_the_outer_one(bench: Bench):
    bench.conductors["guest/inner"] = steps({"action": "a"})
    outer = bench.compose(steps({"action": "inner", "params": {"n": 1}}))
    inner = bench.records.written[0]
    assert list(annotations_of(inner)) == ["path", "waitTime", "conductor", "kind", "limits", "causedBy", "topmost"]
    assert annotations_of(inner)["topmost"] is False
    assert (inner.cause, inner.duration_ms) == (outer.activation_id, 15)
    assert (len(outer.logs), outer.logs[1], outer.duration_ms) == (3, inner.activation_id, 25)


def test_a_sequence_in_a_composition_runs_as_it_says_and_one_in_a_sequence_by_control_flow(bench: Bench):
    bench.compose(steps({"action": "seq"}))
    assert bench.stepwise["guest/seq"] is False
    bench.run("guest/seq")
    assert bench.stepwise["guest/seq"] is True


@pytest.mark.parametrize(
    ("gap", "text"),
    [
        (Gap.ABSENT, b"Failed to resolve action with name 'guest/gone' during composition."),
        (Gap.OUT_OF_REACH, b"Failed entitlement check for action with name 'guest/gone' during composition."),
    ],
)
def test_a_component_that_is_missing_is_the_conductors_to_handle(bench: Bench, gap: Gap, text: bytes):
    bench.missing["guest/gone"] = gap
    record = bench.compose(lambda given: given if "error" in given else {"action": "gone"})
    assert (record.status, len(record.logs)) == (1, 2)
    assert text in (record.result or b"")


def test_a_component_whose_result_does_not_come_ends_the_composition_and_is_listed(bench: Bench):
    respond = bench.balancer.respond
    bench.balancer.respond = lambda message: Accepted("f" * 32) if message.action == "guest/a" else respond(message)
    record = bench.compose(steps({"action": "a"}))
    expected = f"Timeout reached when retrieving activation {'f' * 32} during composition."
    assert (record.status, record.result) == (3, b'{"error":"' + expected.encode() + b'"}')
    assert (len(record.logs), record.logs[1]) == (2, "f" * 32)


def test_a_conductor_whose_result_does_not_come_ends_the_composition_and_is_listed(bench: Bench):
    bench.balancer.respond = lambda message: Accepted(message.activation_id)
    record = bench.compose(steps())
    assert (record.status, len(record.logs)) == (3, 1)
    assert b"Timeout reached when retrieving activation" in (record.result or b"")


@pytest.mark.parametrize("error", [NoInvoker("nobody"), Throttled("too many"), MessageTooLarge("large")])
@pytest.mark.parametrize("action", ["guest/a", "guest/c"])
def test_a_run_that_cannot_be_posted_ends_the_composition(bench: Bench, action: str, error: Exception):
    respond = bench.balancer.respond

    def refuse(message: ActivationMessage) -> Accepted | Ended:
        if message.action == action:
            raise error
        return respond(message)

    bench.balancer.respond = refuse
    record = bench.compose(steps({"action": "a"}))
    assert (record.status, record.result) == (3, b'{"error":"Activation failure during composition."}')
    assert len(record.logs) == (1 if action == "guest/a" else 0)
    assert annotations_of(record)["limits"]["memory"] >= 128


def test_a_result_too_large_for_a_message_is_told_to_the_conductor(bench: Bench):
    respond = bench.balancer.respond

    def large(message: ActivationMessage) -> Accepted | Ended:
        if message.action == "guest/a":
            return Ended(replace(a_record(message), result=None), ("/door", "name", 5_000_000))
        return respond(message)

    bench.balancer.respond = large
    record = bench.compose(steps({"action": "a"}))
    assert record.status == 0
    assert b"The component guest/a produced a result of 5000000 bytes: too large" in (record.result or b"")


def test_a_failing_conductor_ends_the_composition_with_its_failure(bench: Bench):
    bench.balancer.respond = lambda message: Ended(a_record(message, result=b'{"error":"late"}', status=2))
    record = bench.compose(steps())
    assert (record.status, record.result, len(record.logs)) == (2, b'{"error":"late"}', 1)


def test_a_result_that_cannot_be_read_ends_the_composition(bench: Bench):
    bench.balancer.respond = lambda message: Ended(a_record(message, result=b'{"action":"\\ud800"}'))
    record = bench.compose(steps())
    assert (record.status, record.result) == (3, b'{"error":"Activation failure during composition."}')


def test_an_endless_conductor_has_as_many_runs_as_stock_gives_it(bench: Bench):
    record = bench.compose(lambda given: {"action": "a"})
    assert (record.status, record.result) == (1, b'{"error":"%s"}' % TOO_MANY.encode())
    assert len(record.logs) == MAX_CONDUCTIONS + MAX_COMPONENTS == 151


def recursive(depth: int) -> Script:
    """Return a conductor that asks for itself so many times, each inside the other."""

    def script(given: dict[str, Any]) -> object:
        if given.get("$back") or given["depth"] >= depth:
            return {"params": {"depth": given["depth"], **({"error": given["error"]} if "error" in given else {})}}
        return {"action": "c", "params": {"depth": given["depth"] + 1}, "state": {"$back": True}}

    return script


def test_a_conductor_may_ask_for_itself_as_deep_as_its_counters_reach(bench: Bench):
    record = bench.compose(recursive(MAX_COMPONENTS), b'{"depth":0}')
    assert (record.status, record.result) == (0, b'{"depth": 50}')
    assert len(bench.balancer.messages) == MAX_CONDUCTIONS


def test_a_conductor_that_asks_for_itself_too_deep_is_ended(bench: Bench):
    record = bench.compose(recursive(MAX_COMPONENTS + 1), b'{"depth":0}')
    assert TOO_MANY.encode() in (record.result or b"")
    assert len(bench.balancer.messages) == MAX_CONDUCTIONS


def test_conductors_inside_share_the_counters(bench: Bench):
    bench.conductors["guest/half"] = steps(*[{"action": "a", "params": {}}] * (MAX_COMPONENTS // 2))
    record = bench.compose(steps({"action": "half"}, {"action": "half"}, {"action": "half"}))
    assert TOO_MANY.encode() in (record.result or b"")
    assert sum(one.action == "guest/a" for one in bench.balancer.messages) == MAX_COMPONENTS


def test_a_sequence_in_a_composition_counts_once_and_has_counters_of_its_own(bench: Bench):
    bench.sequences["guest/fifty"] = ("guest/a",) * MAX_COMPONENTS
    record = bench.compose(steps({"action": "fifty"}, {"action": "fifty"}))
    assert (record.status, len(record.logs), record.duration_ms) == (0, 5, 5 * (3 + 2 * MAX_COMPONENTS))


def test_a_composition_in_a_sequence_counts_once_and_has_counters_of_its_own(bench: Bench):
    bench.conductors["guest/c"] = steps(*[{"action": "a", "params": {}}] * MAX_COMPONENTS)
    record = bench.run("guest/c", "guest/c", *["guest/a"] * (MAX_COMPONENTS - 2))
    assert (record.status, len(record.logs)) == (0, MAX_COMPONENTS)
    inner = bench.records.written[0]
    assert (inner.cause, len(inner.logs)) == (record.activation_id, 2 * MAX_COMPONENTS + 1)
    assert annotations_of(inner)["causedBy"] == "sequence"
    over = bench.run(*["guest/c"] * (MAX_COMPONENTS + 1))
    assert (over.status, over.result) == (1, b'{"error":"Too many actions in the sequence."}')


def test_sequences_and_compositions_that_contain_each_other_end(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    bench.sequences["guest/seq"] = ("guest/c",)
    record = bench.compose(steps({"action": "seq"}))
    assert b"Too many actions in the" in (record.result or b"")
    assert len(bench.records.written) == control_flow.MAX_NESTING + 1
    monkeypatch.setattr(control_flow, "MAX_RUNS", 500)
    bench.balancer.messages.clear()
    record = bench.compose(lambda given: {"action": "seq"})
    assert record.status == 1
    assert len(bench.balancer.messages) <= 500


def test_a_throttled_caller_starts_no_composition(bench: Bench):
    bench.balancer.throttled = True
    with pytest.raises(Throttled):
        bench.compose(steps())
    assert bench.balancer.messages == []


def test_a_sequence_that_no_invoker_takes_runs_by_control_flow_too(bench: Bench):
    bench.fallbacks["guest/seq"] = ("guest/a", "guest/b")
    outer = bench.compose(steps({"action": "seq", "params": {"n": 1}}))
    inner = bench.records.written[0]
    assert (inner.name, len(inner.logs), inner.result) == ("seq", 2, b'{"n": 1}')
    assert outer.logs[1] == inner.activation_id
    assert outer.status == 0
