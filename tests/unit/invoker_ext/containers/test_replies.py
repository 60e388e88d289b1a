"""Replies of stock runtimes, from bytes."""

from itertools import pairwise

import pytest
from hypothesis import given, strategies as st

from invoker_ext.containers.replies import Reply, ReplyReader

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\ncontent-length:  %d\r\n\r\n"


def read(*parts):
    reader = ReplyReader()
    return [reader.feed(part) for part in parts]


@given(st.binary(max_size=60), st.lists(st.integers(0, 130), max_size=6))
def test_a_reply_is_whole_with_its_last_byte_however_it_is_split(body, cuts):
    data = HEAD % len(body) + body
    cuts = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})
    parts = [data[start:end] for start, end in pairwise(cuts)]

    assert read(*parts) == [None] * (len(parts) - 1) + [Reply(200, body, stays=True)]


def test_one_reply_after_the_other_is_read():
    first, second = (HEAD % 2 + body for body in (b"{}", b"[]"))

    assert [one.body for one in read(first, second) if one] == [b"{}", b"[]"]


@pytest.mark.parametrize(
    ("head", "stays"),
    [
        (b"HTTP/1.1 502 Bad Gateway\r\n", True),
        (b"HTTP/1.1 502 Bad Gateway\r\nConnection: Close\r\n", False),
        (b"HTTP/1.0 502 Bad Gateway\r\n", False),
        (b"HTTP/1.0 502\r\nConnection: keep-alive\r\n", True),
    ],
)
def test_a_connection_stays_as_its_server_says(head, stays):
    assert read(head + b"Content-Length: 0\r\n\r\n") == [Reply(502, b"", stays=stays)]


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 OK\r\nContent-Length: 1\r\n\r\n",
        b"SSH-2.0-OpenSSH\r\n\r\n",
        HEAD % 1 + b"{}",
        b"x" * 65_537,
    ],
    ids=["no-length", "bad-length", "no-status", "not-http", "too-long", "endless-head"],
)
def test_what_is_no_reply_is_told(data):
    with pytest.raises(ValueError, match="repl"):
        read(data)
