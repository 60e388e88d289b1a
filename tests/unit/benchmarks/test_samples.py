import pytest

from tests.benchmarks.actions import hand_over
from tests.benchmarks.harness import in_turn
from tests.benchmarks.report import into, markdown
from tests.benchmarks.samples import Row, Series


def test_the_median_is_a_value_that_was_measured():
    assert Series.of([4, 1, 3, 2]).median == 2


def test_the_99th_percentile_of_few_measurements_is_the_largest():
    assert Series.of([1, 2, 9]).p99() == 9
    assert Series.of(list(range(1, 1001))).p99() == 990


def test_the_99th_percentile_of_a_rate_is_what_99_percent_reach():
    assert Series.of(list(range(1, 1001))).p99(more_is_better=True) == 10


def test_a_series_without_measurements_is_refused():
    with pytest.raises(ValueError, match="at least one"):
        Series.of([])


def test_a_ratio_above_one_is_an_advantage_for_times_and_rates_alike():
    fast, slow = Series.of([2]), Series.of([10])

    time = Row(scenario="s", case="c", unit="ms", dataflow=fast, baseline=slow)
    rate = Row(scenario="s", case="c", unit="1/s", dataflow=slow, baseline=fast, more_is_better=True)

    assert (time.ratio, rate.ratio) == (5, 5)


def test_without_a_baseline_there_is_no_ratio():
    row = Row(scenario="s", case="c", unit="ms", dataflow=Series.of([1]))

    assert row.to_json() == {
        "scenario": "s", "case": "c", "unit": "ms", "baseline": None, "ratio": None,
        "dataflow": {"median": 1, "p99": 1, "count": 1},
    }  # fmt: skip


def test_measures_are_taken_in_turn_and_warm_up_does_not_count():
    order = []

    def measure(name: str) -> list[float]:
        order.append(name)
        return [float(len(order))]

    ours, baseline = in_turn(2, lambda: measure("a"), lambda: measure("b"), warm_up=1)

    assert order == ["a", "b"] * 3
    assert (ours.values, baseline.values) == ((3, 5), (4, 6))


def test_the_workflow_of_a_hand_over_is_valid():
    from controller_ext.workflow.native import parse

    assert len(parse(hand_over(8)).steps) == 9


def test_the_markdown_table_has_a_line_a_row():
    rows = [Row(scenario="s", case="c", unit="ms", dataflow=Series.of([1]), baseline=Series.of([2]))]

    text = markdown(rows, "python -m x").splitlines()

    assert "`python -m x`" in text[0]
    assert text[4] == "| s | c | ms | 1 | 1 | 2 | 2 | 2.0× | – |"


def test_what_stock_takes_stands_beside_ours_and_its_source_is_named():
    rows = [
        Row(scenario="sequences of 4", case="16 callers", unit="runs/s", dataflow=Series.of([428])),
        Row(scenario="sequences of 4", case="16 callers", unit="ms", dataflow=Series.of([31.9])),
    ]

    text = markdown(rows, "x").splitlines()

    assert "Apache OpenWhisk on a machine of this class" in text[0]
    assert text[2].endswith("| stock: lean · logs off · split |")
    assert text[4].endswith("| 117 · 168 · 37 |")


def test_units_of_one_case_share_a_line_of_markdown():
    rows = [
        Row(scenario="s", case="c", unit="ms", dataflow=Series.of([1]), baseline=Series.of([2])),
        Row(
            scenario="s", case="c", unit="runs/s", dataflow=Series.of([8]), baseline=Series.of([4]), more_is_better=True
        ),
    ]

    assert markdown(rows, "x").splitlines()[4:] == [
        "| s | c | ms · runs/s | 1 · 8 | 1 · 8 | 2 · 4 | 2 · 4 | 2.0× · 2.0× | – |"
    ]


def test_figures_replace_what_stands_between_their_markers_and_nothing_else():
    document = "a\n<!-- figures -->\nold\n<!-- end of figures -->\nb\n"

    assert into(document, "new\n") == "a\n<!-- figures -->\nnew\n<!-- end of figures -->\nb\n"
    assert into("something else", "new\n") == "new\n"
