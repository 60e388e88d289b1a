"""Every row of OpenWhisk's outcome table that an invoker decides."""

from __future__ import annotations

import json

import pytest

from invoker_ext.containers.job import Failure, Report
from invoker_ext.dataflow.events import Outcome
from invoker_ext.owner.outcomes import PAYLOAD_BYTES, failed, judge


def report(status: str, characters: int = 10) -> Report:
    return Report(status=status, characters=characters, counts={}, body=None, digest=None)


def test_an_object_is_a_success_and_is_not_touched():
    judgement = judge(report("ok"), b'{"n": 13}', bounded=True)
    assert (judgement.outcome, judgement.result, judgement.size) == (Outcome.SUCCESS, b'{"n": 13}', 10)


def test_an_object_with_an_error_keeps_nothing_but_the_error():
    judgement = judge(report("error"), b'{"error": {"code": 7}, "other": 1}', bounded=True)
    assert judgement.outcome is Outcome.APPLICATION_ERROR
    assert json.loads(judgement.result) == {"error": {"code": 7}}
    assert json.loads(judgement.error or b"") == {"code": 7}


@pytest.mark.parametrize("body", [b"{}", b"[1]", b"nonsense", b"[" * 100_000])
def test_an_error_without_one_is_the_mistake_of_who_sent_it(body):
    judgement = judge(report("error"), body, bounded=True)

    assert judgement.outcome is Outcome.DEVELOPER_ERROR
    assert "did not produce a valid JSON" in json.loads(judgement.result)["error"]


def test_null_is_a_developer_error_with_the_raw_response():
    judgement = judge(report("null", 5), None, bounded=True)
    text = "The action did not produce a valid JSON or JSON Array response: null\n"
    assert (judgement.outcome, json.loads(judgement.result)) == (Outcome.DEVELOPER_ERROR, {"error": text})


def test_what_the_runtime_says_of_a_bad_result_is_passed_on():
    body = b'{"error":"The action did not return a dictionary or array."}'
    judgement = judge(report("invalid"), body, bounded=True)
    assert json.loads(judgement.result) == {"error": "The action did not return a dictionary or array."}
    assert judgement.outcome is Outcome.DEVELOPER_ERROR


def test_a_response_above_one_megabyte_is_cut_as_stock_cuts_it():
    body = b'{"p": "' + b"x" * 1_100_000 + b'"}'
    judgement = judge(report("ok", len(body) + 1), body, bounded=True)
    text = json.loads(judgement.result)["error"]
    assert judgement.outcome is Outcome.APPLICATION_ERROR
    assert text.startswith(
        "The action produced a response that exceeded the allowed length: 1100010 > 1048576 bytes. "
        'The truncated response was: {"p": "xxx'
    )
    assert len(text.partition("was: ")[2]) == PAYLOAD_BYTES


def test_native_results_have_no_such_bound():
    body = b'{"p": "' + b"x" * 1_100_000 + b'"}'
    assert judge(report("ok"), body, bounded=False).outcome is Outcome.SUCCESS


def test_a_result_that_stayed_in_the_container_is_known_by_its_digest():
    stayed = Report(status="ok", characters=70000, counts={}, body=None, digest="sha256-ab")
    assert json.loads(judge(stayed, None, bounded=False).result) == {"$digest": "sha256-ab", "$characters": 70000}


@pytest.mark.parametrize(
    ("failure", "detail", "text"),
    [
        (Failure.INIT_FAILED, "no main", "no main"),
        (Failure.INIT_FAILED, None, "The action failed during initialization."),
        (Failure.INIT_DIED, None, "The action did not initialize and exited unexpectedly."),
        (
            Failure.INIT_TIMED_OUT,
            None,
            "The action exceeded its time limits of 4000 milliseconds during initialization.",
        ),
        (Failure.RUN_TIMED_OUT, None, "The action exceeded its time limits of 4000 milliseconds."),
        (Failure.RUN_DIED, None, "The action did not produce a valid response and exited unexpectedly."),
        (Failure.IMAGE_NOT_PULLED, "me/img:1", "Failed to pull container image 'me/img:1'."),
        (Failure.NOTHING_TO_RUN, "me/img:1", "executable file not found in image me/img:1"),
        (Failure.KIND_MISSING, "No runtime on this host runs it.", "No runtime on this host runs it."),
        (Failure.OUT_OF_MEMORY, None, "The action exhausted its memory and was aborted."),
    ],
)
def test_a_failure_is_the_developers_with_stocks_text(failure: Failure, detail: str | None, text: str):
    judgement = failed(failure, detail, 4000)
    assert (judgement.outcome, json.loads(judgement.result)) == (Outcome.DEVELOPER_ERROR, {"error": text})
    assert judgement.timed_out == ("time limits" in text)


def test_what_a_proxy_says_of_a_death_counts_as_the_response():
    judgement = failed(Failure.RUN_DIED, "command exited", 4000)
    assert (json.loads(judgement.result), judgement.size) == ({"error": "command exited"}, 27)


def test_a_container_that_cannot_be_had_is_the_platforms_fault():
    judgement = failed(Failure.NOT_STARTED, None, 4000)
    assert judgement.outcome is Outcome.PLATFORM_ERROR
    assert json.loads(judgement.result) == {"error": "Failed to provision resources to run the action."}
