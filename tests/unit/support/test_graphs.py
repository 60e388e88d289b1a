"""The actions that integration tests deploy do what the reference expects of them."""

from __future__ import annotations

from typing import Any

import pytest

import action_runtime
from tests.support.graphs import Spec, action_source, behave


@pytest.mark.parametrize("produces", [{"e", "m"}, {"v", "maybe", "list"}])
@pytest.mark.parametrize("more", [{}, {"fails": True}, {"uneven": True}])
def test_the_source_of_an_action_does_what_its_behaviour_says(monkeypatch, produces, more):
    spec = Spec("s0", frozenset(produces), **more)
    emitted: dict[str, list[Any]] = {}
    monkeypatch.setattr(action_runtime, "emit", lambda name, value: emitted.setdefault(name, []).append(value))
    module: dict[str, Any] = {}
    exec(compile(action_source(spec), "<action>", "exec"), module)

    for number in range(12):
        emitted.clear()
        args = {"x": number}

        returned = module["main"](args)

        act = behave(spec, args, 1)
        assert emitted == act.emitted
        assert returned == (act.fields if act.error is None else {"error": act.error})
