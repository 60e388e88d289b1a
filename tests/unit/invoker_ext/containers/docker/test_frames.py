"""The engine's stream of output, taken apart at any split."""

import itertools
import struct

from hypothesis import given, strategies as st

from invoker_ext.containers.drivers.docker.frames import Demultiplexer


def frame(stream, data):
    return struct.pack(">BxxxL", stream, len(data)) + data


@given(st.lists(st.tuples(st.sampled_from([1, 2]), st.binary(max_size=40))), st.lists(st.integers(0, 400)))
def test_both_streams_are_whole_and_in_order_however_the_bytes_arrive(written, cuts):
    data = b"".join(frame(stream, text) for stream, text in written)
    edges = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    demultiplexer = Demultiplexer()
    got = {0: b"", 1: b""}
    for start, end in itertools.pairwise(edges):
        for stream, part in demultiplexer.feed(data[start:end]):
            got[stream] += part
    assert got == {n: b"".join(text for stream, text in written if stream == n + 1) for n in (0, 1)}
