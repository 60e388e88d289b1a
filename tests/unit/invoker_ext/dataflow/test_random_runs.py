"""Random workflows, random orders of events: always the result of the sequential reference, and nothing left."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings, strategies as st

from invoker_ext.dataflow.events import Cancelled, Outcome
from invoker_ext.dataflow.states import TERMINAL
from tests.support.graphs import Workload, workloads
from tests.support.reference import RunFailed, evaluate
from tests.support.run_shell import RunShell, plain

RUNS = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


def expected(work: Workload) -> Any:
    try:
        return evaluate(work)
    except RunFailed:
        return None


@RUNS
@given(workloads(), st.integers(0, 2**32))
def test_a_run_has_the_result_of_the_reference_whatever_the_order_of_events(work, seed):
    shell = RunShell(work, seed)

    shell.run()

    assert shell.end is not None
    result = None
    if shell.end.outcome is Outcome.SUCCESS:
        result = {bound.name: plain(bound.value) for bound in shell.end.result}
    assert result == expected(work), shell.end.error


@settings(RUNS, max_examples=80)
@given(workloads(), st.integers(0, 2**32))
def test_a_run_over_several_hosts_has_it_too_whatever_is_lost_with_them(work, seed):
    shell = RunShell(work, seed, spans=True)

    shell.run()

    assert shell.end is not None
    if isinstance(shell.end.error, str) and "was lost with the host" in shell.end.error:
        return  # what made it must not be executed again
    result = None
    if shell.end.outcome is Outcome.SUCCESS:
        result = {bound.name: plain(bound.value) for bound in shell.end.result}
    assert result == expected(work), shell.end.error


@RUNS
@given(workloads(), st.integers(0, 2**32), st.integers(0, 40))
def test_a_run_that_is_cancelled_at_any_moment_ends_with_nothing_left(work, seed, moment):
    shell = RunShell(work, seed)
    shell.give(shell.started())
    for _ in range(moment):
        event = shell.next_event()
        if event is not None:
            shell.give(event)
    shell.give(Cancelled("enough", shell.at))

    while (event := shell.next_event()) is not None:
        shell.give(event)

    assert shell.end is not None
    for datum in shell.end.data:
        shell.release(datum)
    assert shell.machine.idle
    assert all(made.gone for made in shell.made)
    for firing in shell.firings:
        assert shell.machine.story(firing)[-1].after in TERMINAL
