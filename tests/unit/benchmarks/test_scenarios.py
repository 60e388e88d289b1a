"""What the benchmarks say of themselves."""

import re

import pytest

from controller_ext.workflow.native import parse
from tests.benchmarks.actions import FAN_IN, FAN_OUT, slow_outputs
from tests.benchmarks.report import document
from tests.benchmarks.samples import Row, Series
from tests.benchmarks.scenarios import SCENARIOS
from tests.support.sources import ROOT


def test_every_scenario_is_described():
    text = (ROOT / "tests" / "benchmarks" / "README.md").read_text()
    described = {
        name for line in re.findall(r"^\| (`.*?) \|", text, re.MULTILINE) for name in re.findall("`(.*?)`", line)
    }

    assert described == set(SCENARIOS)


@pytest.mark.parametrize("text", [FAN_IN, FAN_OUT, slow_outputs("bench-slow")], ids=["fan-in", "fan-out", "pressure"])
def test_the_workflow_of_a_scenario_is_valid(text):
    assert parse(text).steps


def test_the_json_report_has_every_row_and_every_failure():
    row = Row(scenario="s", case="c", unit="ms", dataflow=Series.of([1, 2]), baseline=Series.of([4]))

    report = document([row], {"hop": "no server"})

    assert report["rows"] == [row.to_json()]
    assert report["failures"] == {"hop": "no server"}
    assert report["machine"]["cores"] >= 1
