import io

import pytest
from hypothesis import given, strategies as st

from action_runtime.files import InputFile, OutputFile


@given(st.lists(st.binary(max_size=9), max_size=9), st.integers(1, 7))
def test_reading_joins_all_parts(parts, size):
    file = InputFile("x", iter(parts))
    read = b""
    while part := file.read(size):
        read += part

    assert read == b"".join(parts)


def test_iterating_gives_the_rest_of_the_part_in_hand_and_then_values():
    file = InputFile("x", iter([b"abc", {"a": 1}, "text"]))

    assert file.read(1) == b"a"
    assert [bytes(part) if isinstance(part, memoryview) else part for part in file] == [b"bc", {"a": 1}, "text"]


def test_text_can_be_read_by_line():
    assert list(io.TextIOWrapper(io.BufferedReader(InputFile("x", iter(["a\nb", "ü\n"]))))) == ["a\n", "bü\n"]


@given(st.lists(st.binary(max_size=9) | st.just(None), max_size=9), st.integers(1, 7))
def test_writing_cuts_into_full_parts_but_where_it_is_flushed(writes, size):
    parts: list[bytes] = []
    closed: list[OutputFile] = []
    file = OutputFile("x", size, parts.append, closed.append)
    for data in writes:
        file.flush() if data is None else file.write(data)
    file.close()
    file.close()

    assert b"".join(parts) == b"".join(data or b"" for data in writes)
    assert all(0 < len(part) <= size for part in parts)
    assert closed == [file]


def test_a_closed_output_takes_nothing():
    file = OutputFile("x", 1, lambda _: None, lambda _: None)
    file.close()

    with pytest.raises(ValueError, match="closed"):
        file.write(b"x")


def test_parts_of_no_bytes_are_refused():
    with pytest.raises(ValueError, match="chunk_bytes"):
        OutputFile("x", 0, lambda _: None, lambda _: None)
