"""What the machine of a region asks about values."""

from __future__ import annotations

import json

from invoker_ext.dataflow.regions.commands import Ask, Question
from invoker_ext.dataflow.regions.forks import MAX_THREADS
from invoker_ext.dataflow.regions.values import Text
from invoker_ext.owner.answers import Found, find


def elements(count: int) -> Found:
    return find(Ask(1, Question.ELEMENTS, Text(json.dumps({"value": [0] * count}))))


def test_no_data_are_made_of_more_elements_than_may_run_at_a_time():
    assert len(elements(MAX_THREADS).texts) == MAX_THREADS
    assert elements(MAX_THREADS + 1) == Found(error="too many elements")
