"""Parameters in, results out."""

from __future__ import annotations

import json
from dataclasses import dataclass

from action_runtime.wire.values import WHOLE, Head, Media
from invoker_ext.dataflow.commands import Bound, Chunks, Constant
from invoker_ext.dataflow.wants import RunMembers
from invoker_ext.owner.actions import split_init
from invoker_ext.owner.parameters import parameters_of_json, parameters_of_spool
from invoker_ext.relay.json_form import object_json, value_json


@dataclass
class Held:
    head: Head
    data: bytes

    @property
    def size_bytes(self) -> int:
        return len(self.data)

    @property
    def inline(self) -> bytes | None:
        return self.data

    def retain(self) -> None: ...

    def release(self) -> None: ...

    def descriptor(self) -> int:
        raise OSError

    def read(self) -> bytes:
        return self.data


def json_value(text: bytes) -> Held:
    return Held(Head(Media.JSON, len(text)), text)


def test_a_whole_result_is_passed_on_as_its_bytes():
    assert object_json([Bound(WHOLE, json_value(b'{"n":  1}'))]) == b'{"n":  1}'


def test_later_inputs_win_over_members_of_the_whole():
    bounds = [Bound(WHOLE, Constant('{"a": 1, "b": 2}')), Bound("b", json_value(b"3"))]
    assert json.loads(object_json(bounds)) == {"a": 1, "b": 3}


def test_a_gather_becomes_a_list_nested_as_it_is():
    value = ((json_value(b"1"), json_value(b"2")), ())
    assert json.loads(value_json(value)) == [[1, 2], []]


def test_bytes_and_arrays_become_data_objects():
    array = Held(Head(Media.ARRAY, 2, (2,), "|u1"), b"\x01\x02")
    assert json.loads(value_json(array)) == {"$data": {"type": "array", "shape": [2], "dtype": "|u1", "base64": "AQI="}}
    parts = Chunks((Held(Head(Media.BYTES, 1), b"a"), Held(Head(Media.BYTES, 1), b"b")))
    assert json.loads(value_json(parts)) == {"$data": {"type": "bytes", "base64": "YWI="}}


def members(values: str, items: str) -> RunMembers:
    return RunMembers(values=frozenset(values.split(" ")), items=frozenset(items.split()))


def test_a_parameter_read_as_items_that_is_no_list_is_left_to_the_machine():
    assert parameters_of_json(b'{"a": 5}', members("b", "a")) == ({"a": b"5"}, {})


def test_spooled_members_are_cut_by_place():
    raw = b'{"a":[1, 2],"b":{"x": 1},"c":"unread"}'
    places = {"a": (5, 6), "b": (16, 8), "c": (29, 8)}
    assert parameters_of_spool(raw, places, members("b", "a")) == ({"b": b'{"x": 1}'}, {"a": [b"1", b"2"]})
    assert parameters_of_spool(raw, places, members(WHOLE + " ", "")) == ({WHOLE: raw}, {})


def test_spooled_parameters_that_nobody_took_apart_are_passed_on_unparsed():
    assert parameters_of_spool(b'{"a":  1}', None, members(WHOLE + " ", "")) == ({WHOLE: b'{"a":  1}'}, {})


def test_only_the_members_that_a_graph_reads_are_cut_out():
    values, items = parameters_of_json(b'{"a": [1, "x"], "b": {}, "c": 3}', members("b z", "a"))
    assert values == {"b": b"{}"}
    assert items == {"a": [b"1", b'"x"']}


def test_the_whole_of_the_parameters_is_not_parsed():
    assert parameters_of_json(b'{"a":    1}', members(WHOLE + " ", "")) == ({WHOLE: b'{"a":    1}'}, {})


def test_init_parameters_leave_the_arguments_as_text():
    rest, env = split_init(b'{"a": 1, "s": "t", "n": null, "o": {"x": [1]}}', ("s", "n", "o", "none"))
    assert json.loads(rest) == {"a": 1}
    assert env == {"s": "t", "n": "", "o": '{"x":[1]}'}
