"""Random events against the pool: memory is never exceeded, no job is lost, nothing undrained is removed."""

from dataclasses import dataclass, field

from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from invoker_ext.containers.commands import Command, Initialise, Refuse, Remove, Run, Start, Throttle, WakeAt
from invoker_ext.containers.events import (
    ActionKey,
    Drained,
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

LIMITS = PoolLimits(memory_mb=1024, extra_memory_mb=256, cores=2, starts_at_once=3, keep_alive_s=20, pass_s=1)


def need(namespace, action, memory_mb, concurrency):
    return Need(ActionKey(namespace, f"ns/a{action}", "1-1", "0.0.1", None), "python", memory_mb, concurrency)


ACTIONS = ((1, 256, 1), (2, 256, 1), (3, 512, 1), (4, 128, 1), (5, 256, 3))
NEEDS = [need(ns, *one) for ns in ("one", "two") for one in ACTIONS]


@dataclass
class Shell:
    """What the pool believes exists."""

    up: bool = False
    loaded: bool = False
    tickets: list[int] = field(default_factory=list)
    undrained: int = 0
    loading: bool = False
    seen: set[int] = field(default_factory=set)


class PoolMachine(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        reactive = Reactive(min_count=0, max_count=3, ttl_s=90, threshold=1, increment=1)
        self.pool = Pool(LIMITS, {("python", 128): 1}, {("python", 128): reactive})
        self.now = 100.0
        self.containers: dict[int, Shell] = {}
        self.leaving: set[int] = set()
        self.waiting: dict[int, Need] = {}
        self.tickets = 0
        self.wake: float | None = None
        self.execute(self.pool.open(self.now))

    def tell(self, event):
        self.execute(self.pool.handle(event))

    def execute(self, commands: list[Command]):
        for command in commands:
            match command:
                case Start(container=number):
                    self.containers[number] = Shell()
                case Run(container=number, ticket=ticket, warmth=warmth):
                    shell = self.containers[number]
                    assert shell.up
                    need = self.waiting.pop(ticket)
                    assert len(shell.tickets) < need.concurrency
                    assert not shell.tickets or shell.loaded
                    assert shell.undrained < LIMITS.undrained
                    assert shell.loaded == (warmth is Warmth.WARM)
                    assert number not in self.leaving
                    shell.tickets.append(ticket)
                    shell.loading = not shell.loaded
                case Initialise(container=number):
                    self.containers[number].loading = True
                case Remove(container=number):
                    assert self.containers[number].undrained == 0
                    assert not self.containers[number].tickets
                    self.leaving.add(number)
                case Refuse(ticket=ticket):
                    del self.waiting[ticket]
                case WakeAt(at=at):
                    self.wake = at
                case Throttle():
                    pass

    def some(self, data, wanted):
        numbers = sorted(n for n, shell in self.containers.items() if n not in self.leaving and wanted(shell))
        return data.draw(st.sampled_from(numbers)) if numbers else None

    @rule(which=st.sampled_from(NEEDS), run=st.sampled_from(["r1", "r2"]))
    def submit(self, which, run):
        self.tickets += 1
        self.waiting[self.tickets] = which
        self.tell(Submitted(self.tickets, which, run, self.now))

    @rule(data=st.data())
    @precondition(lambda self: self.waiting)
    def withdraw(self, data):
        ticket = data.draw(st.sampled_from(sorted(self.waiting)))
        self.tell(Withdrawn(ticket, self.waiting.pop(ticket).key, self.now))

    @rule(which=st.sampled_from(NEEDS))
    def hint(self, which):
        self.tell(Hinted(which, self.now))

    @rule(data=st.data())
    def started(self, data):
        number = self.some(data, lambda s: not s.up)
        if number is not None:
            self.containers[number].up = True
            self.tell(Started(number, self.now))

    @rule(data=st.data())
    def initialised(self, data):
        number = self.some(data, lambda s: s.loading)
        if number is not None:
            self.containers[number].loading, self.containers[number].loaded = False, True
            self.tell(Initialised(number, self.now))

    @rule(data=st.data(), keep=st.booleans(), pressure_s=st.sampled_from([0.0, 0.0, 0.5]))
    def returned(self, data, keep, pressure_s):
        number = self.some(data, lambda s: s.tickets and not s.loading)
        if number is not None:
            self.containers[number].tickets.pop()
            self.containers[number].undrained += 1
            self.tell(Returned(number, keep, pressure_s, self.now))

    @rule(data=st.data(), held=st.sampled_from([0, 0, 4096]))
    def drained(self, data, held):
        number = self.some(data, lambda s: s.undrained)
        if number is not None:
            self.containers[number].undrained -= 1
            self.tell(Drained(number, held, self.now))

    @rule(data=st.data(), failed=st.booleans())
    def died(self, data, failed):
        number = self.some(data, lambda s: True)
        if number is not None:
            shell = self.containers.pop(number)
            self.tell(Gone(number, self.now, "no interpreter" if failed and not shell.up else None))

    @rule(data=st.data())
    @precondition(lambda self: self.leaving)
    def gone(self, data):
        number = data.draw(st.sampled_from(sorted(self.leaving)))
        self.leaving.discard(number)
        del self.containers[number]
        self.tell(Gone(number, self.now))

    @rule(after_s=st.sampled_from([0.01, 0.2, 2.0, 30.0]))
    def time_passes(self, after_s):
        self.now += after_s
        if self.wake is not None and self.wake <= self.now:
            self.wake = None
            self.tell(Tick(self.now))

    @rule(runs=st.sampled_from([frozenset(), frozenset({"r1"})]))
    def sink_blocked(self, runs):
        self.tell(SinkBlocked(runs, self.now))

    @invariant()
    def books_are_right(self):
        self.pool.validate()
        assert self.pool.waiting == len(self.waiting)
        assert set(self.pool.yard.slots) == set(self.containers)
        if self.waiting:
            assert self.containers, "somebody waits and nothing is there or coming"

    def teardown(self):
        """Let everything end well: then every job must have had its container."""
        for _ in range(2000):
            if not self.waiting:
                break
            self.now += 0.05
            for number, shell in list(self.containers.items()):
                self.settle(number, shell)
            if self.wake is not None and self.wake <= self.now:
                self.wake = None
                self.tell(Tick(self.now))
        assert not self.waiting
        self.pool.validate()

    def settle(self, number, shell):
        if number in self.leaving:
            self.leaving.discard(number)
            del self.containers[number]
            self.tell(Gone(number, self.now))
        elif not shell.up:
            shell.up = True
            self.tell(Started(number, self.now))
        elif shell.loading:
            shell.loading, shell.loaded = False, True
            self.tell(Initialised(number, self.now))
        elif shell.tickets:
            shell.tickets.pop()
            shell.undrained += 1
            self.tell(Returned(number, True, 0.0, self.now))
        elif shell.undrained:
            shell.undrained -= 1
            self.tell(Drained(number, 0, self.now))


PoolMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestPoolMachine = PoolMachine.TestCase
