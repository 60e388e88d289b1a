"""Which functions of a region are evaluated at a time."""

from __future__ import annotations

import pytest

from invoker_ext.dataflow.regions.commands import Apply
from invoker_ext.dataflow.regions.values import Text
from invoker_ext.owner.applying import AT_ONCE, AT_ONCE_BYTES, Applying

LARGE = Text("x" * (AT_ONCE_BYTES // 2 + 1))


@pytest.fixture
def begun() -> list[int]:
    return []


@pytest.fixture
def applying(begun) -> Applying:
    return Applying(lambda command: begun.append(command.ticket))


def function(ticket: int, value: Text | None = None, cell: Text | None = None) -> Apply:
    return Apply(ticket, "() => 1", "", value or Text("{}"), {"x": cell or Text("1")})


def test_a_few_begin_at_once_and_the_others_in_their_order_as_those_end(applying, begun):
    for ticket in range(AT_ONCE + 3):
        applying.add(function(ticket))
    assert begun == list(range(AT_ONCE))
    applying.over(5)
    applying.over(0)
    assert begun == list(range(AT_ONCE + 2))


def test_large_ones_go_alone_whether_value_or_variable_is(applying, begun):
    applying.add(function(1, value=LARGE))
    applying.add(function(2, cell=LARGE))
    applying.add(function(3))
    assert begun == [1]
    applying.over(1)
    assert begun == [1, 2, 3]


def test_what_is_larger_than_all_may_be_goes_alone(applying, begun):
    applying.add(function(1, value=Text("x" * (AT_ONCE_BYTES + 1))))
    assert begun == [1]


def test_those_that_wait_are_forgotten_at_the_end(applying, begun):
    for ticket in range(AT_ONCE + 1):
        applying.add(function(ticket))
    applying.clear()
    applying.over(0)
    assert begun == list(range(AT_ONCE))
