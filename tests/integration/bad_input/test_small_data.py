"""More small data than the sink's budget, which nobody is asked about: their run ends before they fill the memory."""

from __future__ import annotations

from typing import Final

from tests.support.deploying import Deployer

ENVIRON: Final = {
    "DATAFLOWER_INVOKER_SINK_MB": "16",
    "DATAFLOWER_INVOKER_SPILL_MB": "24",
    "DATAFLOWER_INVOKER_USER_MEMORY_MB": "1024",
}
ECHO: Final = "def main(args):\n    return args\n"
EMITS: Final = """
from action_runtime import emit
def main(args):
    for _ in range(args['n']):
        emit('item', b'x' * args['size'])
    return {'done': True}
"""
HOLDING: Final = """
dataflow: 1
steps:
  make: {action: emits, inputs: $run}
  read: {action: count, inputs: {item: {stream: make.item}, after: make.done}}
result: read
"""


def test_a_run_that_emits_small_data_without_end_fails_while_it_emits(live: Deployer):
    live.workflow(HOLDING, emits=EMITS, count=ECHO)

    said = live.fail(status=500, n=20_000, size=15_000)

    assert said.startswith("There is no room for the data of this run: the sink's budget of 16777216 bytes is in use")
    assert "done" not in said
