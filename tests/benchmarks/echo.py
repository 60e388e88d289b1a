"""A server that does nothing: what a request and its answer cost by themselves, in caller, kernel and a second process.

`python -m tests.benchmarks.echo` reads the bytes of an answer from stdin, prints its port and gives that answer to
every request of one connection, until that ends.
"""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

LIFE_S: Final = 120.0
"""Without a request for so long it ends by itself."""
_END: Final = b"\r\n\r\n"


@contextmanager
def answering(answer: bytes) -> Iterator[str]:
    """Start a server in a process of its own, and stop it when left.

    Args:
        answer: Status line, headers and body of every answer.

    Yields:
        Its URL.
    """
    command = [sys.executable, "-m", "tests.benchmarks.echo"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        try:
            server.stdin.write(answer)
            server.stdin.close()
            yield f"http://127.0.0.1:{int(server.stdout.readline())}"
        finally:
            server.kill()


def is_whole(request: bytes) -> bool:
    """Return whether all of a request is there."""
    head, end, body = request.partition(_END)
    lines = head.lower().split(b"\r\n")
    length = next((int(line[15:]) for line in lines if line.startswith(b"content-length:")), 0)
    return bool(end) and len(body) >= length


def main() -> int:
    """Serve one connection."""
    answer = sys.stdin.buffer.read()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(LIFE_S)
        sys.stdout.write(f"{listener.getsockname()[1]}\n")
        sys.stdout.flush()
        connection, _ = listener.accept()
    with connection:
        connection.settimeout(LIFE_S)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        request = b""
        while part := connection.recv(1 << 16):
            request += part
            if is_whole(request):
                connection.sendall(answer)
                request = b""
    return 0


if __name__ == "__main__":
    sys.exit(main())
