import os
import threading
from collections import defaultdict

import pytest
from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from action_runtime.data_unit.firing import Firing, Holding
from action_runtime.data_unit.outbox import (
    MAX_RESERVES,
    MAX_UNCOMMITTED,
    TRANSITIONS,
    InvalidTransition,
    Item,
    Outbox,
    State,
)
from action_runtime.errors import NoActivation, OutputMisused, OutputRefused
from action_runtime.serde import encode
from action_runtime.wire.codec import Decoder
from action_runtime.wire.frames import FrameKind

LARGE = b"x" * 20_000


class Line:
    """Takes frames in memory."""

    def __init__(self):
        self.backlog_bytes = 0
        self._decoder = Decoder()
        self.frames = []

    def write(self, data):
        self.frames += self._decoder.feed(data)

    def flush(self):
        pass

    def of(self, kind):
        return [frame for frame in self.frames if frame.kind is kind]

    def sent(self):
        return [(frame.meta["o"], frame.meta["i"]) for frame in self.of(FrameKind.EMIT)]


def firing(number=1):
    return Firing(number, {}, Holding(lambda: None))


@pytest.fixture
def line():
    return Line()


@pytest.fixture
def outbox(line):
    outbox = Outbox(line, lambda: None)
    outbox.bound_bytes = 1 << 30
    return outbox


def segment():
    return os.open(os.devnull, os.O_WRONLY)


def test_a_small_value_leaves_at_once(outbox, line):
    outbox.offer(firing(), "x", "emit", encode({"a": 1}))

    (frame,) = line.frames
    assert frame.meta == {"f": 1, "o": "x", "i": 0, "how": "emit", "t": "json", "n": 8}
    assert frame.payload == b'{"a": 1}'
    assert outbox.queued_bytes == 0


def test_a_large_value_asks_first_and_leaves_when_it_is_written(outbox, line):
    outbox.offer(firing(), "x", "emit", encode(LARGE))
    assert [frame.meta for frame in line.of(FrameKind.RESERVE)] == [{"r": 1, "n": len(LARGE), "f": 1}]
    assert line.sent() == []

    outbox.on_grant(1, segment())
    assert line.sent() == []
    outbox.fill_granted()

    assert line.sent() == [("x", 0)]
    assert line.of(FrameKind.EMIT)[0].meta["r"] == 1
    assert outbox.queued_bytes == 0


def test_who_waits_for_room_is_woken_by_another_thread_that_flushes(outbox, line):
    outbox.bound_bytes = 1000
    line.backlog_bytes = 1000
    waits = threading.Event()
    line.flush = waits.set  # the socket takes nothing yet
    emitter = threading.Thread(target=outbox.offer, args=(firing(), "x", "emit", encode({"a": 1})))
    emitter.start()
    assert waits.wait(10)

    def drain():
        line.backlog_bytes = 0

    line.flush = drain
    with outbox.changed:  # free only while the emitter waits
        outbox.flush()
    emitter.join(10)

    assert not emitter.is_alive()
    assert line.sent() == [("x", 0)]


def test_segments_that_wait_behind_a_slow_writer_are_bounded(outbox, line):
    one = firing()
    slow = outbox.offer(one, "x", "emit", encode(LARGE), own=True)
    for _ in range(2 * MAX_UNCOMMITTED):
        outbox.offer(one, "x", "emit", encode(LARGE))
    granted = 0
    while len(line.of(FrameKind.RESERVE)) > granted:
        granted += 1
        outbox.on_grant(granted, segment())
        outbox.fill_granted()

    assert granted == MAX_UNCOMMITTED
    assert line.sent() == []

    outbox.fill(slow)

    assert len(line.sent()) == MAX_UNCOMMITTED
    assert len(line.of(FrameKind.RESERVE)) > MAX_UNCOMMITTED


@pytest.mark.parametrize("granted_before", [True, False])
def test_what_its_owner_leaves_is_written_by_the_thread_beside_it(outbox, line, granted_before):
    one = firing()
    item = outbox.offer(one, "x", "field", encode(LARGE), own=True)
    if granted_before:
        outbox.on_grant(1, segment())
    outbox.disown([None, item])
    if not granted_before:
        outbox.on_grant(1, segment())
    outbox.fill_granted()

    assert line.sent() == [("x", 0)]
    assert one.pending == 0


def test_no_more_segments_are_asked_for_than_may_be_in_hand(outbox, line):
    one = firing()
    for _ in range(MAX_RESERVES + 1):
        outbox.offer(one, "x", "emit", encode(LARGE))
    assert len(line.of(FrameKind.RESERVE)) == MAX_RESERVES

    outbox.on_grant(3, segment())
    outbox.fill_granted()

    assert len(line.of(FrameKind.RESERVE)) == MAX_RESERVES + 1
    assert line.sent() == []


def test_a_value_above_the_bound_is_taken_when_nothing_else_waits(outbox):
    outbox.bound_bytes = 10

    assert outbox.offer(firing(), "x", "emit", encode(LARGE)) is not None


def test_a_full_outbox_makes_callers_wait_until_there_is_room(outbox, line):
    outbox.bound_bytes = len(LARGE)
    one = firing()
    outbox.offer(one, "x", "emit", encode(LARGE))
    second = threading.Thread(target=outbox.offer, args=(one, "y", "emit", encode(b"y")))
    second.start()
    outbox.on_grant(1, segment())
    outbox.fill_granted()
    second.join(5)

    assert not second.is_alive()
    assert line.sent() == [("x", 0), ("y", 0)]


def test_drained_follows_the_last_item_and_the_return(outbox, line):
    one = firing()
    outbox.offer(one, "x", "emit", encode(LARGE))
    outbox.finish(one, b"")
    assert line.of(FrameKind.DRAINED) == []

    outbox.on_grant(1, segment())
    outbox.fill_granted()

    assert [frame.kind for frame in line.frames][-2:] == [FrameKind.EMIT, FrameKind.DRAINED]


def test_a_refused_item_is_dropped_and_its_firing_told(outbox, line):
    one = firing()
    outbox.offer(one, "x", "emit", encode(LARGE))
    outbox.on_refuse(1, "too large")

    with pytest.raises(OutputRefused, match="too large"):
        outbox.offer(one, "x", "emit", encode(1))
    outbox.finish(one, b"")
    assert len(line.of(FrameKind.DRAINED)) == 1
    assert outbox.queued_bytes == 0


def test_a_segment_that_cannot_be_written_loses_its_item(outbox, line):
    one = firing()
    item = outbox.offer(one, "x", "emit", encode(LARGE), own=True)
    outbox.on_grant(1, os.open(os.devnull, os.O_RDONLY))

    with pytest.raises(OutputRefused):
        outbox.fill(item)
    assert line.sent() == []
    assert one.pending == 0


def test_answers_to_nothing_are_ignored(outbox, line):
    outbox.on_grant(9, segment())
    outbox.on_refuse(9, "why")

    assert line.frames == []


def test_a_caller_that_waited_past_the_return_is_turned_away(outbox, line):
    outbox.bound_bytes = len(LARGE)
    one = firing()
    outbox.offer(one, "x", "emit", encode(LARGE))
    turned_away = []

    def late():
        try:
            outbox.offer(one, "y", "emit", encode(b"y"))
        except NoActivation:
            turned_away.append(True)

    thread = threading.Thread(target=late)
    thread.start()
    with outbox.changed:
        one.closed = True
    outbox.on_grant(1, segment())
    outbox.fill_granted()
    thread.join(5)

    assert turned_away == [True]
    assert line.sent() == [("x", 0)]


def test_an_output_is_made_in_one_way(outbox):
    one = firing()
    outbox.offer(one, "x", "emit", encode(1))

    with pytest.raises(OutputMisused, match="was emitted before"):
        outbox.offer(one, "x", "chunk", encode(b"1"))


@pytest.mark.parametrize("start", State)
@pytest.mark.parametrize("end", State)
def test_only_the_transitions_of_the_table_are_allowed(start, end):
    item = Item(firing(), "x", {"n": 0})
    item.state = start
    if end in TRANSITIONS[start]:
        item.move(end)
        assert item.state is end
    else:
        with pytest.raises(InvalidTransition):
            item.move(end)


class AnyOrder(RuleBasedStateMachine):
    """Offers, grants, writes and refusals in any order."""

    def __init__(self):
        super().__init__()
        self.line = Line()
        self.outbox = Outbox(self.line, lambda: None)
        self.outbox.bound_bytes = 1 << 40
        self.firings = {number: firing(number) for number in (1, 2)}
        self.answered = set()
        self.lost = set()
        self.offered = defaultdict(int)
        self.own = []

    def open_requests(self):
        return [f.meta["r"] for f in self.line.of(FrameKind.RESERVE) if f.meta["r"] not in self.answered]

    @rule(number=st.sampled_from([1, 2]), output=st.sampled_from("xy"), large=st.booleans(), own=st.booleans())
    def offer(self, number, output, large, own):
        one = self.firings[number]
        if one.failure is not None or one.returned:
            return
        item = self.outbox.offer(one, output, "emit", encode(LARGE if large else b"s"), own=own)
        self.offered[number, output] += 1
        if item is not None and own:
            self.own.append(item)

    @precondition(lambda self: self.open_requests())
    @rule(data=st.data(), refuse=st.booleans())
    def answer(self, data, refuse):
        request = data.draw(st.sampled_from(self.open_requests()))
        self.answered.add(request)
        if refuse:
            self.outbox.on_refuse(request, "no")
            self.lost.add(request)
        else:
            self.outbox.on_grant(request, segment())

    @rule()
    def write(self):
        self.outbox.fill_granted()
        for item in [item for item in self.own if self.outbox.granted(item)]:
            self.own.remove(item)
            try:
                self.outbox.fill(item)
            except OutputRefused:
                assert item.request in self.lost

    @rule(number=st.sampled_from([1, 2]))
    def finish(self, number):
        if not self.firings[number].returned:
            self.outbox.finish(self.firings[number], b"")

    @invariant()
    def items_leave_in_order(self):
        sent = defaultdict(list)
        for frame in self.line.of(FrameKind.EMIT):
            sent[frame.meta["f"], frame.meta["o"]].append(frame.meta["i"])
        for indices in sent.values():
            assert indices == sorted(set(indices))

    def teardown(self):
        while self.open_requests() or self.own:
            for request in self.open_requests():
                self.answered.add(request)
                self.outbox.on_grant(request, segment())
            self.write()
        self.outbox.fill_granted()
        for number in self.firings:
            self.finish(number)
        assert len(self.line.sent()) == sum(self.offered.values()) - len(self.lost)
        assert len(self.line.of(FrameKind.DRAINED)) == 2
        assert self.outbox.queued_bytes == 0


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
