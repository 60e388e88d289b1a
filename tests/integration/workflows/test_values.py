"""What travels between steps: JSON, bytes, arrays and streams, end to end with real actions."""

from __future__ import annotations

import base64
from pathlib import Path

from tests.support.deploying import Deployer

ECHO = "def main(args):\n    return args\n"
MEASURE = """\
def main(args):
    data = args['data']
    return {'type': type(data).__name__, 'size': len(bytes(data)), 'first': bytes(data)[:3].hex()}
"""


def test_bytes_arrive_as_bytes_small_and_large(live: Deployer):
    text = """
    dataflow: 1
    steps:
      make: {action: bytes, inputs: $run}
      read: {action: measure, inputs: {data: make.data}}
    result: read
    """
    make = "from action_runtime import emit\ndef main(args):\n    emit('data', b'abc' * args['n'])\n"
    live.workflow(text, measure=MEASURE, bytes=make)
    for n in (1, 1_000, 1_000_000):
        assert live.run(n=n) == {"type": "memoryview", "size": 3 * n, "first": "616263"}


def test_bytes_show_as_data_where_json_is_all_there_is(live: Deployer):
    make = "def main(args):\n    return {'data': bytes(range(5))}\n"
    live.workflow("{dataflow: 1, steps: {make: {action: five}}, result: {data: make.data}}", five=make)
    shown = {"$data": {"type": "bytes", "base64": base64.b64encode(bytes(range(5))).decode()}}
    assert live.run() == {"data": shown}


def test_what_shows_as_data_in_the_parameters_arrives_as_bytes(live: Deployer):
    live.workflow("{dataflow: 1, steps: {a: {action: measure, inputs: {data: $run.data}}}, result: a}", measure=MEASURE)
    data = {"$data": {"type": "bytes", "base64": base64.b64encode(b"abcd").decode()}}
    assert live.run(data=data) == {"type": "memoryview", "size": 4, "first": "616263"}


def test_arrays_arrive_with_shape_and_type_and_map_the_same_memory(live: Deployer):
    text = """
    dataflow: 1
    steps:
      make: {action: matrix, inputs: $run}
      read: {action: read, inputs: {matrix: make.matrix}}
    result: read
    """
    make = """\
import numpy
from action_runtime import emit
def main(args):
    emit('matrix', numpy.arange(args['n'] * 4, dtype='float32').reshape(args['n'], 4))
"""
    read = """\
import numpy
def main(args):
    m = args['matrix']
    return {'shape': m.shape, 'dtype': str(m.dtype), 'sum': float(m[-1].sum()), 'writeable': m.flags.writeable}
"""
    live.workflow(text, matrix=make, read=read)
    assert live.run(n=2) == {"shape": [2, 4], "dtype": "float32", "sum": 22.0, "writeable": False}
    assert live.run(n=100_000)["shape"] == [100_000, 4]


def test_a_value_is_a_snapshot_of_the_moment_of_emit(live: Deployer):
    text = """
    dataflow: 1
    steps:
      make: {action: changing}
      read: {action: measure, inputs: {data: make.data}}
    result: read
    """
    make = """\
from action_runtime import emit
def main(args):
    data = bytearray(b'abc' * 100_000)
    emit('data', data)
    data[:3] = b'xyz'
"""
    live.workflow(text, changing=make, measure=MEASURE)
    assert live.run()["first"] == "616263"


def test_a_consumer_reads_a_stream_while_its_producer_still_writes(live: Deployer, tmp_path: Path):
    text = """
    dataflow: 1
    steps:
      write: {action: write, inputs: $run}
      read: {action: read, inputs: {lines: {stream: write.lines}, answer: $run.answer}}
    result: {read: read, wrote: write.saw}
    """
    write = """\
import os, time
from action_runtime import open_output
def main(args):
    with open_output('lines') as lines:
        lines.write(b'one\\n')
        lines.flush()
        deadline = time.time() + 10
        while not os.path.exists(args['answer']) and time.time() < deadline:
            time.sleep(0.01)
        lines.write(b'two\\n')
    return {'saw': os.path.exists(args['answer'])}
"""
    read = """\
import io
from action_runtime import open_input
def main(args):
    lines = io.BufferedReader(open_input('lines'))
    first = lines.readline()
    open(args['answer'], 'w').close()
    return {'lines': [first.decode(), lines.read().decode()]}
"""
    live.workflow(text, write=write, read=read)
    answer = str(tmp_path / "answer")
    assert live.run(answer=answer) == {"read": {"lines": ["one\n", "two\n"]}, "wrote": True}


def test_emitted_items_can_be_read_as_a_stream(live: Deployer):
    text = """
    dataflow: 1
    steps:
      source: {action: items, inputs: $run}
      sum: {action: sum, inputs: {items: {stream: source.item}}}
    result: sum
    """
    items = (
        "from action_runtime import emit\ndef main(args):\n    for n in range(args['n']):\n        emit('item', n)\n"
    )
    total = """\
from action_runtime import open_input
def main(args):
    return {'sum': sum(open_input('items'))}
"""
    live.workflow(text, items=items, sum=total)
    assert live.run(n=100) == {"sum": 4950}


def test_a_stream_whose_producer_fails_breaks_off_for_its_reader(live: Deployer):
    text = """
    dataflow: 1
    steps:
      write: {action: breaks}
      read: {action: tries, inputs: {lines: {stream: write.lines}}}
      why: {action: echo, inputs: {why: write.$error}}
    result: {read: read.saw, why: why.why}
    """
    breaks = """\
from action_runtime import open_output
def main(args):
    lines = open_output('lines')
    lines.write(b'one')
    lines.flush()
    raise OSError('the sensor is gone')
"""
    tries = """\
from action_runtime import open_input
def main(args):
    try:
        open_input('lines').readall()
    except Exception as error:
        return {'saw': f'{type(error).__name__}: {error}'}
    return {'saw': 'nothing'}
"""
    live.workflow(text, breaks=breaks, tries=tries, echo=ECHO)
    saw = "InputBroken: input 'lines' broke off: step 'write' failed"
    assert live.run() == {"read": saw, "why": "the sensor is gone"}


def test_async_functions_and_threads_may_emit(live: Deployer):
    text = """
    dataflow: 1
    steps:
      source: {action: both}
      one: {action: echo, inputs: {n: {each: source.item}}}
      all: {action: echo, inputs: {of: {gather: one.n}}}
    result: all
    """
    both = """\
import asyncio, threading
from action_runtime import emit
async def main(args):
    emit('item', 'coroutine')
    await asyncio.sleep(0)
    thread = threading.Thread(target=emit, args=('item', 'thread'))
    thread.start()
    thread.join()
"""
    live.workflow(text, both=both, echo=ECHO)
    assert live.run() == {"of": ["coroutine", "thread"]}
