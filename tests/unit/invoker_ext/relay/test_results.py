from __future__ import annotations

import base64
import json

import pytest

from action_runtime.wire.values import Head, Media
from invoker_ext.relay.results import merge_items, split_json


def told(split):
    return [(one.output, one.index, one.how, one.data) for one in split.outputs]


def test_wanted_fields_become_outputs():
    split = split_json(b'{"a": 1, "b": {"x": [2]}, "c": 3}', {"a": "value", "b": "items"})

    assert split.status == "ok"
    assert told(split) == [("a", 0, "field", b"1"), ("b", 0, "field", b'{"x":[2]}')]
    assert split.counts == {"a": ("field", 1), "b": ("field", 1), "c": ("field", 1)}


def test_a_list_is_spread_only_for_who_reads_items():
    split = split_json(b'{"a": [1, "x"], "b": [3]}', {"a": "items", "b": "value"})

    assert told(split) == [("a", 0, "spread", b"1"), ("a", 1, "spread", b'"x"'), ("b", 0, "field", b"[3]")]
    assert split.counts == {"a": ("spread", 2), "b": ("field", 1)}


def test_an_empty_list_is_spread_into_nothing():
    split = split_json(b'{"a": []}', {"a": "items"})

    assert split.outputs == []
    assert split.counts == {"a": ("spread", 0)}


def test_the_whole_result_is_the_body_without_its_newline():
    split = split_json(b'{"a": "\xc3\xb6"}\n', {"": "value"})

    assert told(split) == [("", 0, "whole", b'{"a": "\xc3\xb6"}')]


def test_an_array_has_no_fields():
    split = split_json(b"[1]", {"": "value", "a": "value"})

    assert (split.status, split.counts) == ("ok", {})
    assert told(split) == [("", 0, "whole", b"[1]")]


def test_a_failed_function_has_no_field_outputs():
    split = split_json(b'{"error": "no", "a": 1}', {"a": "value", "": "value"})

    assert split.status == "error"
    assert [one.output for one in split.outputs] == [""]


@pytest.mark.parametrize(
    ("body", "status"), [(b"null", "null"), (b"1", "invalid"), (b"{", "invalid"), (b"\xff", "invalid")]
)
def test_what_is_no_result_is_told_as_the_runtime_does(body, status):
    split = split_json(body, {"": "value"})

    assert (split.status, split.outputs) == (status, [])


def test_bytes_and_arrays_arrive_as_such():
    text = base64.b64encode(bytes(16)).decode()
    body = {
        "b": {"$data": {"type": "bytes", "base64": text}},
        "a": {"$data": {"type": "array", "shape": [2], "dtype": "<f8", "base64": text}},
    }

    split = split_json(json.dumps(body).encode(), {"a": "value", "b": "value"})

    assert [(one.head, one.data) for one in split.outputs] == [
        (Head(Media.BYTES, 16), bytes(16)),
        (Head(Media.ARRAY, 16, (2,), "<f8"), bytes(16)),
    ]


@pytest.mark.parametrize(
    "content",
    [
        1,
        {},
        {"type": "bytes", "base64": "§"},
        {"type": "array", "base64": "AA==", "shape": [2], "dtype": "<f8"},
        {"type": "array", "base64": "AA==", "shape": "x", "dtype": "<f8"},
    ],
)
def test_what_only_looks_like_bytes_stays_json(content):
    split = split_json(json.dumps({"a": {"$data": content}}).encode(), {"a": "value"})

    assert split.outputs[0].head.media is Media.JSON
    assert json.loads(split.outputs[0].data) == {"$data": content}


@pytest.mark.parametrize(
    ("text", "merged"),
    [(b' {"y": 2} \n', {"y": 2, "x": [1, 2]}), (b"{ }", {"x": [1, 2]}), (b"[3]", [3]), (b'{"error": 1}', {"error": 1})],
)
def test_items_become_members_of_an_object_that_is_no_error(text, merged):
    wants = {"": "value", "x": "items"}
    split = split_json(text, wants)

    whole, clashes = merge_items(split, text, {"x": 2}, {"x": b"[1, 2]"}, wants)

    assert (json.loads(whole), clashes) == (merged, ())
    assert [json.loads(data) for _, _, _, data in told(split)] == [merged]
    assert split.counts == {**({"y": ("field", 1)} if "y" in merged else {}), "x": ("emit", 2)}


@pytest.mark.parametrize(("wanted", "clashes"), [("", ("x",)), ("x", ("x",)), ("y", ())])
def test_an_output_that_was_handed_over_and_returned_clashes_if_somebody_wants_it(wanted, clashes):
    wants = {wanted: "value"}
    text = b'{"x": 1, "y": 2}'
    split = split_json(text, wants)

    assert merge_items(split, text, {"x": 1}, {}, wants) == (text, clashes)
    assert ("x", 0, "field", b"1") not in told(split)
    assert split.counts == {"x": ("emit", 1), "y": ("field", 1)}
