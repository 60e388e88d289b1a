import pytest

from tests.benchmarks.echo import is_whole


@pytest.mark.parametrize(
    ("request_", "whole"),
    [
        (b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}", True),
        (b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n{", False),
        (b"GET / HTTP/1.1\r\n\r\n", True),
        (b"GET / HTTP/1.1\r\n", False),
    ],
)
def test_a_request_is_whole_with_all_of_its_body(request_, whole):
    assert is_whole(request_) == whole
