"""More data than the sink holds: refused at the call, spilled, waited for, or the youngest run fails. Never a hang."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import pytest

from tests.support.deploying import Deployer
from tests.support.server import Server

MIB: Final = 1024 * 1024
ENVIRON: Final = {
    "DATAFLOWER_INVOKER_SINK_MB": "16",
    "DATAFLOWER_INVOKER_SPILL_MB": "24",
    "DATAFLOWER_INVOKER_USER_MEMORY_MB": "1024",
}
ECHO: Final = "def main(args):\n    return args\n"
SIZES: Final = "def main(args):\n    return {'sizes': [len(one) for one in args['of']]}\n"
EMITS: Final = """
from action_runtime import emit
def main(args):
    for _ in range(args['n']):
        emit('item', KIND(args['size']))
    return {'done': True}
"""
PASSING: Final = """
dataflow: 1
steps:
  make: {action: emits, inputs: $run}
  each: {action: size, inputs: {item: {each: make.item}}}
  all: {action: echo, inputs: {sizes: {gather: each.size}}}
result: all.sizes
"""
HOLDING: Final = """
dataflow: 1
steps:
  make: {action: emits, inputs: $run}
  each: {action: echo, inputs: {item: {each: make.item}, done: make.done}}
  all: {action: sizes, inputs: {of: {gather: each.item}}}
result: all
"""
NO_ROOM: Final = (
    "There is no room for the data of this run: the sink's budget of 16777216 bytes is in use and nothing more can "
    "spill, and nothing that runs can free any. Keep less data between steps, or ask the operator for a larger sink."
)


def deploy(live: Deployer, text: str, kind: str = "bytes") -> None:
    size = "def main(args):\n    return {'size': len(args['item'])}\n"
    emits = EMITS.replace("KIND", kind)
    live.workflow(text.replace("all.sizes", "all"), echo=ECHO, sizes=SIZES, size=size, emits=emits)


@pytest.mark.parametrize("kind", ["bytes", "bytearray", "'y'.__mul__"])
def test_a_value_that_never_fits_is_refused_at_the_call(live: Deployer, kind: str):
    deploy(live, PASSING, kind)
    said = "was refused by the host's data sink: it takes at most 14680064 bytes at once; write it in parts with"
    assert said in live.fail(n=1, size=20 * MIB)


def test_a_result_that_never_fits_is_refused_too(live: Deployer):
    huge = "def main(args):\n    return {'x': 'y' * (20 << 20)}\n"
    live.workflow(
        "{dataflow: 1, steps: {h: {action: huge}, e: {action: echo, inputs: {x: h.x}}}, result: e}", huge=huge
    )
    assert live.fail().startswith("output 'x' of 20971522 bytes was refused by the host's data sink: ")


def test_what_never_fits_at_once_passes_as_a_stream(live: Deployer):
    text = """
    dataflow: 1
    steps:
      write: {action: write, inputs: $run}
      read: {action: read, inputs: {data: {stream: write.data}}}
    result: read
    """
    write = """
    from action_runtime import open_output
    def main(args):
        with open_output('data') as data:
            for _ in range(args['mib']):
                data.write(bytes(1 << 20))
    """
    read = """
    from action_runtime import open_input
    def main(args):
        return {'bytes': sum(len(part) for part in open_input('data'))}
    """
    live.workflow(text, write=write, read=read)
    assert live.run(mib=30) == {"bytes": 30 * MIB}
    assert live.fail(mib=60, status=500) == NO_ROOM, (
        "parts stay until their reader has ended: it may have to read again"
    )


def test_far_more_than_the_sink_holds_passes_if_its_readers_keep_up(live: Deployer):
    deploy(live, PASSING)
    assert live.run(n=100, size=MIB) == {"sizes": [MIB] * 100}


def test_what_must_be_held_spills_to_the_disk(live: Deployer):
    deploy(live, HOLDING)
    assert live.run(n=28, size=MIB) == {"sizes": [MIB] * 28}


def test_more_than_sink_and_disk_hold_fails_the_run_with_that_sentence(live: Deployer):
    deploy(live, HOLDING)
    assert live.fail(n=60, size=MIB, status=500) == NO_ROOM


def test_of_many_runs_that_need_more_than_there_is_some_fail_and_the_others_end_well(live: Deployer, server: Server):
    deploy(live, HOLDING)

    def one(_: int) -> tuple[int, str]:
        client = server.client()
        reply = client.invoke("flow", {"n": 10, "size": 2 * MIB})
        client.close()
        return reply.status_code, reply.json().get("error", "")

    with ThreadPoolExecutor(5) as pool:
        seen = Counter(pool.map(one, range(5)))
    assert seen[200, ""] > 0
    assert seen.keys() <= {(200, ""), (500, NO_ROOM)}
