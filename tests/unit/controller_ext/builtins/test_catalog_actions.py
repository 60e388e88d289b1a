"""The code of the built-in actions does what their annotations say."""

from __future__ import annotations

import asyncio
import copy
import importlib
import inspect
import re
from typing import Any

import pytest

from controller_ext.builtins.packages import PACKAGES

EXTERNAL = {"curl", "countdown", "date"}
"""What they return depends on others."""
SAMPLED = [
    (f"{package.name}/{action.name}", action.file or f"{package.name}/{action.name}", action.about)
    for package in (one for one in PACKAGES if one.name in ("utils", "samples"))
    for action in package.actions
    if action.name not in EXTERNAL
]


def run(file: str, arguments: dict[str, Any]) -> Any:
    main = importlib.import_module(f"controller_ext.builtins.actions.{file.replace('/', '.')}").main
    result = main(copy.deepcopy(arguments))
    return asyncio.run(result) if inspect.iscoroutine(result) else result


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("__OW_NAMESPACE", "guest")
    monkeypatch.setenv("__OW_API_HOST", "http://127.0.0.1:3233")


@pytest.mark.parametrize(("name", "file", "about"), SAMPLED, ids=[one[0] for one in SAMPLED])
def test_the_sample_of_an_action_is_what_it_does(name: str, file: str, about: dict[str, Any]):
    assert run(file, about.get("sampleInput", {})) == about["sampleOutput"]


def test_what_a_sample_logs_is_what_the_action_prints(capsys: pytest.CaptureFixture[str]):
    for _, file, about in SAMPLED:
        told = about.get("sampleLogOutput")
        if told is not None:
            run(file, dict(sorted(about["sampleInput"].items(), reverse=True)))
            assert capsys.readouterr().out.splitlines()[-1] == told.partition("stdout: ")[2]


def test_the_date_is_iso_with_milliseconds_in_utc():
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", run("utils/date", {})["date"])


def test_lines_are_sorted_as_texts():
    assert run("utils/sort", {"lines": [10, 9, "b", "a"]})["lines"] == [10, 9, "a", "b"]


@pytest.mark.parametrize("name", ["cat", "sort", "head"])
def test_without_lines_there_are_none(name: str):
    assert run(f"utils/{name}", {})["lines"] == []


def test_head_gives_one_line_by_default():
    assert run("utils/head", {"lines": ["a", "b"]}) == {"lines": ["a"], "num": 1}


@pytest.mark.parametrize(
    ("arguments", "lines"),
    [
        ({"payload": "a\r\nb\nc"}, ["a", "b", "c"]),
        ({"payload": 12}, ["12"]),
        ({"payload": "a.b", "separator": "."}, ["a", "b"]),
    ],
)
def test_a_text_is_split_at_its_lines_or_at_a_separator(arguments: dict[str, Any], lines: list[str]):
    assert run("utils/split", arguments)["lines"] == lines


@pytest.mark.parametrize(
    ("file", "arguments", "error"),
    [
        ("utils/split", {}, "Expected an argument 'payload'."),
        ("utils/smash", {"a": 1}, "Expected an argument '$fieldName' of type 'string'."),
        ("utils/hosturl", {"web": True, "trigger": True}, "triggers are not allowed for web actions."),
        ("utils/hosturl", {"trigger": True, "path": "a/b"}, "triggers are not allowed in packages."),
        (
            "utils/hosturl",
            {"web": True, "ext": ".exe", "path": "a"},
            'extension for web action must be one of [".json", ".text", ".html", ".http"].',
        ),
        ("samples/curl", {"payload": "file:///etc/hostname"}, "only http and https are fetched"),
    ],
)
def test_wrong_parameters_are_an_error(file: str, arguments: dict[str, Any], error: str):
    assert run(file, arguments) == {"error": error}


@pytest.mark.parametrize(
    ("arguments", "path"),
    [
        ({}, "namespaces/guest/actions"),
        ({"path": "p/a"}, "namespaces/guest/actions/p/a"),
        ({"path": "t", "trigger": True}, "namespaces/guest/triggers/t"),
        ({"web": True}, "web/guest"),
        ({"web": True, "path": "a", "ext": ".http"}, "web/guest/default/a.http"),
    ],
)
def test_urls_lead_to_what_is_asked_for(arguments: dict[str, Any], path: str):
    assert run("utils/hosturl", arguments) == {"url": f"http://127.0.0.1:3233/api/v1/{path}"}


def test_a_greeting_needs_nobody():
    assert run("samples/greeting", {}) == {"payload": "Hello, stranger from somewhere!"}


def test_a_countdown_that_is_over_invokes_nobody():
    assert run("samples/countdown", {"n": 0}) == {}
