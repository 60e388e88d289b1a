"""The codec over every split of a stream, and over garbage. Descriptors are numbers to it, so none are opened here."""

from __future__ import annotations

import itertools
import json
import struct
from unittest import mock

import pytest
from hypothesis import given, strategies as st

from action_runtime.wire import codec
from action_runtime.wire.codec import Decoder, encode, encode_head
from action_runtime.wire.errors import FrameTooLarge, ProtocolViolation, WireError
from action_runtime.wire.frames import HEADER_BYTES, MAX_FRAME_BYTES, MAX_FRAME_DESCRIPTORS, Frame, FrameKind
from action_runtime.wire.values import Head, Media

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts
metas = st.dictionaries(
    texts, st.recursive(leaves, lambda inner: st.lists(inner, max_size=3), max_leaves=5), max_size=4
)
frames = st.tuples(st.sampled_from(FrameKind), metas, st.binary(max_size=64), st.integers(0, 3))


def numbered(described) -> list[Frame]:
    """The frames with descriptors counted through from 100."""
    numbers = itertools.count(100)
    return [
        Frame(kind, meta, payload, tuple(itertools.islice(numbers, count))) for kind, meta, payload, count in described
    ]


def on_the_wire(expected: list[Frame]) -> bytes:
    return b"".join(encode(f.kind, f.meta, bytes(f.payload), len(f.descriptors)) for f in expected)


def raw(length: int, kind: int = 1, descriptors: int = 0, reserved: int = 0, meta: bytes = b"{}") -> bytes:
    return struct.pack(">IBBHI", length, kind, descriptors, reserved, len(meta)) + meta


@given(st.lists(frames, max_size=4), st.lists(st.integers(0, 400), max_size=6))
def test_frames_come_out_as_they_went_in_over_any_split(described, cuts):
    expected = numbered(described)
    stream = on_the_wire(expected)
    bounds = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    decoder = Decoder()
    # The kernel hands descriptors over with the first byte of their frame at the latest.
    found = decoder.feed(b"", [number for frame in expected for number in frame.descriptors])

    for start, end in itertools.pairwise(bounds):
        found += decoder.feed(memoryview(stream)[start:end])

    assert found == expected
    assert decoder.pending_bytes == 0
    assert decoder.take_descriptors() == []


@given(
    st.lists(frames, max_size=4),
    st.lists(st.integers(1, 60), min_size=1, max_size=8),
    st.sampled_from([12, 30, 100]),
    st.booleans(),
)
def test_large_frames_come_out_as_they_went_in_fed_or_read_into_their_room(described, reads, large_bytes, into_room):
    expected = numbered(described)
    stream = memoryview(on_the_wire(expected))
    decoder = Decoder()
    found = decoder.feed(b"", [number for frame in expected for number in frame.descriptors])

    with mock.patch.object(codec, "LARGE_BYTES", large_bytes):
        for size in itertools.cycle(reads):
            room = decoder.room() if into_room else None
            if room is None:
                part, stream = stream[:size], stream[size:]
                found += decoder.feed(part)
            else:
                size = min(size, len(room), len(stream))
                room[:size], stream = stream[:size], stream[size:]
                found += decoder.filled(size)
            if not stream:
                break

    assert found == expected
    assert decoder.pending_bytes == 0
    assert decoder.take_descriptors() == []


def test_a_large_frame_lies_in_memory_of_its_own_that_nobody_can_change():
    payload = bytes(range(256)) * 1024
    stream = encode(FrameKind.EMIT, {"f": 1}, payload) + encode(FrameKind.DRAINED, {"f": 1})
    decoder = Decoder()
    assert decoder.feed(stream[:100]) == []

    [large, small] = decoder.feed(stream[100:])

    assert isinstance(large.payload, memoryview)
    assert large.payload.readonly
    assert (bytes(large.payload), small.kind, decoder.pending_bytes) == (payload, FrameKind.DRAINED, 0)


def test_a_broken_large_frame_is_a_violation():
    for broken in (raw(200_000, kind=255), raw(200_000, meta=b"[]"), raw(200_000, descriptors=1)):
        decoder = Decoder()
        decoder.feed(broken)
        with pytest.raises(ProtocolViolation):
            decoder.feed(bytes(200_004 - len(broken)))


def test_one_frame_comes_out_whole_at_every_split_in_two():
    stream = encode(FrameKind.EMIT, {"f": 1, "o": "ö"}, b"payload")

    for cut in range(len(stream) + 1):
        decoder = Decoder()
        found = decoder.feed(stream[:cut]) + decoder.feed(stream[cut:])
        assert [(f.meta, f.payload) for f in found] == [({"f": 1, "o": "ö"}, b"payload")]


@given(st.binary(max_size=200), st.integers(0, 5))
def test_garbage_raises_nothing_but_wire_errors_and_loses_no_descriptor(garbage, count):
    decoder = Decoder()
    given_away: list[int] = []
    try:
        for frame in decoder.feed(garbage, list(range(count))):
            given_away.extend(frame.descriptors)
    except WireError:
        given_away.clear()

    assert given_away + decoder.take_descriptors() == list(range(count))


@given(st.lists(frames, min_size=1, max_size=3), st.data())
def test_a_damaged_stream_raises_nothing_but_wire_errors_and_loses_no_descriptor(described, data):
    expected = numbered(described)
    stream = bytearray(on_the_wire(expected))
    stream[data.draw(st.integers(0, len(stream) - 1))] ^= data.draw(st.integers(1, 255))
    numbers = [number for frame in expected for number in frame.descriptors]
    decoder = Decoder()
    taken: list[int] = []

    try:
        for frame in decoder.feed(bytes(stream), numbers):
            taken.extend(frame.descriptors)
    except WireError:
        assert taken == []

    assert taken + decoder.take_descriptors() == numbers


def test_descriptors_of_whole_frames_before_a_broken_one_are_given_back():
    decoder = Decoder()
    stream = encode(FrameKind.GRANT, {"r": 1}, descriptors=1) + encode(FrameKind.GRANT, {"r": 2}, descriptors=1)

    with pytest.raises(ProtocolViolation):
        decoder.feed(stream + raw(10, kind=255), [7, 8, 9])

    assert decoder.take_descriptors() == [7, 8, 9]


@pytest.mark.parametrize(
    "broken",
    [
        raw(10, kind=255),
        raw(10, reserved=1),
        raw(10, descriptors=MAX_FRAME_DESCRIPTORS + 1),
        raw(9),
        raw(0),
        raw(10, descriptors=1),
        raw(10, meta=b"[]"),
        raw(10, meta=b"{x"),
        raw(10, meta=b"\xff\xff"),
        raw(8, meta=b""),
        raw(8 + 200_000, meta=b"[" * 200_000),
    ],
    ids=[
        "unknown kind", "reserved bits", "too many descriptors", "meta beyond the frame", "no room for a header",
        "missing descriptor", "meta is a list", "meta is not JSON", "meta is not UTF-8", "no meta", "deep meta",
    ],
)  # fmt: skip
def test_a_malformed_frame_is_a_violation(broken):
    with pytest.raises(ProtocolViolation):
        Decoder().feed(broken)


def test_a_frame_above_the_bound_is_refused_from_its_header_alone():
    with pytest.raises(FrameTooLarge):
        Decoder().feed(raw(MAX_FRAME_BYTES - 3)[:HEADER_BYTES])


def test_a_frame_above_the_bound_is_not_encoded():
    with pytest.raises(FrameTooLarge, match="above the limit"):
        encode_head(FrameKind.EMIT, {}, MAX_FRAME_BYTES)


def test_a_frame_of_exactly_the_bound_passes():
    payload = bytes(MAX_FRAME_BYTES - HEADER_BYTES - 2)

    [frame] = Decoder().feed(encode(FrameKind.EMIT, {}, payload))

    assert len(frame.payload) == len(payload)


heads = st.builds(Head, st.sampled_from([Media.JSON, Media.BYTES]), st.integers(0, 1 << 50)) | st.builds(
    Head, st.just(Media.ARRAY), st.integers(0, 1 << 50), st.lists(st.integers(0, 99)).map(tuple), texts
)


@given(heads)
def test_a_head_comes_back_as_it_was(head):
    assert Head.from_meta(json.loads(json.dumps(head.to_meta()))) == head


@given(st.dictionaries(st.sampled_from(["t", "n", "shape", "dtype"]), leaves | st.lists(leaves, max_size=2)))
def test_a_malformed_head_raises_nothing_but_a_violation(meta):
    try:
        Head.from_meta(meta)
    except ProtocolViolation:
        return
    assert meta["t"] in ("json", "bytes", "array")
