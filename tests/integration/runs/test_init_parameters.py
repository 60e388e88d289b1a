"""Parameters that an action gets when its code is loaded."""

from __future__ import annotations

from tests.support.deploying import Deployer

FIRST = """
    import time
    def main(args):
        time.sleep(1)  # time enough for the next step's code to be loaded ahead
        return {"n": 1}
    """
READS_AT_IMPORT = """
    import os
    FLAVOUR = os.environ.get("FLAVOUR", "plain")
    def main(args):
        return {"flavour": FLAVOUR, "args": args}
    """
FLOW = """
    dataflow: 1
    steps:
      first: {action: first, inputs: {}}
      second: {action: reads-at-import, inputs: {n: first.n}}
    result: second
    """


def test_code_of_a_later_step_finds_them_however_early_its_container_starts(live: Deployer):
    flavour = [{"key": "FLAVOUR", "value": "vanilla", "init": True}]
    live.action("reads-at-import", READS_AT_IMPORT, parameters=flavour)
    live.workflow(FLOW, first=FIRST)
    assert live.run() == {"flavour": "vanilla", "args": {"n": 1}}
