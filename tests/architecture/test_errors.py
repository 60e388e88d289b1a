"""Every error of the project names who must act, and can be told apart by its code."""

from __future__ import annotations

import importlib
from collections import defaultdict
from collections.abc import Iterator

from action_runtime.wire.errors import Blame, DataflowError
from tests.support.sources import modules


def errors(root: type[DataflowError] = DataflowError) -> Iterator[type[DataflowError]]:
    """Yield the project's error classes, once every module has been imported."""
    if root is DataflowError:
        for name in modules():
            if not name.endswith("__main__"):
                importlib.import_module(name)
    for one in root.__subclasses__():
        if one.__module__ in modules():
            yield one
            yield from errors(one)


def test_codes_are_unique_and_written_alike():
    by_code = defaultdict(set)
    for one in errors():
        # A class without a code of its own is a case of its parent.
        if "code" in vars(one):
            by_code[one.code].add(f"{one.__module__}.{one.__qualname__}")

    assert {code: names for code, names in by_code.items() if len(names) > 1} == {}
    assert [code for code in by_code if code != code.lower() or " " in code or "_" in code] == []


def test_every_error_says_what_it_is_and_who_must_act():
    lacking = [one.__qualname__ for one in errors() if not one.__doc__ or not isinstance(one.blame, Blame)]

    assert lacking == []
