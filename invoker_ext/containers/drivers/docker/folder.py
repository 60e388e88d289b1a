"""What an invoker and one container share: a socket for its session, and pipes for what it prints.

The folder is mounted into that container alone, which makes the socket its identity. Pipes by name, because what the
engine passes on of a container's output comes late and in no order to the session: what is in a pipe when the
runtime says that a function returned is that function's.
"""

from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path
from typing import Final

from invoker_ext.containers.drivers.docker.flags import SOCKET

PIPES: Final = ("stdout", "stderr")


class SharedFolder:
    """One container's folder.

    Args:
        path: To be made; its parent is closed to all other users of the host. May be longer than a socket's address.

    Raises:
        OSError: The host has no room; nothing is left behind.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._outputs: list[int] = []
        try:
            path.mkdir(mode=0o755, parents=True)
            self._listen()
            for name in PIPES:
                os.mkfifo(path / name)
                (path / name).chmod(0o622)  # the container's user is none of ours
                self._outputs.append(os.open(path / name, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC))
        except OSError:
            for one in self._outputs:
                os.close(one)
            self.close()
            raise

    @property
    def outputs(self) -> tuple[int, int]:
        """Read ends of the pipes; owned by who takes them."""
        return self._outputs[0], self._outputs[1]

    def close(self) -> None:
        """Remove it. Idempotent."""
        self.listener.close()
        shutil.rmtree(self.path, ignore_errors=True)

    def _listen(self) -> None:
        directory = os.open(self.path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self.listener.bind(f"/proc/self/fd/{directory}/{SOCKET}")
        finally:
            os.close(directory)
        (self.path / SOCKET).chmod(0o666)
        self.listener.listen(1)
        self.listener.setblocking(False)
