import io

import pytest
from rich.console import Console

from controller_ext.cli.timeline import Timeline, from_trace
from controller_ext.cli.timeline_view import bar, draw, duration, paths, size
from tests.support.activations import a_firing, a_run


def traced(run, *firings) -> Timeline:
    return from_trace({"activationId": run["activationId"], "run": run, "firings": firings})


def drawn(timeline, width: int = 120, **options) -> str:
    page = io.StringIO()
    Console(width=width, file=page).print(draw(timeline, width, **options))
    return page.getvalue()


def test_a_bar_shows_each_phase_at_its_time():
    firing = a_firing(1, queued=1000.0, matched=1000.0, started=1010.0, returned=1015.0, drained=1020.0)
    timeline = traced(a_run(firing), firing)

    assert bar(timeline.firings[0], timeline, 20).plain == "░░░░░░░░░░█████▒▒▒▒▒"


def test_a_function_too_short_for_the_scale_still_takes_a_character():
    firing = a_firing(1, queued=1000.0, matched=1000.0, started=1010.0, returned=1010.001, drained=1010.001)
    timeline = traced(a_run(firing), firing)

    assert bar(timeline.firings[0], timeline, 20).plain.count("█") == 1


def test_the_drawing_names_run_steps_and_bytes():
    firing = a_firing(1, tag=[7])

    text = drawn(traced(a_run(firing), firing))

    assert "wordcount ffffffff" in text
    assert "success in 20 ms, 1 firing" in text
    assert "count[7]" in text
    assert "2.0K m" in text
    assert "all out: 2.0 KiB memory" in text


def test_of_a_long_label_the_end_is_shown_in_which_firings_differ():
    firings = [a_firing(number, "root[0].body[0][0].body", tag=[number]) for number in (7, 8)]

    text = drawn(traced(a_run(*firings), *firings))

    assert "…y[0][0].body[7] " in text
    assert "…y[0][0].body[8] " in text


def test_times_of_the_headline_are_those_of_the_axis():
    firing = a_firing(1, returned=1019.0, drained=1052.0)

    lines = drawn(traced(a_run(firing), firing)).splitlines()

    assert "success in 20 ms (all data had left after 52 ms), 1 firing" in lines[0]
    assert lines[1].split()[:4] == ["step", "0", "52", "ms"]


def test_further_attempts_are_no_firings():
    attempts = [a_firing(number, tag=[0], attempt=number) for number in (1, 2, 3)]
    other = a_firing(9, tag=[1], attempt=2)  # its first one has no record (yet)
    timeline = traced(a_run(*attempts, other, firings=5), *attempts, other)

    text = drawn(timeline)

    assert "2 firings, 2 further attempts" in text
    assert "1 record not there (yet)" in text


def test_a_failed_run_says_which_firing_failed_with_what_and_where_to_read_on():
    good = a_firing(1, "split")
    bad = a_firing(2, "shout", tag=[0]) | {"statusCode": 1, "error": "no shouting"}
    del bad["response"]
    run = a_run(good, bad) | {"response": {"status": "application error", "result": {"error": "no shouting"}}}

    lines = drawn(traced(run, good, bad)).splitlines()

    assert lines[1].rstrip() == f"shout[0]: no shouting  wsk activation logs {bad['activationId']}"
    assert "no shouting" not in "".join(lines[2:])


def test_an_error_of_the_run_itself_is_told_too():
    good = a_firing(1, "split")
    run = a_run(good) | {"response": {"status": "application error", "result": {"error": {"why": "late"}}}}

    assert drawn(traced(run, good)).splitlines()[1].rstrip() == '{"why": "late"}'


def test_a_narrow_terminal_still_shows_every_column():
    sizes = {"inline": 230_000, "memory": 999_000}
    firing = a_firing(1, "start", tag=[10], **{"in": sizes, "out": sizes})

    text = drawn(traced(a_run(firing), firing), width=80)

    assert next(line for line in text.splitlines() if "start[10]" in line).rstrip().endswith("warm")
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= 80


def test_a_run_that_reaches_over_several_hosts_says_where_each_firing_was_and_what_came_from_a_peer():
    firing = a_firing(1, "count", host="invoker1", **{"in": {"memory": 0, "peer": 65_536}})

    text = drawn(traced(a_run(firing), firing))

    line = next(line for line in text.splitlines() if line.startswith("count"))
    assert line.rstrip().endswith("warm invoker1")
    assert "64K p" in line


def test_of_a_large_run_the_first_and_the_last_firings_are_drawn():
    firings = [a_firing(number, tag=[number], started=1000.0 + number) for number in range(30)]
    timeline = traced(a_run(*firings), *firings)

    cut, whole = drawn(timeline, most=10), drawn(timeline, most=34)

    assert [number for number in range(30) if f"count[{number}] " in cut] == [0, 1, 2, 3, 4, 5, 26, 27, 28, 29]
    assert "20 more" in cut
    assert all(f"count[{number}] " in whole for number in range(30))


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (5 << 20, "5.0 MiB"), (5 << 40, "5120.0 GiB")]
)
def test_a_size_has_the_unit_that_fits(count, text):
    assert size(count) == text


@pytest.mark.parametrize(("length", "text"), [(0.52, "0.5 ms"), (12, "12 ms"), (12_340, "12.3 s")])
def test_a_duration_has_the_unit_that_fits(length, text):
    assert duration(length) == text


def test_paths_without_bytes_are_left_out():
    assert paths({"inline": 3, "memory": 0}) == "3 B inline"
    assert paths({}) == "–"
