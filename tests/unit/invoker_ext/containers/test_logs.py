import pytest
from hypothesis import given, strategies as st

from invoker_ext.containers.logs import SENTINEL, Lines, format_line

AT = 1_478_708_140_123_456_789


def lines(limit_bytes=1000):
    made = Lines()
    made.limit_bytes = limit_bytes
    return made


def texts(made):
    return [line[31:] for line in made.take(AT)[0]]


def test_a_line_has_its_time_in_thirty_columns_and_its_stream():
    assert format_line(AT, "stdout", "hello") == "2016-11-09T16:15:40.123456789Z stdout: hello"


def test_lines_keep_their_order_over_both_streams():
    made = lines()
    made.feed(0, b"one\n", AT)
    made.feed(1, b"two\n", AT)
    made.feed(0, b"three\n", AT)
    assert texts(made) == ["stdout: one", "stderr: two", "stdout: three"]


def test_an_unfinished_line_belongs_to_the_firing_that_began_it():
    made = lines()
    made.feed(0, b"half", AT)
    assert texts(made) == ["stdout: half"]
    made.feed(0, b"other\n", AT)
    assert texts(made) == ["stdout: other"]


def test_bytes_that_are_no_text_are_replaced():
    made = lines()
    made.feed(0, b"\xff\n", AT)
    assert texts(made) == ["stdout: \ufffd"]


@given(st.lists(st.binary(max_size=30), max_size=8))
def test_the_split_of_the_stream_does_not_matter(parts):
    whole, split = lines(10_000), lines(10_000)
    whole.feed(0, b"".join(parts), AT)
    for part in parts:
        split.feed(0, part, AT)
    assert whole.take(AT) == split.take(AT)


def test_what_is_above_the_limit_is_left_out_and_said():
    made = lines(10)
    made.feed(0, b"12345\n1234\nmore\n", AT)
    made.feed(1, b"more\n", AT)
    kept, truncated = made.take(AT)
    assert truncated
    assert [line[31:] for line in kept] == [
        "stdout: 12345",
        "stderr: Logs were truncated because the total bytes size exceeds the limit of 10 bytes.",
    ]


def test_the_next_firing_has_the_whole_limit_again():
    made = lines(10)
    made.feed(0, b"123456789012345\nnext", AT)
    made.take(AT)
    made.feed(0, b"again\n", AT)
    assert texts(made) == ["stdout: again"]


def test_a_limit_of_nothing_keeps_nothing_and_says_nothing():
    made = lines(0)
    made.feed(0, b"x\n", AT)
    assert made.take(AT) == ([], False)


@pytest.mark.parametrize("size", [16 * 1024, 40_000])
def test_a_line_without_an_end_is_cut_and_does_not_pile_up(size):
    made = lines(1_000_000)
    made.feed(0, b"x" * size, AT)
    kept = texts(made)
    assert sum(len(one) - len("stdout: ") for one in kept) == size
    assert max(map(len, kept)) <= 16 * 1024 + len("stdout: ")


def test_sentinels_are_counted_and_left_out():
    made = lines()
    made.sentinelled = True
    made.feed(0, b"x\n" + SENTINEL + b"\n", AT)
    made.feed(1, SENTINEL + b"\n", AT)
    assert made.sentinels == 2
    assert texts(made) == ["stdout: x"]
    assert made.sentinels == 0
