"""The pool's decisions, one a test."""

from invoker_ext.containers.commands import Initialise, Refuse, Remove, Run, Start, Throttle, WakeAt
from invoker_ext.containers.events import (
    ActionKey,
    Drained,
    Freed,
    Gone,
    Hinted,
    Initialised,
    Need,
    Returned,
    SinkBlocked,
    Started,
    Submitted,
    Tick,
    Withdrawn,
)
from invoker_ext.containers.job import Warmth
from invoker_ext.containers.limits import PoolLimits
from invoker_ext.containers.pool import Pool
from invoker_ext.contract.manifest import Reactive


def need(action="a", memory_mb=256, namespace="guest", concurrency=1):
    return Need(ActionKey(namespace, f"guest/{action}", "1-1", "0.0.1", None), "python", memory_mb, concurrency)


class Driven:
    """A pool and a clock."""

    def __init__(self, stems=None, reactive=None, **limits):
        limits = {"memory_mb": 512, "cores": 2, "extra_memory_mb": 0, **limits}
        self.pool = Pool(PoolLimits(**limits), stems, reactive)
        self.at = 10.0
        self.tickets = 0

    def tell(self, kind, *args, **kwargs):
        return [one for one in self.pool.handle(kind(*args, **kwargs, at=self.at)) if not isinstance(one, WakeAt)]

    def submit(self, which=None, run="r"):
        self.tickets += 1
        return self.tell(Submitted, self.tickets, which or need(), run)

    def warm(self, which=None):
        """Bring up a container for an action and let one job run on it, drained."""
        (start,) = self.submit(which)
        number = start.container
        self.tell(Started, number)
        self.tell(Initialised, number)
        self.tell(Returned, number, True, 0.0)
        self.tell(Drained, number, 0)
        return number


def test_the_first_job_of_an_action_starts_a_container_at_once():
    driven = Driven()
    assert driven.submit() == [Start(1, "python", 256, "guest")]
    assert driven.tell(Started, 1) == [Run(1, 1, Warmth.COLD)]


def test_an_idle_container_of_the_action_is_used_before_all_others():
    driven = Driven()
    number = driven.warm()
    assert driven.submit() == [Run(number, 2, Warmth.WARM)]


def test_containers_are_not_shared_between_namespaces():
    driven = Driven()
    driven.warm()
    assert driven.submit(need(namespace="other")) == [Start(2, "python", 256, "other")]


def test_a_spare_of_the_runtime_and_size_saves_the_start():
    driven = Driven(stems={("python", 256): 1}, memory_mb=1024)
    driven.pool.open(driven.at)
    driven.tell(Started, 1)
    assert driven.submit() == [Run(1, 1, Warmth.PREWARM), Start(2, "python", 256, None)]


def following(min_count=1, max_count=3, increment=2, ttl_s=150.0):
    """Return a pool with one stem cell, up, whose number follows cold starts."""
    reactive = Reactive(min_count=min_count, max_count=max_count, ttl_s=ttl_s, threshold=2, increment=increment)
    kind = ("python", 256)
    driven = Driven(stems={kind: 1}, reactive={kind: reactive}, memory_mb=4096)
    assert driven.pool.open(driven.at) == [WakeAt(70.0), Start(1, "python", 256, None)]
    driven.tell(Started, 1)
    return driven


def test_cold_starts_since_the_last_check_call_for_more_stem_cells():
    driven = following()
    driven.submit(need("a"))  # has the stem cell, whose successor is not up yet
    driven.submit(need("b"))
    driven.submit(need("c"))
    driven.submit(need("d", memory_mb=128))  # of another size
    driven.at += 59
    assert driven.tell(Tick) == []

    driven.at += 1

    assert driven.tell(Tick) == [Start(6, "python", 256, None)]


def test_stem_cells_are_no_more_than_the_manifest_allows():
    driven = following()
    for action in "abcdefghi":
        driven.submit(need(action))
    driven.at += 60

    starts = driven.tell(Tick)

    assert [one.namespace for one in starts] == [None, None]  # two beside the successor


def test_stem_cells_above_the_number_go_when_nobody_has_used_them_for_their_time():
    driven = following()
    for action in "abc":
        driven.submit(need(action))
    driven.at += 60
    for start in driven.tell(Tick):
        driven.tell(Started, start.container)
    driven.tell(Started, 2)
    driven.at += 60
    assert driven.tell(Tick) == []  # one is wanted again, two are there

    driven.at += 90

    removed = driven.tell(Tick)
    assert [type(one) for one in removed] == [Remove]
    driven.at += 1000
    assert driven.tell(Tick) == []


def test_without_a_smallest_number_all_stem_cells_go_in_the_end():
    driven = following(min_count=0)
    driven.at += 60
    assert driven.tell(Tick) == []
    driven.at += 90
    assert driven.tell(Tick) == [Remove(1)]


def test_the_check_comes_by_itself_as_long_as_the_pool_is_open():
    driven = following()
    driven.at += 60
    assert WakeAt(driven.at + 60) in driven.pool.handle(Tick(driven.at))


def test_a_returned_container_takes_the_next_job_while_outputs_leave():
    driven = Driven()
    number = driven.warm()
    driven.submit()
    driven.submit()
    assert driven.tell(Returned, number, True, 0.0) == [Run(number, 3, Warmth.WARM)]


def test_no_more_than_the_allowed_firings_are_undrained_at_once():
    driven = Driven(undrained=1)
    number = driven.warm()
    driven.submit()
    driven.submit()
    assert driven.tell(Returned, number, True, 0.0) == []
    assert driven.tell(Drained, number, 0) == [Run(number, 3, Warmth.WARM)]


def test_short_functions_queue_in_front_of_a_warm_container():
    driven = Driven()
    number = driven.warm()
    for _ in range(5):
        driven.at += 0.001
        driven.submit()
        driven.tell(Returned, number, True, 0.0)
        driven.tell(Drained, number, 0)
    driven.submit()
    assert driven.submit() == []


def test_long_functions_get_another_container():
    driven = Driven()
    (start,) = driven.submit()
    driven.at += 0.05
    driven.tell(Started, start.container)
    driven.tell(Initialised, start.container)
    driven.at += 5.0
    driven.tell(Returned, start.container, True, 0.0)
    driven.submit()
    assert driven.submit() == [Start(2, "python", 256, "guest")]


def test_a_job_that_waited_as_long_as_a_start_takes_gets_another_container():
    driven = Driven()
    driven.warm()
    driven.submit()
    assert driven.submit() == []
    driven.at += 0.5
    assert driven.tell(Tick) == [Start(2, "python", 256, "guest")]


def test_more_containers_are_not_started_for_functions_that_wait_for_the_cores():
    driven = Driven(cores=1, memory_mb=4096)
    number = driven.warm()
    lane = driven.pool.lanes[need().key]
    lane.function_s, lane.calm_s = 0.9, 0.3
    driven.submit()
    driven.at += 0.9
    assert driven.submit() == []
    assert driven.tell(Returned, number, True, 0.0) == [Run(number, 3, Warmth.WARM)]


def test_a_queue_that_stands_still_gets_another_container_whatever_its_functions_seem_to_do():
    driven = Driven(cores=1, memory_mb=4096)
    driven.warm()
    lane = driven.pool.lanes[need().key]
    lane.function_s, lane.calm_s = 0.9, 0.3
    driven.submit()
    assert driven.submit() == []
    driven.at += 1.5
    assert driven.tell(Tick) == [Start(2, "python", 256, "guest")]


def test_the_least_recently_used_idle_container_goes_for_another_action():
    driven = Driven()
    first = driven.warm(need("a"))
    driven.at += 1
    driven.warm(need("b"))
    assert driven.submit(need("c")) == [Remove(first)]
    assert driven.tell(Gone, first) == [Start(3, "python", 256, "guest")]


def test_a_container_that_keeps_inputs_goes_first():
    driven = Driven()
    driven.warm(need("a"))
    driven.at += 1
    second = driven.warm(need("b"))
    driven.pool.handle(Freed(second, 4096))
    assert driven.submit(need("c")) == [Remove(second)]


def test_an_undrained_container_is_never_evicted():
    driven = Driven(memory_mb=256)
    number = driven.warm()
    driven.submit()
    driven.tell(Returned, number, True, 0.0)
    assert driven.submit(need("b")) == []
    assert driven.tell(Drained, number, 0) == [Remove(number)]


def test_a_container_in_doubt_goes_once_it_is_drained():
    driven = Driven()
    number = driven.warm()
    driven.submit()
    assert driven.tell(Returned, number, False, 0.0) == []
    assert driven.tell(Drained, number, 0) == [Remove(number)]


def test_a_busy_action_yields_to_one_that_has_waited_long_enough():
    driven = Driven(memory_mb=256, pass_s=1.0)
    number = driven.warm()
    driven.submit()
    driven.submit()
    driven.submit(need("b"))
    driven.at += 0.5
    assert driven.tell(Returned, number, True, 0.0) == [Run(number, 3, Warmth.WARM)]
    driven.submit()
    driven.at += 1.0
    driven.tell(Drained, number, 0)
    assert driven.tell(Returned, number, True, 0.0) == []
    assert driven.tell(Drained, number, 0) == [Remove(number)]
    assert driven.tell(Gone, number) == [Start(2, "python", 256, "guest")]


def test_the_namespace_that_has_least_gets_the_next_memory():
    driven = Driven(memory_mb=512)
    driven.submit(need("a", namespace="rich"))
    driven.submit(need("b", namespace="rich"))
    driven.submit(need("c", namespace="rich"))
    driven.submit(need("d", namespace="poor"))
    driven.tell(Started, 1)
    driven.tell(Initialised, 1)
    driven.tell(Returned, 1, True, 0.0)
    assert driven.tell(Drained, 1, 0) == [Remove(1)]
    assert driven.tell(Gone, 1) == [Start(3, "python", 256, "poor")]


def test_pressure_delays_reuse_and_asks_for_another_container():
    driven = Driven(memory_mb=512)
    number = driven.warm()
    driven.submit()
    driven.submit()
    assert driven.tell(Returned, number, True, 0.5) == [Start(2, "python", 256, "guest")]
    driven.at += 0.6
    assert driven.tell(Tick) == [Run(number, 3, Warmth.WARM)]


def test_pressure_throttles_where_there_is_no_room_to_scale():
    driven = Driven(memory_mb=256)
    number = driven.warm()
    driven.submit()
    driven.submit()
    assert driven.tell(Returned, number, True, 0.5) == [Throttle(number, True)]
    assert driven.tell(Drained, number, 0) == [Throttle(number, False), Run(number, 3, Warmth.WARM)]


def test_pressure_can_be_switched_off():
    driven = Driven(memory_mb=256, pressure=False)
    number = driven.warm()
    driven.submit()
    driven.submit()
    assert driven.tell(Returned, number, True, 0.5) == [Run(number, 3, Warmth.WARM)]


def test_consumers_of_blocked_producers_get_memory_beyond_the_bound():
    driven = Driven(memory_mb=256, extra_memory_mb=256)
    driven.warm(need("producer"))
    driven.submit(need("producer"), run="stuck")
    assert driven.submit(need("consumer"), run="stuck") == []
    assert driven.tell(SinkBlocked, frozenset({"stuck"})) == [Start(2, "python", 256, "guest")]


def test_a_blocked_sink_retires_idle_containers_that_keep_inputs():
    driven = Driven()
    number = driven.warm()
    driven.pool.handle(Freed(number, 4096))
    assert driven.tell(SinkBlocked, frozenset({"stuck"})) == [Remove(number)]


def test_an_idle_container_is_removed_after_its_time():
    driven = Driven(keep_alive_s=60)
    number = driven.warm()
    driven.at += 61
    assert driven.tell(Tick) == [Remove(number)]


def test_a_hint_loads_the_code_and_a_second_one_changes_nothing():
    driven = Driven()
    assert driven.tell(Hinted, need()) == [Start(1, "python", 256, "guest")]
    assert driven.tell(Hinted, need()) == []
    assert driven.tell(Started, 1) == [Initialise(1, need().key)]
    driven.tell(Initialised, 1)
    assert driven.submit() == [Run(1, 1, Warmth.WARM)]


def test_a_hint_evicts_nobody():
    driven = Driven(memory_mb=256)
    driven.warm()
    assert driven.tell(Hinted, need("b")) == []


def test_an_action_that_fits_no_host_is_refused_with_the_reason():
    (refusal,) = Driven().submit(need(memory_mb=1024))
    assert isinstance(refusal, Refuse)
    assert "1024 MB" in refusal.reason
    assert "512 MB" in refusal.reason


def test_a_start_that_fails_refuses_the_job_with_the_reason():
    driven = Driven()
    driven.submit()
    assert driven.tell(Gone, 1, error="no interpreter") == [Refuse(1, "no interpreter")]


def test_a_container_that_dies_while_others_wait_is_replaced():
    driven = Driven()
    number = driven.warm()
    driven.submit()
    driven.submit()
    assert driven.tell(Gone, number) == [Start(2, "python", 256, "guest")]


def test_a_withdrawn_job_is_not_run():
    driven = Driven()
    driven.submit()
    driven.tell(Withdrawn, 1, need().key)
    assert driven.tell(Started, 1) == []
    assert driven.pool.counts()


def test_a_container_that_nobody_waits_for_any_more_serves_another_action():
    driven = Driven()
    driven.submit()
    driven.tell(Withdrawn, 1, need().key)
    driven.tell(Started, 1)
    assert driven.submit(need("b")) == [Run(1, 2, Warmth.PREWARM)]


def test_closing_removes_what_is_idle_and_lets_the_rest_end():
    driven = Driven()
    idle = driven.warm(need("a"))
    busy = driven.warm(need("b"))
    driven.submit(need("b"))
    assert driven.pool.close(driven.at) == [Remove(idle)]
    assert driven.tell(Returned, busy, True, 0.0) == []
    assert driven.tell(Drained, busy, 0) == [Remove(busy)]


SHARED = need(concurrency=3)


def test_a_container_that_runs_several_at_a_time_takes_as_many_as_it_may_once_its_code_is_loaded():
    driven = Driven()
    (start,) = driven.submit(SHARED)
    for _ in range(3):
        assert driven.submit(SHARED) == []
    assert driven.tell(Started, start.container) == [Run(1, 1, Warmth.COLD)]
    assert driven.tell(Initialised, 1) == [Run(1, 2, Warmth.WARM), Run(1, 3, Warmth.WARM)]
    assert driven.tell(Returned, 1, True, 0.0) == [Run(1, 4, Warmth.WARM)]


def test_jobs_of_a_shared_container_come_and_go_in_any_order():
    driven = Driven()
    number = driven.warm(SHARED)
    assert driven.submit(SHARED) == [Run(number, 2, Warmth.WARM)]
    assert driven.submit(SHARED) == [Run(number, 3, Warmth.WARM)]
    driven.tell(Returned, number, True, 0.0)
    driven.tell(Drained, number, 0)
    assert driven.submit(SHARED) == [Run(number, 4, Warmth.WARM)]
    driven.pool.validate()


def test_a_shared_container_in_doubt_takes_no_more_and_goes_when_the_last_function_has_returned():
    driven = Driven()
    number = driven.warm(SHARED)
    for _ in range(2):
        driven.submit(SHARED)
    assert driven.tell(Returned, number, False, 0.0) == []
    assert driven.tell(Drained, number, 0) == []
    assert not any(isinstance(one, Run) for one in driven.submit(SHARED))
    driven.tell(Returned, number, True, 0.0)
    assert Remove(number) in driven.tell(Drained, number, 0)


def test_a_shared_container_in_which_functions_run_is_never_evicted():
    driven = Driven()
    number = driven.warm(SHARED)
    driven.submit(SHARED)
    driven.at += 10
    assert driven.submit(need("other", memory_mb=512)) == []
    driven.tell(Returned, number, True, 0.0)
    assert driven.tell(Drained, number, 0) == [Remove(number)]


def test_those_who_will_find_room_in_a_container_that_loads_do_not_start_another():
    driven = Driven()
    (start,) = driven.submit(SHARED)
    driven.tell(Started, start.container)
    for _ in range(2):
        driven.submit(SHARED)
    driven.at += 5
    assert driven.tell(Tick) == []
    assert driven.submit(SHARED) == [Start(2, "python", 256, "guest")]
