"""The benchmarks run, and their report is complete; nothing here says how fast anything must be."""

import json

import pytest

from tests.benchmarks import profile
from tests.benchmarks.__main__ import main
from tests.benchmarks.scenarios import SCENARIOS

ROLES = {"workers", "balancer", "invoker", "containers", "callers"}
SHORT_SET_S = 180
"""What `make bench` may take (issue A)."""


def check(report) -> None:
    assert report["failures"] == {}
    for row in report["rows"]:
        assert set(row) == {"scenario", "case", "unit", "dataflow", "baseline", "ratio"}
        assert (row["baseline"] is None) == (row["ratio"] is None)
        for series in (row["dataflow"], row["baseline"]):
            assert series is None or (set(series) == {"median", "p99", "count"} and series["median"] > 0)


@pytest.mark.timeout(90)
def test_a_scenario_reports_data_flow_baseline_ratio_median_and_p99(tmp_path, capsys):
    files = {f"--{name}": tmp_path / name for name in ("json", "markdown", "headlines")}
    files["--headlines"].write_text("before\n<!-- figures -->\nold\n<!-- end of figures -->\nafter\n")
    options = [str(part) for pair in files.items() for part in pair]

    assert main(["--short", *options, "invoke", "controller", "sequence"]) == 0

    report = json.loads(files["--json"].read_text())
    check(report)
    invoke, share, empty, *_, sequence = report["rows"]
    assert share["dataflow"]["count"] == empty["dataflow"]["count"]
    assert invoke["baseline"] is None
    assert sequence["ratio"] == pytest.approx(sequence["baseline"]["median"] / sequence["dataflow"]["median"])
    assert "4 steps, 900 KB" in files["--markdown"].read_text()
    top = files["--headlines"].read_text()
    assert "4 steps, 900 KB" in top
    assert top.startswith("before\n")
    assert "old" not in top
    assert "4 steps, 900 KB" in capsys.readouterr().out


def test_an_unknown_scenario_is_told_which_there_are(capsys):
    with pytest.raises(SystemExit):
        main(["nothing"])

    assert ", ".join(SCENARIOS) in capsys.readouterr().err


@pytest.mark.timeout(90)
def test_a_profile_accounts_for_every_process_on_the_path(capsys):
    assert profile.main(["invoke", "--seconds", "1"]) == 0

    lines = capsys.readouterr().out.splitlines()
    books = {line.split()[0]: line.split()[1] for line in lines if line.split()[:1] and line.split()[0] in ROLES}
    assert set(books) == ROLES
    assert all(float(ms) > 0 for ms in books.values())


def test_an_unknown_load_is_told_which_there_are(capsys):
    with pytest.raises(SystemExit):
        profile.main(["nothing"])

    assert ", ".join(profile.LOADS) in capsys.readouterr().err


@pytest.mark.bench
@pytest.mark.timeout(SHORT_SET_S)
def test_the_short_set_measures_everything_in_three_minutes(tmp_path):
    assert main(["--short", "--json", str(tmp_path / "report.json")]) == 0

    check(json.loads((tmp_path / "report.json").read_text()))
