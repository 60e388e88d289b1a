from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from controller_ext.balancer.dispatcher import Dispatcher
from controller_ext.balancer.fleet import SILENT_S, Ping, Result
from controller_ext.balancer.following import MAX_MESSAGE_BYTES, UNANSWERED_S, Surroundings
from controller_ext.balancer.kept import Kept
from controller_ext.balancer.owners import under_next_epoch
from controller_ext.balancer.slots import Charge
from controller_ext.balancer.wire import Invoke, Limits
from controller_ext.runs.ports import Throttled
from invoker_ext.bus import BusUnavailable, Message
from invoker_ext.contract.messages import ActivationMessage
from tests.support.messages import a_message

ACCEPT_S = 10.0
TTL_S = 1000.0


class FakeTimer:
    def __init__(self, at: float, call: Callable[[], None]) -> None:
        self.at = at
        self.call: Callable[[], None] | None = call

    def cancel(self) -> None:
        self.call = None


class World:
    """Clock, timers, bus and spool of a dispatcher under test."""

    def __init__(self) -> None:
        self.now = 0.0
        self.timers: list[FakeTimer] = []
        self.posted: list[tuple[str, Message, Callable[[Exception | None], None]]] = []
        self.delivered = False
        self.unspooled: list[str] = []
        self.sent: list[tuple[str, str]] = []
        self.around = Surroundings(
            bus=self,
            call_later=self.call_later,
            unspool=self.unspooled.append,
            send=lambda door, name: self.sent.append((door, name)),
            monotonic=lambda: self.now,
            wall_ms=lambda: int(self.now * 1000),
        )
        self.dispatcher = Dispatcher(self.around, ACCEPT_S, TTL_S)

    def call_later(self, delay_s: float, call: Callable[..., None], *args: Any) -> FakeTimer:
        self.timers.append(FakeTimer(self.now + delay_s, lambda: call(*args)))
        return self.timers[-1]

    def post(self, topic: str, message: Message, kept: Callable[[Exception | None], None] | None = None) -> object:
        self.posted.append((topic, message, kept or (lambda error: None)))
        return self.posted[-1]

    def withdraw(self, topic: str, entry: Any) -> bool:
        if not self.delivered:
            self.posted.remove(entry)
        return not self.delivered

    def keep(self, error: Exception | None = None) -> None:
        self.posted[-1][2](error)

    def pass_time(self, seconds: float) -> None:
        until = self.now + seconds
        while due := [timer for timer in self.timers if timer.call is not None and timer.at <= until]:
            timer = min(due, key=lambda one: one.at)
            call, timer.call = timer.call, None
            self.now = timer.at
            assert call is not None
            call()
        self.now = until


class FakeWaiter:
    def __init__(self) -> None:
        self.heard: list[tuple[Any, ...]] = []

    def accepted(self, activation_id: str) -> None:
        self.heard.append(("accepted", activation_id))

    def ended(self, headers: dict[str, Any], payload: bytes | memoryview) -> None:
        self.heard.append(("ended", headers["id"], payload))

    def rejected(self, activation_id: str, code: str, text: str) -> None:
        self.heard.append(("rejected", activation_id, code))


def an_invoke(name: str = "a", wait_s: float | None = 60.0, **fields: Any) -> Invoke:
    values: dict[str, Any] = {
        "headers": {"id": name},
        "payload": b"message",
        "limits": Limits("ns", 100, 10),
        "counted": True,
        "charge": Charge(memory_mb=256, home=0),
        "ends_s": None,
        "spool": None,
    }
    return Invoke(activation_id=name, wait_s=wait_s, **{**values, **fields})


def a_completion(name: str = "a", status: int = 0) -> Message:
    return Message(b"completion", {"id": name, "status": status, "at": 0, "n": 0})


@pytest.fixture
def world() -> World:
    world = World()
    world.dispatcher.pinged(Ping(0, 1024, "host", True))
    return world


@pytest.fixture
def waiter() -> FakeWaiter:
    return FakeWaiter()


def test_a_run_is_posted_to_its_invoker_as_it_came(world: World, waiter: FakeWaiter):
    world.dispatcher.invoke(waiter, an_invoke())
    topic, message, _ = world.posted[0]
    assert (topic, message) == ("invoker0", Message(b"message", {"id": "a"}))
    assert waiter.heard == []


def test_the_end_reaches_the_waiter(world: World, waiter: FakeWaiter):
    world.dispatcher.invoke(waiter, an_invoke())
    world.keep()
    world.dispatcher.completed(a_completion())
    assert waiter.heard == [("ended", "a", b"completion")]
    assert world.dispatcher.in_flight() == 0


def test_an_end_before_the_commit_is_an_end(world: World, waiter: FakeWaiter):
    world.dispatcher.invoke(waiter, an_invoke())
    world.dispatcher.completed(a_completion())
    world.keep()
    world.pass_time(100)
    assert waiter.heard == [("ended", "a", b"completion")]


def test_without_a_wait_the_commit_is_the_answer(world: World, waiter: FakeWaiter):
    world.dispatcher.invoke(waiter, an_invoke(wait_s=None))
    assert waiter.heard == []
    world.keep()
    world.dispatcher.completed(a_completion())
    assert waiter.heard == [("accepted", "a")]


@pytest.mark.parametrize("wait_s", [1.0, 60.0])
def test_a_wait_that_is_over_is_answered_with_accepted(world: World, waiter: FakeWaiter, wait_s: float):
    world.dispatcher.invoke(waiter, an_invoke(wait_s=wait_s))
    world.keep()
    world.pass_time(wait_s - 0.01)
    assert waiter.heard == []
    world.pass_time(0.02)
    assert waiter.heard == [("accepted", "a")]


def test_a_wait_that_is_over_before_the_commit_is_answered_by_the_commit(world: World, waiter: FakeWaiter):
    world.dispatcher.invoke(waiter, an_invoke(wait_s=1.0))
    world.pass_time(2.0)
    assert waiter.heard == []
    world.keep()
    assert waiter.heard == [("accepted", "a")]


def test_a_run_waits_for_an_invoker_and_goes_to_the_one_that_comes(waiter: FakeWaiter):
    world = World()
    world.dispatcher.invoke(waiter, an_invoke())
    assert world.posted == []
    world.dispatcher.pinged(Ping(0, 1024, "host", True))
    assert len(world.posted) == 1


def test_without_an_invoker_a_run_is_rejected_at_the_bound(waiter: FakeWaiter):
    world = World()
    world.dispatcher.invoke(waiter, an_invoke(spool="s"))
    world.pass_time(ACCEPT_S)
    assert waiter.heard == [("rejected", "a", "no-invoker")]
    assert world.unspooled == ["s"]
    world.dispatcher.pinged(Ping(0, 1024, "host", True))
    assert world.posted == []


def test_a_run_that_no_invoker_took_is_taken_back_and_rejected(world: World, waiter: FakeWaiter):
    world.dispatcher.invoke(waiter, an_invoke())
    world.pass_time(ACCEPT_S)
    assert world.posted == []
    assert waiter.heard == [("rejected", "a", "no-invoker")]


def test_a_run_that_an_invoker_has_seen_is_waited_for_longer(world: World, waiter: FakeWaiter):
    world.delivered = True
    world.dispatcher.invoke(waiter, an_invoke(wait_s=None))
    world.pass_time(ACCEPT_S + 1)
    assert waiter.heard == []
    world.pass_time(UNANSWERED_S)
    assert waiter.heard == [("rejected", "a", "balancer-unavailable")]


def test_a_full_bus_rejects(world: World, waiter: FakeWaiter):
    world.dispatcher.invoke(waiter, an_invoke())
    world.keep(BusUnavailable("full"))
    assert waiter.heard == [("rejected", "a", "no-invoker")]
    assert world.dispatcher.in_flight() == 0


def test_a_repeated_invoke_takes_over_the_wait_and_starts_nothing(world: World, waiter: FakeWaiter):
    again = FakeWaiter()
    world.dispatcher.invoke(waiter, an_invoke())
    world.dispatcher.detach(waiter)
    world.dispatcher.invoke(again, an_invoke())
    world.dispatcher.completed(a_completion())
    assert len(world.posted) == 1
    assert (waiter.heard, again.heard) == ([], [("ended", "a", b"completion")])


def test_all_who_repeat_an_invoke_hear_the_end(world: World, waiter: FakeWaiter):
    second, third = FakeWaiter(), FakeWaiter()
    world.dispatcher.invoke(waiter, an_invoke())
    world.dispatcher.invoke(second, an_invoke(spool="of the repeat"))
    world.dispatcher.invoke(third, an_invoke(wait_s=5.0))
    world.keep()
    world.pass_time(6)
    assert third.heard == [("accepted", "a")]
    world.dispatcher.detach(second)
    world.dispatcher.completed(a_completion())
    assert (waiter.heard, second.heard) == ([("ended", "a", b"completion")], [])
    assert len(world.posted) == 1
    assert world.unspooled == ["of the repeat"]
    assert world.dispatcher.in_flight() == 0


def test_a_held_run_is_dropped_when_the_last_who_waits_has_left(waiter: FakeWaiter):
    world, second = World(), FakeWaiter()
    world.dispatcher.invoke(waiter, an_invoke())
    world.dispatcher.invoke(second, an_invoke())
    world.dispatcher.detach(waiter)
    assert world.dispatcher.in_flight() == 1
    world.dispatcher.detach(second)
    assert world.dispatcher.in_flight() == 0


def test_a_repeated_invoke_of_a_kept_run_without_a_wait_is_accepted_at_once(world: World, waiter: FakeWaiter):
    again = FakeWaiter()
    world.dispatcher.invoke(waiter, an_invoke(wait_s=None))
    world.keep()
    world.dispatcher.invoke(again, an_invoke(wait_s=None))
    assert again.heard == [("accepted", "a")]


def test_an_end_that_nobody_waits_for_yet_is_handed_to_who_asks(world: World, waiter: FakeWaiter):
    world.dispatcher.completed(a_completion())
    world.dispatcher.invoke(waiter, an_invoke())
    assert waiter.heard == [("ended", "a", b"completion")]
    assert world.posted == []


def test_a_worker_that_leaves_loses_its_wait_only(world: World, waiter: FakeWaiter):
    world.dispatcher.invoke(waiter, an_invoke(spool="s"))
    world.dispatcher.detach(waiter)
    assert world.dispatcher.in_flight() == 1
    world.keep()
    world.dispatcher.completed(a_completion())
    assert waiter.heard == []
    assert world.unspooled == ["s"]


def test_the_spool_of_a_run_that_an_earlier_balancer_started_goes_with_its_end(world: World):
    world.dispatcher.completed(a_completion("a"))
    assert world.unspooled == ["a"]


def test_a_worker_that_leaves_takes_along_what_nobody_was_asked_to_run(waiter: FakeWaiter):
    world = World()
    world.dispatcher.invoke(waiter, an_invoke())
    world.dispatcher.detach(waiter)
    assert world.dispatcher.in_flight() == 0


def test_a_throttled_run_is_rejected(world: World, waiter: FakeWaiter):
    world.dispatcher.invoke(waiter, an_invoke(limits=Limits("ns", 0, 10), spool="s"))
    assert waiter.heard == [("rejected", "a", "throttled")]
    assert world.unspooled == ["s"]


def test_a_charge_is_throttled_too(world: World):
    with pytest.raises(Throttled):
        world.dispatcher.charge(Limits("ns", 0, 10))


def test_a_message_above_the_bound_is_rejected(world: World, waiter: FakeWaiter):
    world.dispatcher.invoke(waiter, an_invoke(payload=bytes(MAX_MESSAGE_BYTES + 1)))
    assert waiter.heard == [("rejected", "a", "message-too-large")]


def test_a_run_that_never_ends_gives_its_slot_back_at_last(world: World, waiter: FakeWaiter):
    world.dispatcher.invoke(waiter, an_invoke(wait_s=None))
    world.keep()
    world.now = TTL_S + 1
    world.dispatcher.tick()
    assert world.dispatcher.in_flight() == 0


def test_a_completion_without_an_id_changes_nothing(world: World):
    world.dispatcher.completed(Message(b"x", {}))
    assert world.dispatcher.in_flight() == 0


def test_a_change_of_health_is_told(world: World):
    told: list[dict[str, str]] = []
    world.dispatcher.fleet_changed = lambda: told.append(world.dispatcher.fleet.states())
    world.now = 100.0
    world.dispatcher.tick()
    assert told == [{"invoker0/host": "down"}]


def test_a_system_error_counts_for_the_invokers_health_which_is_tested_at_once(world: World, waiter: FakeWaiter):
    world.dispatcher.invoke(waiter, an_invoke())
    world.dispatcher.completed(a_completion(status=3))
    assert world.dispatcher.fleet.states() == {"invoker0/host": "unhealthy"}
    world.dispatcher.tick()
    answer = the_answer_to_a_test(world)
    world.dispatcher.completed(answer)
    assert world.dispatcher.fleet.states() == {"invoker0/host": "up"}


def the_answer_to_a_test(world: World) -> Message:
    topic, test, _ = world.posted[-1]
    assert topic == "invoker0"
    asked = json.loads(bytes(test.payload))
    assert asked["action"]["name"] == "invokerHealthTestAction0"
    instance = {"instance": 0, "instanceType": "invoker"}
    said = {"transid": asked["transid"], "activationId": asked["activationId"], "instance": instance}
    return Message(json.dumps(said).encode())


def test_a_plain_action_whose_end_nobody_tells_is_over_after_its_time(world: World, waiter: FakeWaiter):
    world.dispatcher.invoke(waiter, an_invoke(ends_s=180.0, wait_s=500.0))
    world.keep()
    world.now = 179.0
    world.dispatcher.tick()
    assert waiter.heard == []
    world.dispatcher.pinged(Ping(0, 1024, "host", True))
    world.now = 180.0
    world.dispatcher.tick()
    assert waiter.heard == [("rejected", "a", "balancer-unavailable")]
    assert (world.dispatcher.in_flight(), world.dispatcher.fleet.states()) == (0, {"invoker0/host": "unresponsive"})
    world.dispatcher.completed(a_completion())
    assert world.dispatcher.fleet.states() == {"invoker0/host": "unresponsive"}


def test_while_the_bus_is_away_nobody_is_missed(world: World):
    for _ in range(30):
        world.now += 1.0
        world.dispatcher.tick(deaf=True)
    assert world.dispatcher.fleet.states() == {"invoker0/host": "up"}
    world.now += SILENT_S
    world.dispatcher.tick()
    assert world.dispatcher.fleet.states() == {"invoker0/host": "up"}
    world.now += 1.0
    world.dispatcher.tick()
    assert world.dispatcher.fleet.states() == {"invoker0/host": "down"}


def test_controllers_share_what_a_namespace_may_have_in_flight(world: World, waiter: FakeWaiter):
    world.dispatcher.divide(2)
    limits = Limits("ns", 100, 1)
    world.dispatcher.invoke(waiter, an_invoke("a", limits=limits))
    world.dispatcher.invoke(waiter, an_invoke("b", limits=limits))
    assert waiter.heard == [("rejected", "b", "throttled")]


STOCK = Ping(0, 1024, "host", True, takes_runs=False)


def a_sequence(name: str = "a", *, stepwise: bool = True, per_minute: int = 100) -> Invoke:
    headers = {"id": name, "run": True}
    return an_invoke(name, headers=headers, stepwise=stepwise, limits=Limits("ns", per_minute, 10))


@pytest.fixture
def of_stock() -> World:
    world = World()
    world.dispatcher.pinged(STOCK)
    world.dispatcher.fleet.ended(0, Result.SUCCESS, 0.0)
    return world


def test_while_only_stock_is_healthy_a_sequence_goes_back_uncounted(of_stock: World, waiter: FakeWaiter):
    of_stock.dispatcher.invoke(waiter, a_sequence(per_minute=0))
    assert waiter.heard == [("rejected", "a", "only-stock")]
    assert of_stock.posted == []


def test_a_workflow_waits_for_an_invoker_of_ours(of_stock: World, waiter: FakeWaiter):
    of_stock.dispatcher.invoke(waiter, a_sequence(stepwise=False))
    assert waiter.heard == []
    of_stock.dispatcher.pinged(Ping(1, 1024, "host", True))
    assert [topic for topic, _, _ in of_stock.posted] == ["invoker1"]


def test_with_an_invoker_of_ours_a_sequence_runs_as_data_flow_again(of_stock: World, waiter: FakeWaiter):
    of_stock.dispatcher.pinged(Ping(1, 1024, "host", True))
    of_stock.dispatcher.invoke(waiter, a_sequence())
    assert [topic for topic, _, _ in of_stock.posted] == ["invoker1"]
    of_stock.dispatcher.pinged(Ping(1, 1024, "host", False))
    of_stock.dispatcher.invoke(waiter, a_sequence("b"))
    assert waiter.heard == [("rejected", "b", "only-stock")]


def test_a_sequence_waits_while_no_invoker_is_healthy(waiter: FakeWaiter):
    world = World()
    world.dispatcher.pinged(STOCK)
    world.dispatcher.invoke(waiter, a_sequence())
    assert waiter.heard == []


def test_the_first_invoker_that_pings_does_not_get_all_that_waits_for_a_balancer():
    world = World()
    world.dispatcher.gather(1.5)
    for number in range(4):
        one = an_invoke(str(number), charge=Charge(memory_mb=256, home=number))
        world.dispatcher.invoke(FakeWaiter(), one)
    for number in (0, 1):
        world.dispatcher.pinged(Ping(number, 1024, "host", True))
        world.pass_time(0.5)
    assert not world.posted

    world.pass_time(0.5)

    assert sorted(topic for topic, *_ in world.posted) == ["invoker0", "invoker0", "invoker1", "invoker1"]


@pytest.fixture
def on_kafka(world: World) -> World:
    """A bus that keeps messages before anybody has seen them."""
    world.around.owners_say = True
    world.delivered = True
    return world


def a_run(spool: str | None = None, wait_s: float | None = None) -> Invoke:
    return an_invoke(headers={"id": "a", "run": True}, wait_s=wait_s, spool=spool)


def its_owner_has_it(run: str = "a") -> Message:
    return Message(b"{}", {"id": run, "ack": "kept"})


@pytest.mark.parametrize("spool", [None, "s"])
def test_a_run_is_accepted_when_its_owner_has_it(on_kafka: World, waiter: FakeWaiter, spool: str | None):
    on_kafka.dispatcher.invoke(waiter, a_run(spool))
    on_kafka.keep()
    assert waiter.heard == []
    on_kafka.dispatcher.completed(its_owner_has_it())
    assert waiter.heard == [("accepted", "a")]
    on_kafka.dispatcher.completed(its_owner_has_it())
    assert (on_kafka.dispatcher.in_flight(), on_kafka.unspooled) == (1, [])
    on_kafka.dispatcher.completed(a_completion())
    assert (waiter.heard, on_kafka.dispatcher.in_flight()) == ([("accepted", "a")], 0)


def test_the_owner_may_be_faster_than_the_bus(on_kafka: World, waiter: FakeWaiter):
    on_kafka.dispatcher.invoke(waiter, a_run())
    on_kafka.dispatcher.completed(its_owner_has_it())
    on_kafka.keep()
    assert waiter.heard == [("accepted", "a")]


def test_a_plain_action_is_accepted_when_the_bus_has_it(on_kafka: World, waiter: FakeWaiter):
    on_kafka.dispatcher.invoke(waiter, an_invoke(wait_s=None))
    on_kafka.keep()
    assert waiter.heard == [("accepted", "a")]


def test_a_run_whose_owner_is_away_waits_on_the_bus_but_not_without_its_parameters(on_kafka: World, waiter: FakeWaiter):
    on_kafka.dispatcher.invoke(waiter, a_run())
    on_kafka.keep()
    on_kafka.pass_time(ACCEPT_S)
    assert waiter.heard == [("accepted", "a")]
    large = FakeWaiter()
    on_kafka.dispatcher.invoke(large, an_invoke("b", headers={"id": "b", "run": True}, wait_s=None, spool="s"))
    on_kafka.keep()
    on_kafka.pass_time(UNANSWERED_S - 1)
    assert large.heard == []
    on_kafka.pass_time(1)
    assert large.heard == [("rejected", "b", "balancer-unavailable")]


DOOR = "tcp://10.0.0.1:3240"


def its_result(name: str = "a", epoch: int = 0) -> Message:
    headers = {"id": name, "status": 0, "at": 0, "n": 0, "ack": "result"}
    return Message(b"result", headers | {"e": epoch} if epoch else headers)


def its_end() -> Message:
    return Message(b"{}", {"id": "a", "status": 0, "ack": "over"})


def test_parameters_go_ahead_to_the_door_of_the_owner(on_kafka: World, waiter: FakeWaiter):
    on_kafka.dispatcher.invoke(waiter, a_run("spooled"))
    assert on_kafka.sent == []  # it listens for nobody
    on_kafka.dispatcher.pinged(Ping(0, 1024, "host", True, True, "10.0.0.2:3240"))
    on_kafka.dispatcher.invoke(waiter, an_invoke("b", headers={"id": "b", "run": True}, spool="s"))
    on_kafka.dispatcher.invoke(waiter, an_invoke("c", headers={"id": "c", "run": True}))
    assert on_kafka.sent == [("tcp://10.0.0.2:3240", "s")]


def test_an_owner_is_told_the_door_where_a_result_is_waited_for(on_kafka: World, waiter: FakeWaiter):
    on_kafka.around.door = DOOR
    on_kafka.dispatcher.invoke(waiter, an_invoke())
    on_kafka.dispatcher.invoke(waiter, an_invoke("b", wait_s=None))
    assert [message.headers.get("door") for _, message, _ in on_kafka.posted] == [DOOR, None]


@pytest.mark.parametrize("kept", [False, True])
def test_a_result_at_the_door_is_the_answer_and_the_end_on_the_bus_frees_the_slot(
    on_kafka: World, waiter: FakeWaiter, kept: bool
):
    on_kafka.dispatcher.invoke(waiter, a_run(wait_s=60.0))
    if kept:
        on_kafka.dispatcher.completed(its_owner_has_it())
    assert on_kafka.dispatcher.handed(its_result())
    assert (waiter.heard, on_kafka.dispatcher.in_flight()) == ([("ended", "a", b"result")], 1)
    on_kafka.keep()
    on_kafka.pass_time(100)
    on_kafka.dispatcher.completed(its_end())
    assert (waiter.heard, on_kafka.dispatcher.in_flight()) == ([("ended", "a", b"result")], 0)


def test_a_run_whose_result_is_told_is_begun_by_nobody_else_and_given_up_if_its_end_does_not_come(owned):
    world, waiter, message = owned
    assert world.dispatcher.handed(its_result(message.activation_id))
    lose(world)
    world.dispatcher.tick()
    assert [topic for topic, *_ in world.posted] == ["invoker0"]
    assert (waiter.heard, world.dispatcher.in_flight()) == ([("ended", message.activation_id, b"result")], 0)


def test_a_result_that_nobody_waits_for_is_not_taken_at_the_door(on_kafka: World, waiter: FakeWaiter):
    assert not on_kafka.dispatcher.handed(its_result())
    on_kafka.dispatcher.invoke(waiter, a_run(wait_s=60.0))
    on_kafka.dispatcher.completed(its_owner_has_it())
    on_kafka.pass_time(61)
    assert waiter.heard == [("accepted", "a")]
    assert not on_kafka.dispatcher.handed(its_result())


def test_what_has_no_record_is_not_taken_at_the_door(on_kafka: World, waiter: FakeWaiter):
    on_kafka.dispatcher.invoke(waiter, a_run(wait_s=60.0))
    for message in (its_owner_has_it(), Message(b"no message", {}), Message(b"", {"id": "a", "ack": "result"})):
        assert not on_kafka.dispatcher.handed(message)
    assert (waiter.heard, on_kafka.dispatcher.in_flight()) == ([], 1)


@pytest.mark.parametrize("whole", [False, True])
def test_an_end_at_the_door_frees_the_slot(on_kafka: World, waiter: FakeWaiter, whole: bool):
    on_kafka.dispatcher.invoke(waiter, a_run(wait_s=60.0))
    if not whole:
        assert on_kafka.dispatcher.handed(its_result())
    assert on_kafka.dispatcher.handed(a_completion() if whole else its_end())
    assert (len(waiter.heard), on_kafka.dispatcher.in_flight()) == (1, 0)
    assert not on_kafka.dispatcher.handed(a_completion())


def test_a_result_that_comes_by_both_ways_is_answered_once(on_kafka: World, waiter: FakeWaiter):
    on_kafka.dispatcher.invoke(waiter, a_run(wait_s=60.0))
    assert on_kafka.dispatcher.handed(its_result())
    assert not on_kafka.dispatcher.handed(its_result())
    on_kafka.dispatcher.completed(a_completion())
    assert (waiter.heard, on_kafka.dispatcher.in_flight()) == ([("ended", "a", b"result")], 0)


def test_what_nobody_knows_of_is_nothing(on_kafka: World):
    on_kafka.dispatcher.completed(its_owner_has_it())
    assert on_kafka.unspooled == []


# -- an owner that is lost -------------------------------------------------------------------------


def a_workflow() -> tuple[ActivationMessage, Invoke]:
    message = a_message("guest/flow", graph="digest", content=b'{"x": 1}')
    invoke = an_invoke(message.activation_id, headers=message.headers(), payload=message.encode())
    return message, invoke


def lose(world: World) -> None:
    """Let invoker 0 be silent for long enough, while the others go on."""
    for _ in range(7):
        world.pass_time(10.0)
        world.dispatcher.pinged(Ping(1, 1024, "other", True))
        world.dispatcher.tick()


@pytest.fixture
def owned(world: World) -> tuple[World, FakeWaiter, ActivationMessage]:
    """A workflow that invoker 0 has accepted."""
    world.around.owner_lost_s = 60.0
    waiter = FakeWaiter()
    message, invoke = a_workflow()
    world.dispatcher.invoke(waiter, replace(invoke, wait_s=600.0))
    world.keep()
    return world, waiter, message


def test_the_workflow_of_an_owner_that_stays_away_goes_to_another_under_the_next_epoch(owned):
    world, waiter, message = owned

    lose(world)

    (_, old, _), (_, new, _) = world.posted[1:]
    assert [topic for topic, *_ in world.posted] == ["invoker0", "invoker0", "invoker1"]
    assert ActivationMessage.decode(new.payload, new.headers["c"]) == replace(message, epoch=1)
    assert (old.payload, old.headers["drop"], "drop" in new.headers) == (new.payload, True, False)
    assert not waiter.heard


def test_a_run_that_the_bus_has_for_an_owner_that_was_killed_goes_to_another_with_its_parameters(on_kafka: World):
    on_kafka.around.owner_lost_s = 60.0
    waiter = FakeWaiter()
    message, invoke = a_workflow()
    on_kafka.pass_time(30.0)
    on_kafka.dispatcher.invoke(waiter, replace(invoke, wait_s=None, spool="s"))
    on_kafka.keep()

    lose(on_kafka)

    assert [topic for topic, *_ in on_kafka.posted] == ["invoker0", "invoker0", "invoker1"]
    assert (waiter.heard, on_kafka.unspooled) == ([], [])
    on_kafka.dispatcher.completed(its_owner_has_it(message.activation_id))
    assert waiter.heard == [("accepted", message.activation_id)]


def test_a_run_whose_next_owner_could_not_be_told_goes_on_to_one_that_can(owned):
    world, waiter, message = owned
    lose(world)

    world.keep(BusUnavailable("kafka is away"))
    world.dispatcher.tick()

    assert [topic for topic, *_ in world.posted[3:]] == ["invoker1", "invoker1"]
    (_, old, _), (_, new, _) = world.posted[3:]
    assert (old.headers["drop"], new.headers["e"]) == (True, 2)
    world.keep()
    world.dispatcher.tick()
    assert len(world.posted) == 5
    world.dispatcher.completed(Message(b"right", {"id": message.activation_id, "status": 0, "at": 0, "n": 0, "e": 2}))
    assert waiter.heard == [("ended", message.activation_id, b"right")]


def test_what_the_lost_owner_tells_of_the_run_later_changes_nothing(owned):
    world, waiter, message = owned
    lose(world)

    world.dispatcher.completed(a_completion(message.activation_id))
    assert not waiter.heard
    world.dispatcher.completed(Message(b"right", {"id": message.activation_id, "status": 0, "at": 0, "n": 0, "e": 1}))

    assert waiter.heard == [("ended", message.activation_id, b"right")]


def test_the_result_of_a_lost_owner_is_not_taken_at_the_door(owned):
    world, waiter, message = owned
    lose(world)
    assert not world.dispatcher.handed(its_result(message.activation_id))
    assert world.dispatcher.handed(its_result(message.activation_id, epoch=1))
    assert waiter.heard == [("ended", message.activation_id, b"result")]


def test_a_run_goes_nowhere_while_nobody_else_could_take_it(owned):
    world, waiter, _ = owned

    world.pass_time(100.0)
    world.dispatcher.tick()

    assert len(world.posted) == 1
    assert not waiter.heard


def test_an_owner_that_is_back_in_time_keeps_its_runs(owned):
    world, _, _ = owned
    for _ in range(12):
        world.pass_time(10.0)
        for number in (0, 1):
            world.dispatcher.pinged(Ping(number, 1024, "host", True))
        world.dispatcher.tick()

    assert len(world.posted) == 1


class Book:
    """Accepted runs, as the next balancer finds them."""

    def __init__(self) -> None:
        self.runs: dict[str, Kept] = {}

    def note(self, kept: Kept) -> None:
        self.runs[kept.invoke.activation_id] = kept

    def drop(self, run: str) -> None:
        self.runs.pop(run, None)


def balancer(book: Book) -> World:
    """One that begins with what an earlier one noted."""
    world = World()
    world.around.owner_lost_s = 60.0
    world.around.owners_say = True
    world.around.kept = book
    world.dispatcher.recover(list(book.runs.values()))
    return world


def test_an_accepted_run_whose_owner_and_balancer_are_gone_goes_to_another_without_its_client():
    book, (message, invoke) = Book(), a_workflow()
    before = balancer(book)
    before.dispatcher.pinged(Ping(0, 1024, "host", True))
    before.dispatcher.invoke(FakeWaiter(), replace(invoke, wait_s=None))
    before.dispatcher.completed(Message(b"", {"id": message.activation_id, "ack": "kept"}))

    after = balancer(book)
    assert after.dispatcher.in_flight() == 1
    lose(after)

    (_, old, _), (_, new, told) = after.posted
    assert [topic for topic, *_ in after.posted] == ["invoker0", "invoker1"]
    assert ActivationMessage.decode(new.payload, new.headers["c"]) == replace(message, epoch=1)
    assert old.headers["drop"]
    assert not book.runs[message.activation_id].sent
    told(None)
    assert book.runs[message.activation_id] == Kept(book.runs[message.activation_id].invoke, 1)
    after.dispatcher.completed(Message(b"right", {"id": message.activation_id, "status": 0, "at": 0, "n": 0, "e": 1}))
    assert (after.dispatcher.in_flight(), book.runs) == (0, {})


def test_a_run_that_an_earlier_balancer_was_passing_on_goes_on_to_another_under_a_greater_epoch():
    book, (_, invoke) = Book(), a_workflow()
    book.note(Kept(under_next_epoch(invoke), 0, sent=False))
    after = balancer(book)

    after.dispatcher.pinged(Ping(1, 1024, "other", True))
    after.dispatcher.tick()

    assert [(topic, message.headers["e"]) for topic, message, _ in after.posted] == [("invoker0", 2), ("invoker1", 2)]


def test_a_run_of_an_earlier_balancer_stays_with_an_owner_that_is_there():
    book, (message, invoke) = Book(), a_workflow()
    book.note(Kept(invoke, 0))
    after = balancer(book)
    for _ in range(12):
        after.pass_time(10.0)
        for number in (0, 1):
            after.dispatcher.pinged(Ping(number, 1024, "host", True))
        after.dispatcher.tick()
    waiter = FakeWaiter()
    after.dispatcher.invoke(waiter, invoke)

    after.dispatcher.completed(a_completion(message.activation_id))

    assert not after.posted
    assert waiter.heard == [("ended", message.activation_id, b"completion")]
    assert not book.runs


def test_a_run_whose_caller_waits_is_noted_with_its_message_once_the_wait_is_over(on_kafka: World, waiter: FakeWaiter):
    book = on_kafka.around.kept = Book()
    message, invoke = a_workflow()
    on_kafka.dispatcher.invoke(waiter, replace(invoke, wait_s=ACCEPT_S + 5))
    on_kafka.keep()
    (noted,) = book.runs.values()
    assert (noted.invoker, noted.accepted, noted.invoke.payload) == (0, False, b"")

    on_kafka.pass_time(ACCEPT_S)
    (noted,) = book.runs.values()
    assert (noted.accepted, noted.invoke.payload) == (True, message.encode())
    on_kafka.dispatcher.completed(a_completion(message.activation_id))
    assert not book.runs


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize("headers", [{"id": "a"}, {"id": "a", "run": True}])
def test_what_is_sent_again_after_a_restart_comes_to_the_invoker_that_has_it(headers, there: bool):
    book = Book()
    before = balancer(book)
    for number in (0, 1):
        before.dispatcher.pinged(Ping(number, 256, "host", True))
    before.dispatcher.invoke(FakeWaiter(), an_invoke("full"))  # their home is invoker 0
    before.dispatcher.invoke(FakeWaiter(), an_invoke(headers=headers))
    assert [topic for topic, *_ in before.posted] == ["invoker0", "invoker1"]

    after = balancer(book)
    assert after.dispatcher.in_flight() == 0  # nobody was told of them
    for number in (0, 1) if there else (0,):
        after.dispatcher.pinged(Ping(number, 256, "host", True))
    waiter = FakeWaiter()
    after.dispatcher.invoke(waiter, an_invoke(headers=headers))

    assert [(topic, message.payload) for topic, message, _ in after.posted] == [("invoker1", b"message")]
    after.dispatcher.completed(a_completion())
    assert waiter.heard == [("ended", "a", b"completion")]
    assert list(book.runs) == ["full"]


def test_what_nobody_sends_again_is_forgotten_once_it_has_ended_or_after_a_time():
    book = Book()
    before = balancer(book)
    before.dispatcher.pinged(Ping(0, 1024, "host", True))
    for name in ("a", "b"):
        before.dispatcher.invoke(FakeWaiter(), an_invoke(name))
    after = balancer(book)

    after.dispatcher.completed(a_completion("a"))
    after.dispatcher.tick()
    assert list(book.runs) == ["b"]
    after.pass_time(UNANSWERED_S)
    after.dispatcher.tick()
    assert not book.runs


def test_of_plain_actions_only_the_invoker_is_noted(on_kafka: World, waiter: FakeWaiter):
    book = on_kafka.around.kept = Book()
    on_kafka.dispatcher.invoke(waiter, an_invoke(wait_s=None))
    on_kafka.keep()

    assert waiter.heard == [("accepted", "a")]
    assert [(kept.accepted, kept.invoke.payload) for kept in book.runs.values()] == [(False, b"")]


def test_a_plain_action_of_a_lost_owner_is_not_given_to_another(world):
    world.around.owner_lost_s = 60.0
    world.dispatcher.invoke(FakeWaiter(), an_invoke(wait_s=600.0))
    world.keep()

    lose(world)

    assert len(world.posted) == 1
