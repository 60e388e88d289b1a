"""What a control message says is what was to be said, and what is malformed says so."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, strategies as st

from action_runtime.wire.errors import ProtocolViolation
from action_runtime.wire.values import Head, Media
from invoker_ext.containers.job import Report
from invoker_ext.dataflow.commands import STREAMED, Bound, Chunks, Constant, Value
from invoker_ext.lending.forms import Packed, Unpacked, call_of, job_form, refs_of, report_form, report_of, user_of
from invoker_ext.peers.ref import Ref
from tests.support.containers import GUEST, a_call, a_job
from tests.unit.invoker_ext.relay.test_layout import Held


def held(data: bytes, small: bool) -> Held:
    return Held(Head(Media.BYTES, len(data)), data, small)


DATA = st.builds(held, st.binary(max_size=20), st.booleans())
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.one_of(
        DATA,
        st.integers().map(lambda number: Constant(json.dumps(number))),
        st.lists(DATA, max_size=3).map(lambda parts: Chunks(tuple(parts))),
    ),
    lambda inner: st.lists(inner, max_size=3).map(tuple),
    max_leaves=6,
)


def seen(value: Any) -> Any:
    """Return what a function would see of a value."""
    if isinstance(value, tuple):
        return [seen(one) for one in value]
    if isinstance(value, Chunks):
        return b"".join(part.read() for part in value.parts)  # type: ignore[attr-defined]
    return json.loads(value.json) if isinstance(value, Constant) else value.read()


def across(value: Value) -> Any:
    """Send a value to another host, where all refs can be read."""
    there: dict[str, Any] = {}

    def ref_of(stored: Any) -> Ref:
        there[str(id(stored))] = stored
        return Ref(0, str(id(stored)), stored.head)

    packed = Packed(ref_of)
    form = json.loads(json.dumps(packed.inputs([Bound("x", value)])))
    assert set(refs_of(form)) == set(there)
    (bound,) = Unpacked(b"".join(packed.parts), Held, there).inputs(form)
    assert bound.name == "x"
    return bound.value


@given(VALUES)
def test_a_value_is_the_same_on_the_other_host(value):
    assert seen(across(value)) == seen(value)


def test_a_stream_and_a_list_of_small_values_of_json_are_short():
    numbers = tuple(Held(Head(Media.JSON, 1), str(number).encode()) for number in range(10))

    assert across(STREAMED) is STREAMED
    assert across(numbers) == Constant("[0,1,2,3,4,5,6,7,8,9]")


def test_a_job_says_what_is_called_for_whom():
    call = a_call(init_names=("A",), binding="guest/bound", parameters='{"secret": 1}')
    form = json.loads(json.dumps(job_form(a_job(call=call)[0])))

    assert user_of(form) == GUEST
    assert call_of(form).name == call.name
    assert call_of(form).init_names == ("A",)
    assert "secret" not in json.dumps(form)


def test_a_report_is_the_same_on_the_other_host():
    report = Report("ok", 7, {"x": ("emit", 3)}, b'{"a":1}', None, ("y",))
    form = json.loads(json.dumps(report_form(report)))

    assert report_of(form, b'{"a":1}') == report
    assert report_of(json.loads(json.dumps(report_form(Report("null", 0, {}, None, "d")))), b"").body is None


@pytest.mark.parametrize("form", [{}, {"call": 3}, {"call": {"fault": "x", "status": 1}}, {"user": {}}])
def test_a_job_that_is_malformed_says_so(form):
    with pytest.raises(ProtocolViolation):
        call_of(form)
    with pytest.raises(ProtocolViolation):
        user_of(form)


@pytest.mark.parametrize(
    "form",
    [
        [["x"]], [["x", {"t": "json", "n": 5, "at": 0}]], [["x", {"t": "json", "n": 2, "at": -1}]], [["x", 3]], [3],
        [["x", {"host": 1, "name": "gone", "t": "bytes", "n": 1}]],
    ],
)  # fmt: skip
def test_inputs_that_are_malformed_say_so(form):
    with pytest.raises(ProtocolViolation):
        Unpacked(b"12", Held, {}).inputs(form)


@pytest.mark.parametrize("form", [{}, {**report_form(Report("ok", 1, {}, None, None)), "counts": 3}])
def test_a_report_that_is_malformed_says_so(form):
    with pytest.raises(ProtocolViolation):
        report_of(form, b"")
