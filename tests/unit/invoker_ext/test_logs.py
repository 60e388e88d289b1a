import json
import logging
import sys

import pytest

from invoker_ext.logs import JsonFormatter, TextFormatter, formatter


def line(level: int = logging.INFO, message: str = "run ended", **fields):
    record = logging.getLogger("tests").makeRecord("tests", level, __file__, 1, message, (), None, extra=fields)
    record.created = 1_700_000_000.25
    return json.loads(JsonFormatter("invoker").format(record))


def test_a_line_says_when_who_and_what_and_carries_its_fields():
    assert line(run="5f0d", bytes=7) == {
        "time": "2023-11-14T22:13:20.250+00:00",
        "level": "INFO",
        "process": "invoker",
        "logger": "tests",
        "message": "run ended",
        "run": "5f0d",
        "bytes": 7,
    }


def test_a_value_that_is_no_json_is_written_as_text():
    assert line(path=sys.path.__class__)["path"] == "<class 'list'>"


def test_an_error_brings_its_trace_in_the_same_line():
    try:
        raise ValueError("no")
    except ValueError:
        record = logging.getLogger("tests").makeRecord(
            "tests", logging.ERROR, __file__, 1, "task failed", (), sys.exc_info()
        )
    text = JsonFormatter("worker").format(record)

    assert "\n" not in text
    assert json.loads(text)["exception"].endswith("ValueError: no")


def test_on_a_terminal_a_line_is_for_people(monkeypatch: pytest.MonkeyPatch):
    record = logging.getLogger("tests").makeRecord(
        "tests", logging.WARNING, __file__, 1, "process died", (), None, extra={"child": "invoker", "code": 1}
    )

    text = TextFormatter("supervisor").format(record)

    assert text[8:] == " warning supervisor: process died  child=invoker  code=1"
    for terminal, kind in ((True, TextFormatter), (False, JsonFormatter)):
        monkeypatch.setattr(sys.stderr, "isatty", lambda terminal=terminal: terminal)
        assert type(formatter("supervisor")) is kind


def test_on_a_terminal_an_error_brings_its_trace_below():
    try:
        raise ValueError("no")
    except ValueError:
        record = logging.getLogger("tests").makeRecord(
            "tests", logging.ERROR, __file__, 1, "task failed", (), sys.exc_info()
        )

    assert TextFormatter("worker").format(record).endswith("\nValueError: no")
