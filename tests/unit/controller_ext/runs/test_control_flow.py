from __future__ import annotations

from dataclasses import replace

import pytest

from controller_ext.runs.ports import Accepted, Ended, Gap, NoInvoker, SequenceRun, Throttled
from controller_ext.workflow.sequence import MAX_ACTIONS
from invoker_ext.contract.messages import ActivationMessage
from tests.support.control_flow import Bench, annotations_of
from tests.support.fake_invoker import a_record
from tests.support.messages import a_message


def test_each_component_gets_the_result_of_the_one_before(bench: Bench):
    bench.balancer.respond = lambda message: Ended(
        a_record(message, result=b'{"by":"' + message.action.encode() + b'"}')
    )
    record = bench.run("guest/a", "guest/b")
    assert [message.content for message in bench.balancer.messages] == [b'{"n":1}', b'{"by":"guest/a"}']
    assert (record.status, record.result) == (0, b'{"by":"guest/b"}')


def test_the_record_lists_the_components_and_adds_up_their_durations(bench: Bench):
    record = bench.run("guest/a", "guest/b", "guest/c")
    assert list(record.logs) == [message.activation_id for message in bench.balancer.messages]
    assert record.duration_ms == 15
    assert bench.records.written == [record]


def test_a_topmost_record_has_stocks_annotations_in_stocks_order(bench: Bench):
    record = bench.run("guest/a")
    assert list(annotations_of(record)) == ["topmost", "path", "waitTime", "kind", "limits"]
    assert annotations_of(record)["topmost"] is True
    assert annotations_of(record)["waitTime"] == 500
    assert annotations_of(record)["limits"] == {"timeout": 60000, "memory": 256, "logs": 10, "concurrency": 1}
    assert record.cause is None


def test_a_nested_record_names_its_cause_and_ends_with_topmost(bench: Bench):
    bench.sequences["guest/inner"] = ("guest/a",)
    outer = bench.run("guest/inner", "guest/b")
    inner = bench.records.written[0]
    assert list(annotations_of(inner)) == ["path", "waitTime", "kind", "limits", "causedBy", "topmost"]
    assert annotations_of(inner)["topmost"] is False
    assert inner.cause == outer.activation_id
    assert outer.logs[0] == inner.activation_id
    assert outer.duration_ms == 10


def test_components_may_take_a_minute_beyond_their_limit(bench: Bench):
    bench.run("guest/a")
    assert bench.balancer.waits == [120.0]


@pytest.mark.parametrize("status", [1, 2, 3])
def test_a_failure_stops_the_sequence_with_the_components_response(bench: Bench, status: int):
    bench.balancer.respond = lambda message: Ended(a_record(message, result=b'{"error":"boom"}', status=status))
    record = bench.run("guest/a", "guest/b")
    assert (record.status, record.result, record.size) == (status, b'{"error":"boom"}', 2)
    assert len(record.logs) == 1


def test_an_error_in_what_the_sequence_is_given_does_not_stop_it(bench: Bench):
    assert bench.run("guest/a", content=b'{"error":"x"}').status == 0


def test_a_component_that_is_gone_is_an_application_error(bench: Bench):
    bench.missing["guest/b"] = Gap.ABSENT
    record = bench.run("guest/a", "guest/b", "guest/c")
    assert (record.status, record.result) == (1, b'{"error":"Sequence component does not exist."}')
    assert len(record.logs) == 1


def test_a_record_without_components_has_no_limits(bench: Bench):
    bench.missing["guest/a"] = Gap.OUT_OF_REACH
    assert "limits" not in annotations_of(bench.run("guest/a"))


def test_a_component_whose_result_does_not_come_is_a_platform_error(bench: Bench):
    bench.balancer.respond = lambda message: Accepted("f" * 32)
    record = bench.run("guest/a")
    expected = f"Timeout reached when retrieving activation {'f' * 32} for sequence component."
    assert (record.status, record.result) == (3, b'{"error":"' + expected.encode() + b'"}')


@pytest.mark.parametrize(("status", "told"), [(0, 1), (1, 1), (3, 3)])
def test_a_result_too_large_for_a_message_ends_the_sequence_and_says_so(bench: Bench, status: int, told: int):
    bench.balancer.respond = lambda message: Ended(
        replace(a_record(message, status=status), result=None), ("/door", "name", 5_000_000)
    )
    record = bench.run("guest/a", "guest/b")
    assert record.status == told
    assert b"The component guest/a produced a result of 5000000 bytes: too large" in (record.result or b"")
    assert len(record.logs) == 1


def test_any_other_failure_is_a_platform_error(bench: Bench):
    def refuse(message: ActivationMessage) -> Accepted | Ended:
        raise NoInvoker("nobody")

    bench.balancer.respond = refuse
    record = bench.run("guest/a")
    assert (record.status, record.result) == (3, b'{"error":"Sequence failed."}')


def test_an_outage_of_the_store_costs_records_and_no_results(bench: Bench, caplog: pytest.LogCaptureFixture):
    bench.records.away = True
    bench.sequences["guest/inner"] = ("guest/a",)
    record = bench.run("guest/inner", "guest/b")
    assert (record.status, record.result) == (0, b'{"n":1}')
    assert [one.message for one in caplog.records] == ["sequence or composition has no record"] * 2


def test_nested_sequences_share_one_budget_of_actions(bench: Bench):
    bench.sequences["guest/fifty"] = ("guest/a",) * MAX_ACTIONS
    outer = bench.run("guest/a", "guest/fifty", "guest/a")
    inner = bench.records.written[0]
    assert (outer.status, outer.result) == (1, b'{"error":"Too many actions in the sequence."}')
    assert (len(outer.logs), len(inner.logs)) == (2, MAX_ACTIONS - 1)


def test_a_throttled_caller_starts_nothing(bench: Bench):
    bench.balancer.throttled = True
    with pytest.raises(Throttled):
        bench.run("guest/a")
    assert bench.balancer.messages == []


def test_the_sequences_own_limits_and_binding_are_in_its_record(bench: Bench):
    message = replace(a_message("guest/seq"), binding="guest/bound")
    sequence = SequenceRun(message=message, components=("guest/a",), limits={"timeout": 1000, "logs": 1})
    ended = bench.flow.run(sequence, wait_s=5.0)
    assert isinstance(ended, Ended)
    found = annotations_of(ended.activation)
    assert found["limits"] == {"timeout": 1000, "memory": 256, "logs": 1, "concurrency": 1}
    assert found["binding"] == "guest/bound"
