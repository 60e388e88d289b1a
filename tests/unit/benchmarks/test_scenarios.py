"""What the benchmarks say of themselves."""

import re

import pytest

from controller_ext.workflow.native import parse
from tests.benchmarks.actions import FAN_IN, FAN_OUT, slow_outputs
from tests.benchmarks.profile import LOADS, Usage, hottest
from tests.benchmarks.report import HEADLINES, document
from tests.benchmarks.samples import Row, Series
from tests.benchmarks.scenarios import SCENARIOS
from tests.benchmarks.stock import FIGURES
from tests.support.sources import ROOT


def test_every_scenario_is_described():
    text = (ROOT / "tests" / "benchmarks" / "README.md").read_text()
    assert re.findall(r"loads (.*?):", text.replace("\n", " ")) == [spoken(f"`{name}`" for name in LOADS)]
    described = {
        name for line in re.findall(r"^\| (`.*?) \|", text, re.MULTILINE) for name in re.findall("`(.*?)`", line)
    }

    assert described == set(SCENARIOS)


def spoken(words) -> str:
    *first, last = words
    return f"{', '.join(first)} and {last}"


def test_functions_of_a_profile_come_with_their_share_hottest_first():
    text = "main (a.py:1);work (b.py:2) 6\nmain (a.py:1) 1\nstart (c.py:3);work (b.py:2) 3\n"

    assert hottest(text) == [("work (b.py:2)", 0.9), ("main (a.py:1)", 0.1)]
    assert hottest("") == []


def test_what_was_used_is_told_a_call_and_never_below_nothing():
    before, after = Usage(10, 20, 5), Usage(40, 10, 11)

    assert after.since(before, 3) == Usage(10, 0, 2)


def test_the_headlines_of_the_readme_are_cases_of_the_whole_table():
    whole = (ROOT / "tests" / "benchmarks" / "FIGURES.md").read_text()
    cases = {tuple(line.split(" | ")[:2]) for line in whole.splitlines() if line.startswith("| ")}

    assert {(f"| {scenario}", case) for scenario, case in HEADLINES} <= cases


def test_what_stock_takes_stands_beside_rows_of_the_whole_table():
    whole = (ROOT / "tests" / "benchmarks" / "FIGURES.md").read_text()
    lines = [line.split(" | ") for line in whole.splitlines() if line.startswith("| ")]

    for (scenario, case, unit), found in FIGURES.items():
        assert any(
            line[:2] == [f"| {scenario}", case] and unit in line[2].split(" · ") and found.cell() in line[-1]
            for line in lines
        ), (scenario, case, unit)


@pytest.mark.parametrize("text", [FAN_IN, FAN_OUT, slow_outputs("bench-slow")], ids=["fan-in", "fan-out", "pressure"])
def test_the_workflow_of_a_scenario_is_valid(text):
    assert parse(text).steps


def test_the_json_report_has_every_row_and_every_failure():
    row = Row(scenario="s", case="c", unit="ms", dataflow=Series.of([1, 2]), baseline=Series.of([4]))

    report = document([row], {"hop": "no server"})

    assert report["rows"] == [row.to_json()]
    assert report["failures"] == {"hop": "no server"}
    assert report["machine"]["cores"] >= 1
