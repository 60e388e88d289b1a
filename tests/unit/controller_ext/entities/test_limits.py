from __future__ import annotations

from typing import Any

import pytest

from controller_ext.entities.errors import Malformed, Rejected
from controller_ext.entities.limits import SystemLimits, check, namespace_document, parse, root_document, usual

SYSTEM = SystemLimits()


def test_what_is_not_named_is_left_out():
    assert parse({"timeout": 1000, "memory": None}) == {"timeout": 1000}


def test_an_action_that_names_no_limits_has_the_usual_ones():
    assert usual(SYSTEM) == {"timeout": 60000, "memory": 256, "logs": 10, "concurrency": 1}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ([], "Object expected in field 'timeout'"),
        ({"timeout": "abc"}, "time limit malformed"),
        ({"memory": True}, "memory limit malformed"),
        ({"logs": []}, "log limit malformed"),
        ({"concurrency": {}}, "concurrency limit malformed"),
        ({"timeout": 1.5}, "requirement failed: time limit must be whole number"),
        ({"memory": 1e999}, "requirement failed: memory limit must be whole number"),
        ({"concurrency": 1.5}, "requirement failed: intra concurrency limit must be whole number"),
    ],
)
def test_a_limit_that_is_no_whole_number_is_malformed(value: Any, text: str):
    with pytest.raises(Malformed) as caught:
        parse(value)
    assert str(caught.value) == f"The request content was malformed:\n{text}"


@pytest.mark.parametrize(
    ("limits", "text"),
    [
        ({"timeout": 300001}, "duration 300001 milliseconds exceeds allowed threshold of 300000 milliseconds"),
        ({"timeout": 99}, "duration 99 milliseconds below allowed threshold of 100 milliseconds"),
        ({"memory": 1024}, "memory size 1024 MB exceeds allowed threshold of 512 MB"),
        ({"memory": -1}, "memory size -1 MB below allowed threshold of 128 MB"),
        ({"logs": 11}, "log size 11 MB exceeds allowed threshold of 10 MB"),
        ({"concurrency": 2}, "concurrency 2 exceeds allowed threshold of 1"),
        ({"concurrency": 0}, "concurrency 0 below allowed threshold of 1"),
    ],
)
def test_a_limit_out_of_range_is_rejected(limits: dict[str, int], text: str):
    with pytest.raises(Rejected) as caught:
        check(limits, SYSTEM)
    assert str(caught.value) == f"requirement failed: {text}"


def test_more_instances_than_the_namespace_may_run_are_rejected():
    with pytest.raises(Rejected, match=r"must not exceed your namespace concurrency of 30\.$"):
        check({"instances": 31}, SYSTEM)


def test_a_namespace_may_have_limits_of_its_own():
    own = {"maxActionMemory": 1024, "minActionTimeout": 50, "invocationsPerMinute": 7, "allowedKinds": ["python:3"]}
    system = SYSTEM.of(own)
    check({"memory": 1024, "timeout": 50}, system)
    document = namespace_document(system, own)
    assert document["maxActionMemory"] == 1024
    assert document["invocationsPerMinute"] == 7
    assert document["allowedKinds"] == ["python:3"]


def test_the_root_document_counts_bytes():
    document = root_document(SYSTEM)
    assert document["max_action_memory"] == 512 << 20
    assert document["default_min_action_duration"] == 100
