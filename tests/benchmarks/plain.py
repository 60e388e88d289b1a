"""The least that moving bytes between two processes can cost: `socket.sendfile`, and a receiver that writes a memfd.

Run as a module it is one of the two: `send SIZE`, or `receive PORT SIZE`, which measures once for each line on stdin.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from typing import Final

from tests.support.sources import ROOT

MIB: Final = 1 << 20
_READ_BYTES: Final = MIB


class Plain:
    """Both processes."""

    def __init__(self, size_bytes: int) -> None:
        self._sender = _start("send", str(size_bytes))
        assert self._sender.stdout is not None
        port = self._sender.stdout.readline().strip()
        self._receiver = _start("receive", port, str(size_bytes))

    def measure_s(self) -> float:
        """Move the bytes once; return how long it took the receiver, from the connection on."""
        assert self._receiver.stdin is not None
        assert self._receiver.stdout is not None
        self._receiver.stdin.write("\n")
        return float(self._receiver.stdout.readline())

    def close(self) -> None:
        """End both."""
        for process in (self._receiver, self._sender):
            assert process.stdin is not None
            assert process.stdout is not None
            process.kill()
            process.wait()
            process.stdin.close()
            process.stdout.close()


def _start(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.benchmarks.plain", *arguments]
    return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)


def _send(size_bytes: int) -> None:
    descriptor = os.memfd_create("plain")
    piece = os.urandom(min(size_bytes, MIB))
    for at in range(0, size_bytes, MIB):
        os.pwrite(descriptor, piece, at)
    with socket.create_server(("127.0.0.1", 0)) as server, os.fdopen(descriptor, "rb") as file:
        sys.stdout.write(f"{server.getsockname()[1]}\n")
        sys.stdout.flush()
        while True:
            connection, _ = server.accept()
            with connection:
                file.seek(0)
                connection.sendfile(file)


def _receive(port: int, size_bytes: int) -> None:
    buffer = memoryview(bytearray(_READ_BYTES))
    for _ in sys.stdin:
        begin_s = time.perf_counter()
        target = os.memfd_create("plain")
        with socket.create_connection(("127.0.0.1", port)) as connection:
            left = size_bytes
            while left:
                count = connection.recv_into(buffer)
                left -= os.write(target, buffer[:count])
        sys.stdout.write(f"{time.perf_counter() - begin_s}\n")
        sys.stdout.flush()
        os.close(target)


if __name__ == "__main__":
    if sys.argv[1] == "send":
        _send(int(sys.argv[2]))
    else:
        _receive(int(sys.argv[2]), int(sys.argv[3]))
