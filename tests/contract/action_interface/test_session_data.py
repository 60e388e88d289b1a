"""The container's side of PROTOCOL.md: inputs and outputs beside a function that runs."""

import json
import os

import numpy as np
import pytest

from action_runtime.wire.frames import FrameKind
from tests.support.relay import sealed
from tests.support.waiting import wait_until

LARGE = 100_000
GATED = (
    "import os\nfrom action_runtime import emit\n"
    "def main(args):\n"
    "    if 'gate' in args:\n"
    "        {body}\n"
    "        open(args['gate']).read()\n"
    "    return {{'n': args.get('n', 0)}}\n"
)


@pytest.fixture
def gate(tmp_path):
    """A named pipe on which a function waits, and the call that lets it go on."""
    path = tmp_path / "gate"
    os.mkfifo(path)

    class Gate:
        arguments = {"gate": str(path)}  # noqa: RUF012

        def open(self):
            path.write_text("go")

    return Gate()


@pytest.mark.parametrize("value", ["1", f"b'x' * {LARGE}", f"bytearray({LARGE})", f"'x' * {LARGE}"])
def test_an_output_leaves_before_its_function_returns(relay, gate, value):
    relay.init(GATED.format(body=f"emit('x', {value})"))
    relay.run(gate.arguments, {"x": "value"})

    assert relay.next_emit().output == "x"
    gate.open()
    assert relay.next(FrameKind.RETURNED).meta["counts"] == {"x": ["emit", 1]}


def test_a_small_output_leaves_while_user_code_computes(relay):
    relay.init("from action_runtime import emit\ndef main(args):\n    emit('x', 1)\n    while True: pass\n")
    relay.run({}, {"x": "value"})

    assert relay.next_emit().value == 1


def test_the_next_run_is_taken_while_earlier_outputs_still_leave(relay):
    relay.init(
        "from action_runtime import emit\n"
        "def main(args):\n"
        f"    if args['n'] == 1: emit('x', b'x' * {LARGE})\n"
        "    return args\n"
    )
    relay.granting = False
    first = relay.call({"n": 1}, {"x": "value"})
    second = relay.call({"n": 2}, {"x": "value"})

    assert (first.meta["f"], second.meta["f"]) == (1, 2)
    assert relay.next(FrameKind.DRAINED).meta["f"] == 2
    assert relay.emitted == []
    relay.grant()
    assert relay.next(FrameKind.DRAINED).meta["f"] == 1
    assert relay.emitted[0].data == b"x" * LARGE


def test_emit_blocks_at_the_bound_of_the_outbox_and_goes_on_below_it(open_relay):
    relay = open_relay(outbox_bytes=250_000)
    relay.init(
        "from action_runtime import emit\n"
        f"def main(args):\n    for i in range(4): emit('x', bytes([i]) * {LARGE})\n    return {{}}\n"
    )
    relay.granting = False
    relay.run({}, {"x": "value"})
    relay.wait_for_reserve(2)

    assert relay.quiet()
    relay.granting = True
    relay.grant()
    relay.grant()
    relay.next(FrameKind.RETURNED)
    relay.next(FrameKind.DRAINED)
    assert [(e.index, e.data[0]) for e in relay.emitted] == [(i, i) for i in range(4)]


def test_items_of_an_output_keep_their_order_and_do_not_hold_up_other_outputs(relay):
    relay.init(
        "from action_runtime import emit\n"
        "def main(args):\n"
        f"    emit('x', b'x' * {LARGE})\n    emit('x', 'small')\n    emit('y', 'other')\n    return {{}}\n"
    )
    relay.granting = False
    relay.call({}, {"x": "value", "y": "value"})

    assert [(e.output, e.index) for e in relay.emitted] == [("y", 0)]
    relay.grant()
    relay.next(FrameKind.DRAINED)
    assert [(e.output, e.index) for e in relay.emitted] == [("y", 0), ("x", 0), ("x", 1)]


@pytest.mark.parametrize("size", [8, LARGE])
def test_an_emitted_value_is_a_snapshot(relay, size):
    relay.init(
        "from action_runtime import emit\n"
        "def main(args):\n"
        f"    raw = bytearray(b'a' * {size})\n    emit('raw', raw)\n    raw[:] = b'b' * {size}\n"
        f"    items = ['a' * {size}]\n    emit('json', items)\n    items.append('b')\n"
        "    return {}\n"
    )
    relay.call({}, {"raw": "value", "json": "value"})
    relay.next(FrameKind.DRAINED)

    assert {e.output: e.value for e in relay.emitted} == {"raw": b"a" * size, "json": ["a" * size]}


def test_a_mutable_buffer_that_is_returned_is_written_before_the_return(relay):
    relay.init(f"shared = bytearray({LARGE})\ndef main(args):\n    shared[0] = args['n']\n    return {{'x': shared}}\n")
    relay.call({"n": 1}, {"x": "value"})
    relay.call({"n": 2}, {"x": "value"})

    assert [e.data[0] for e in relay.emitted] == [1, 2]


def test_outputs_that_nobody_wants_are_counted_and_dropped(relay):
    relay.init(
        "from action_runtime import emit\n"
        f"def main(args):\n    emit('x', b'x' * {LARGE})\n    emit('x', 1)\n    return {{}}\n"
    )

    assert relay.call().meta["counts"] == {"x": ["emit", 2]}
    assert relay.emitted == []


def test_a_refused_value_raises_where_it_can_still_be_caught(relay):
    relay.init(
        "from action_runtime import emit\n"
        "def main(args):\n"
        f"    try:\n        emit('x', bytearray({LARGE}))\n"
        "    except Exception as error:\n"
        "        return {'code': error.code, 'blame': error.blame.name, 'text': str(error)}\n"
    )
    relay.refusing = "the sink holds 1024 bytes at most"

    body = json.loads(relay.call({}, {"x": "value"}).payload)

    assert (body["code"], body["blame"]) == ("output-refused", "DEVELOPER")
    assert "the sink holds 1024 bytes at most" in body["text"]


@pytest.mark.parametrize("source", [f"emit('x', b'x' * {LARGE})\n    return {{}}", f"return {{'x': b'x' * {LARGE}}}"])
def test_a_value_refused_behind_the_function_s_back_makes_it_an_error(relay, source):
    relay.init(f"from action_runtime import emit\ndef main(args):\n    {source}\n")
    relay.granting = False
    relay.run({}, {"x": "value"})
    relay.wait_for_reserve()
    request, _ = relay.reserved.popleft()
    relay.send(FrameKind.REFUSE, {"r": request, "error": "too large"})

    relay.next(FrameKind.RETURNED)
    assert relay.next(FrameKind.DRAINED).meta["held_bytes"] == 0
    assert relay.call({}).meta["status"] == "ok"


def test_a_returned_field_above_the_largest_value_makes_the_function_an_error_at_once(open_relay):
    relay = open_relay(largest_bytes=LARGE)
    relay.init(
        "def main(args):\n"
        "    return {'a': 1} if args.get('small') else"
        f" {{'a': 1, 'b': b'x' * {LARGE}, 'c': b'x' * {LARGE + 1}}}\n"
    )
    relay.run({}, {"a": "value", "b": "value", "c": "value"})

    returned = relay.next(FrameKind.RETURNED)
    assert returned.meta["status"] == "error"
    assert f"at most {LARGE} bytes" in json.loads(returned.payload)["error"]
    assert relay.next(FrameKind.DRAINED).meta["held_bytes"] == 0
    assert relay.call({"small": True}).meta["status"] == "ok"


def test_while_throttled_emit_waits_until_all_has_left(relay, gate):
    relay.init(GATED.format(body=f"emit('x', b'x' * {LARGE}); emit('y', 1)"))
    relay.granting = False
    relay.send(FrameKind.THROTTLE, {"on": True})
    relay.run(gate.arguments, {"x": "value", "y": "value"})
    relay.wait_for_reserve()

    assert relay.quiet()
    assert relay.emitted == []
    relay.grant()
    assert [relay.next_emit().output for _ in range(2)] == ["x", "y"]
    gate.open()


def test_emit_works_from_any_thread(relay):
    relay.init(
        "import threading\nfrom action_runtime import emit\n"
        "def main(args):\n"
        f"    threads = [threading.Thread(target=lambda i=i: [emit('x', i), emit('x', bytearray({LARGE}))])\n"
        "               for i in range(8)]\n"
        "    [t.start() for t in threads]\n    [t.join() for t in threads]\n    return {}\n"
    )
    relay.call({}, {"x": "value"})
    relay.next(FrameKind.DRAINED)

    assert [e.index for e in relay.emitted] == list(range(16))


def test_emit_after_the_return_says_so(relay, gate, tmp_path):
    mark = tmp_path / "mark"
    relay.init(
        "import threading\nfrom action_runtime import emit\n"
        "def late(args):\n"
        "    open(args['gate']).read()\n"
        "    try:\n        emit('x', 1)\n"
        "    except Exception as error:\n        open(args['mark'], 'w').write(error.code)\n"
        "def main(args):\n    threading.Thread(target=late, args=(args,)).start()\n    return {}\n"
    )
    relay.call({**gate.arguments, "mark": str(mark)}, {"x": "value"})
    gate.open()

    wait_until(lambda: mark.exists() and mark.read_text() == "no-activation", within_s=10)


def test_small_inputs_come_inline(relay):
    relay.init(
        "def main(args):\n    return {'raw': bytes(args['raw']).decode(), 'list': args['list'], 'whole': args['a']}\n"
    )
    payload = b'{"a": 1, "raw": 0}' + b"bytes" + b"1" + b'"two"'
    inputs = [
        {"name": "", "value": {"t": "json", "n": 18, "at": 0}},
        {"name": "raw", "value": {"t": "bytes", "n": 5, "at": 18}},
        {"name": "list", "value": [{"t": "json", "n": 1, "at": 23}, [{"t": "json", "n": 5, "at": 24}]]},
    ]
    relay.run(inputs=inputs, payload=payload)

    assert json.loads(relay.next(FrameKind.RETURNED).payload) == {"raw": "bytes", "list": [1, ["two"]], "whole": 1}


def test_large_inputs_are_mapped_at_their_offset_and_chunks_are_joined(relay):
    relay.init(
        "def main(args):\n"
        "    json = len(args.pop('json'))\n"
        "    return {'json': json, **{k: [len(v), bytes(v[:2]).decode(), v.readonly] for k, v in args.items()}}\n"
    )
    text = json.dumps(["x"] * LARGE).encode()
    segments = (sealed(b"ab" * LARGE), sealed(text), sealed(b"-" * 5000 + b"cd" * LARGE))
    chunks = [{"t": "bytes", "n": 10, "seg": 0}, {"t": "bytes", "n": 6, "seg": 2, "at": 5000}]
    inputs = [
        {"name": "raw", "value": {"t": "bytes", "n": 2 * LARGE, "seg": 0}},
        {"name": "json", "value": {"t": "json", "n": len(text), "seg": 1}},
        {"name": "part", "value": {"t": "bytes", "n": 2 * LARGE, "seg": 2, "at": 5000}},
        {"name": "joined", "value": {"t": "bytes", "n": 16, "chunks": chunks}},
    ]
    relay.run(inputs=inputs, segments=segments)

    assert json.loads(relay.next(FrameKind.RETURNED).payload) == {
        "raw": [2 * LARGE, "ab", True],
        "part": [2 * LARGE, "cd", True],
        "joined": [16, "ab", True],
        "json": LARGE,
    }
    assert relay.next(FrameKind.DRAINED).meta["held_bytes"] == 0


def test_an_array_passes_through_two_functions_without_a_copy(relay):
    relay.init(
        "import numpy\n"
        "def main(args):\n"
        "    a = args['a']\n"
        "    return {'sum': float(a.sum()), 'kind': type(a).__name__, 'owns': a.flags.owndata, 'shape': a.shape,\n"
        "            'writable': a.flags.writeable, 'out': a[:, ::2]}\n"
    )
    array = np.arange(20000, dtype="<f8").reshape(100, 200)
    head = {"t": "array", "n": array.nbytes, "shape": [100, 200], "dtype": "<f8"}
    relay.run(
        inputs=[{"name": "a", "value": head | {"seg": 0}}],
        segments=(sealed(array.tobytes()),),
        wants={"out": "value", "sum": "value", "kind": "value", "owns": "value", "writable": "value"},
    )
    relay.next(FrameKind.RETURNED)
    relay.next(FrameKind.DRAINED)
    values = {e.output: e for e in relay.emitted}

    assert values["kind"].value == "ndarray"
    assert (values["owns"].value, values["writable"].value) == (False, False)
    assert values["sum"].value == array.sum()
    assert (values["out"].head.shape, values["out"].head.dtype) == ((100, 100), "<f8")
    assert values["out"].data == array[:, ::2].tobytes()


def test_a_function_that_keeps_its_input_says_so_and_when_it_lets_go(relay):
    relay.init(
        "kept = []\n"
        "def main(args):\n"
        "    if args.get('drop'): kept.clear()\n"
        "    else: kept.append(args['x'][10:20])\n"
        "    return {}\n"
    )
    relay.run(inputs=[{"name": "x", "value": {"t": "bytes", "n": LARGE, "seg": 0}}], segments=(sealed(b"x" * LARGE),))

    assert relay.next(FrameKind.DRAINED).meta == {"f": 1, "held_bytes": LARGE}
    relay.run({"drop": True})
    assert relay.next(FrameKind.FREED).meta == {"f": 1, "held_bytes": 0}
    assert relay.next(FrameKind.DRAINED).meta == {"f": 2, "held_bytes": 0}


def test_an_input_that_is_returned_or_raised_with_is_not_held(relay):
    relay.init(
        "def main(args):\n    if 'fail' in args: raise ValueError(bytes(args['x'][:1]))\n    return {'x': args['x']}\n"
    )
    for extra in ([], [{"name": "fail", "value": {"t": "json", "n": 1, "at": 0}}]):
        relay.run(
            inputs=[{"name": "x", "value": {"t": "bytes", "n": LARGE, "seg": 0}}, *extra],
            payload=b"1",
            segments=(sealed(b"x" * LARGE),),
            wants={"x": "value"},
        )
        assert relay.next(FrameKind.DRAINED).meta["held_bytes"] == 0


def test_no_descriptor_stays_open_after_many_runs(relay):
    relay.init(
        "import os\ndef main(args):\n    return {'open': len(os.listdir('/proc/self/fd')), 'x': bytes(args['x'])}\n"
    )
    counts = []
    for _ in range(20):
        relay.run(
            inputs=[{"name": "x", "value": {"t": "bytes", "n": LARGE, "seg": 0}}],
            segments=(sealed(b"x" * LARGE),),
            wants={"x": "value", "open": "value"},
        )
        relay.next(FrameKind.DRAINED)
        counts.append(next(e.value for e in reversed(relay.emitted) if e.output == "open"))

    assert len(set(counts)) == 1


def test_a_streamed_input_is_read_while_it_comes_and_gives_credit(relay):
    relay.init(
        "from action_runtime import emit, open_input\n"
        "def main(args):\n"
        "    for part in open_input('s'):\n"
        "        emit('seen', bytes(part).decode() if isinstance(part, memoryview) else part)\n"
        "    return {}\n"
    )
    firing = relay.run(inputs=[{"name": "s", "stream": True}], wants={"seen": "value"})
    for text in ("one", "two"):
        relay.send(FrameKind.CHUNK, {"f": firing, "input": "s", "t": "bytes", "n": 3, "at": 0}, text.encode())
        assert relay.next_emit().value == text
        assert relay.next(FrameKind.TAKEN).meta == {"f": firing, "input": "s", "count": 1}
    relay.send(FrameKind.CHUNK, {"f": firing, "input": "s", "t": "json", "n": 7, "at": 0}, b'{"a":1}')
    assert relay.next_emit().value == {"a": 1}
    relay.send(FrameKind.STREAM_END, {"f": firing, "input": "s"})

    assert relay.next(FrameKind.RETURNED).meta["status"] == "ok"


def test_a_stream_of_segments_is_read_as_one_file_and_its_credit_adds_up(relay):
    relay.init(
        "from action_runtime import open_input\n"
        "def main(args):\n    data = open_input('s').read()\n    return {'n': len(data), 'sum': sum(data) % 256}\n"
    )
    firing = relay.run(inputs=[{"name": "s", "stream": True}])
    for number in range(6):
        descriptor = sealed(bytes([number]) * LARGE)
        relay.send(
            FrameKind.CHUNK, {"f": firing, "input": "s", "t": "bytes", "n": LARGE, "seg": 0}, descriptors=(descriptor,)
        )
        os.close(descriptor)
    relay.send(FrameKind.STREAM_END, {"f": firing, "input": "s"})

    assert json.loads(relay.next(FrameKind.RETURNED).payload) == {"n": 6 * LARGE, "sum": 15 * LARGE % 256}
    assert relay.next(FrameKind.DRAINED).meta["held_bytes"] == 0
    taken = 0
    while taken < 6:
        taken += relay.next(FrameKind.TAKEN).meta["count"]
    assert taken == 6


def test_a_stream_that_breaks_off_raises(relay):
    relay.init(
        "from action_runtime import open_input\ndef main(args):\n    return {'x': len(open_input('s').read())}\n"
    )
    firing = relay.run(inputs=[{"name": "s", "stream": True}])
    relay.send(FrameKind.STREAM_END, {"f": firing, "input": "s", "error": "the producer failed"})

    returned = relay.next(FrameKind.RETURNED)

    assert returned.meta["status"] == "error"
    assert "the producer failed" in json.loads(returned.payload)["error"]


def test_parts_that_come_too_late_are_dropped(relay):
    relay.init("def main(args):\n    return {}\n")
    firing = relay.run(inputs=[{"name": "s", "stream": True}])
    relay.next(FrameKind.RETURNED)
    relay.send(FrameKind.CHUNK, {"f": firing, "input": "s", "t": "bytes", "n": 1, "at": 0}, b"x")

    assert relay.call().meta["status"] == "ok"


def test_a_written_output_leaves_in_parts_while_it_is_written(relay, gate):
    relay.init(
        "from action_runtime import open_output\n"
        "def main(args):\n"
        "    out = open_output('o', 50000)\n"
        "    out.write(b'a' * 120000)\n"
        "    open(args['gate']).read()\n"
        "    out.write(b'b')\n    out.flush()\n    out.write(b'c')\n    return {}\n"
    )
    relay.run(gate.arguments, {"o": "items"})

    assert [len(relay.next_emit().data) for _ in range(2)] == [50000, 50000]
    gate.open()
    assert relay.next(FrameKind.RETURNED).meta["counts"] == {"o": ["chunk", 4]}
    assert [relay.next_emit().data for _ in range(2)] == [b"a" * 20000 + b"b", b"c"]
    assert {(e.how, e.head.media.value) for e in relay.emitted} == {("chunk", "bytes")}


def test_an_output_that_is_opened_and_never_written_has_no_parts(relay):
    relay.init("from action_runtime import open_output\ndef main(args):\n    open_output('o').close()\n    return {}\n")

    assert relay.call({}, {"o": "items"}).meta["counts"] == {"o": ["chunk", 0]}


def test_many_small_outputs_against_a_slow_reader_are_all_there_in_order(open_relay):
    relay = open_relay(outbox_bytes=1_000_000)
    relay.init(
        "from action_runtime import emit\n"
        "def main(args):\n    for i in range(3000): emit('x', [i, 'x' * 1000])\n    return {}\n"
    )
    relay.run({}, {"x": "value"})
    relay.next(FrameKind.DRAINED)

    assert [e.value[0] for e in relay.emitted] == list(range(3000))


def test_many_items_of_a_returned_list_beyond_the_bound_of_the_outbox_all_leave(open_relay):
    relay = open_relay(outbox_bytes=100_000)
    relay.init("def main(args):\n    return {'x': [[i, 'x' * 1000] for i in range(2000)]}\n")
    relay.run({}, {"x": "items"})

    assert relay.next(FrameKind.RETURNED).meta["counts"] == {"x": ["spread", 2000]}
    assert [e.index for e in relay.emitted] == list(range(2000))


def test_large_returned_fields_come_while_earlier_outputs_wait(relay):
    relay.init(
        "from action_runtime import emit\n"
        f"def main(args):\n    emit('x', b'x' * {LARGE})\n    return {{'y': b'y' * {LARGE}}}\n"
    )
    relay.granting = False
    relay.run({}, {"x": "value", "y": "value"})
    relay.wait_for_reserve(2)
    relay.reserved.rotate(-1)
    relay.grant()

    assert relay.next(FrameKind.RETURNED).meta["counts"] == {"x": ["emit", 1], "y": ["field", 1]}
    assert [e.output for e in relay.emitted] == ["y"]
    relay.grant()
    relay.next(FrameKind.DRAINED)
    assert [e.output for e in relay.emitted] == ["y", "x"]
