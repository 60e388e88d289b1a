import json

from controller_ext.cli.timeline import Firing, Phase, Timeline, from_trace
from tests.support.activations import a_firing, a_record, a_run


def traced(run, *firings) -> Timeline:
    return from_trace({"activationId": run["activationId"], "run": run, "firings": firings})


def test_the_phases_of_a_firing_follow_each_other_without_gaps():
    firing = traced(a_run(), a_firing(1)).firings[0]

    spans = firing.spans(now_ms=2000)

    assert [span.phase for span in spans] == list(Phase)
    assert [(span.begin_ms, span.end_ms) for span in spans] == [
        (1000, 1002), (1002, 1008), (1008, 1010),
    ]  # fmt: skip


def test_a_running_function_lasts_until_now():
    firing = Firing(activation_id="1", step="count", status="running", matched_ms=5, started_ms=6)

    assert firing.spans(now_ms=9)[-1].end_ms == 9
    assert firing.spans(now_ms=9)[-1].phase is Phase.FUNCTION
    assert firing.function_ms is None


def test_a_firing_that_ended_without_starting_shows_no_phase_it_did_not_have():
    firing = Firing(activation_id="1", step="count", status="whisk internal error", matched_ms=7)

    assert firing.spans(now_ms=9) == ()


def test_firings_stand_in_the_order_of_their_start():
    late, early = a_firing(1, started=1007.0), a_firing(2, started=1003.0, step="start")

    timeline = traced(a_run(late, early), late, early)

    assert [firing.step for firing in timeline.firings] == ["start", "count"]


def test_bytes_are_added_up_by_path():
    one = a_firing(1, "count", **{"in": {"inline": 1, "memory": 10}})
    two = a_firing(2, "count", **{"in": {"memory": 20, "disk": 5}})

    timeline = traced(a_run(one, two), one, two)

    assert timeline.bytes_in == {"inline": 1, "memory": 30, "disk": 5}


def test_records_that_are_not_there_yet_are_counted():
    one, two = a_firing(1), a_firing(2)

    timeline = traced(a_run(one, two), one)

    assert timeline.missing == 1


def test_data_that_leave_after_the_end_of_the_run_belong_to_the_drawing():
    one = a_firing(1, drained=1900.0)

    timeline = traced(a_run(one), one)

    assert (timeline.begin_ms, timeline.end_ms) == (1000.0, 1900.0)


def test_a_firing_of_stock_control_flow_is_drawn_by_its_record():
    record = a_record("1" * 32, "hello", [{"key": "waitTime", "value": 7}])

    firing = traced(a_run(record), record).firings[0]

    assert (firing.step, firing.matched_ms, firing.started_ms, firing.returned_ms) == ("hello", 993, 1000, 1020)
    assert firing.warmth == "warm"


def test_a_run_inside_a_run_is_drawn_by_its_record():
    line = {"firings": 2, "accepted": 1000.5, "ended": 1019.5, "in": 100, "out": 9}
    record = {**a_record("1" * 32, "inner", [{"key": "waitTime", "value": 7}]), "dataflow": line}

    firing = traced(a_run(record), record).firings[0]

    assert (firing.step, firing.started_ms, firing.returned_ms) == ("inner", 1000, 1020)
    assert (firing.bytes_in, firing.bytes_out) == ({}, {})


def test_a_plain_action_is_its_own_only_firing():
    record = a_record("1" * 32, "hello", [{"key": "kind", "value": "python:3.11"}])

    timeline = traced(record, record)

    assert timeline.missing == 0
    assert [firing.label for firing in timeline.firings] == ["hello"]


def test_a_label_names_item_and_repeated_attempt():
    firing = traced(a_run(), a_firing(1, tag=[3, 0], attempt=2)).firings[0]

    assert firing.label == "count[3,0] #2"


def test_the_json_form_holds_every_instant():
    one = a_firing(1, tag=[4])

    document = json.loads(json.dumps(traced(a_run(one), one).to_json()))

    assert document["ended"] == 1020
    assert document["firings"][0] == {
        "activationId": one["activationId"], "step": "count", "tag": [4], "attempt": 1, "status": "success",
        "warmth": "warm", "container": "c1", "host": "", "queued": 1001, "matched": 1000, "started": 1002,
        "returned": 1008, "drained": 1010, "in": {"inline": 100}, "out": {"memory": 2048}, "error": "",
    }  # fmt: skip


def test_a_list_item_with_a_time_line_beside_it_is_read_too():
    firing = a_firing(1)
    spans = firing["annotations"].pop()["value"]
    del firing["response"]

    timeline = traced(a_run(firing), firing | {"statusCode": 2, "dataflow": spans})

    assert timeline.firings[0].started_ms == 1002
    assert timeline.firings[0].status == "action developer error"


def test_a_sequence_marked_for_control_flow_is_no_time_line():
    record = a_record("1" * 32, "hello", [{"key": "dataflow", "value": False}])

    assert traced(record, record).firings[0].started_ms == 1000


def test_a_run_that_has_not_ended_shows_what_runs_now_and_what_has_run():
    done = a_firing(1, step="start")
    live = {"ended": False, "ids": [], "live": [{"step": "count", "tag": [2], "activationId": "2" * 32}]}

    timeline = from_trace({"activationId": "f" * 32, "run": None, "firings": [done], "live": live})

    assert timeline.ended_ms is None
    assert timeline.accepted_ms == 1000
    assert [(firing.label, firing.status) for firing in timeline.firings] == [
        ("start", "success"),
        ("count[2]", "running"),
    ]


def test_what_is_at_work_lasts_until_the_server_was_asked():
    running = {"step": "count", "activationId": "2" * 32, "matched": 1002.0, "started": 1003.0, "returned": None}
    live = {"name": "flow", "kind": "dataflow:1", "accepted": 1000.0, "now": 1020.0, "ids": [], "live": [running]}

    timeline = from_trace({"activationId": "f" * 32, "run": None, "firings": [], "live": live})

    assert (timeline.name, timeline.kind, timeline.status) == ("flow", "dataflow:1", "running")
    assert (timeline.begin_ms, timeline.end_ms, timeline.ended_ms) == (1000.0, 1020.0, None)
    (firing,) = timeline.firings
    assert [(span.phase, span.begin_ms, span.end_ms) for span in firing.spans(timeline.end_ms)] == [
        (Phase.CONTAINER, 1002.0, 1003.0),
        (Phase.FUNCTION, 1003.0, 1020.0),
    ]
