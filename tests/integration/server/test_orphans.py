"""The orphan TTL on a whole server: what a run holds is its own, however long it lasts."""

import pytest

TTL_S = 0.3
PRODUCE = """
from action_runtime import emit

def main(args):
    emit("small", "abc")
    emit("large", bytes(1 << 20))
    return {}
"""
LINGER = """
import time

def main(args):
    time.sleep(1.5)
    return {"done": True}
"""
SIZES = """
def main(args):
    return {"small": len(args["small"]), "large": len(args["large"])}
"""
INNER = """
dataflow: 1
steps:
  produce: {action: produce}
  linger: {action: linger, inputs: {n: $run.n}}
  sizes: {action: sizes, inputs: {small: produce.small, large: produce.large, after: linger.done}}
result: sizes
"""
OUTER = """
dataflow: 1
steps:
  inner: {action: inner, inputs: {n: {value: 1}}}
result: inner
"""


@pytest.mark.timeout(60)
def test_data_of_a_run_that_lasts_longer_than_the_ttl_stay_for_the_step_that_waits_for_them(make_server):
    server = make_server(environ={"DATAFLOWER_INVOKER_ORPHAN_TTL_S": str(TTL_S)}).start()
    client = server.client()
    try:
        client.workflow(INNER, "inner", produce=PRODUCE, linger=LINGER, sizes=SIZES)
        client.workflow(OUTER, "outer")

        assert client.run("inner", n=1) == {"small": 3, "large": 1 << 20}
        assert client.run("outer") == {"small": 3, "large": 1 << 20}

        assert "orphaned data freed" not in (server.data / "log" / "invoker.log").read_text()
    finally:
        client.close()
    server.stop()
