"""A Unix socket on which a container serves: no port, no name that another user could find, nothing to clean up."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Final

_BACKLOG: Final = 128


class NamelessSocket:
    """A listening socket for a container, and the way to it for us.

    It is bound in a folder of ours, and its name is removed at once: a descriptor of the name leads to it still.
    Connections wait in it until the container accepts; they break when the container ends without.

    Args:
        folder: Exists, is ours; its path may be longer than a socket's address.

    Raises:
        OSError: The host has no descriptors left, or cannot write to the folder.
    """

    def __init__(self, folder: Path) -> None:
        self._way = -1
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        directory = -1
        try:
            directory = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            name = f"server-{os.getpid()}-{listening.fileno()}"
            listening.bind(f"/proc/self/fd/{directory}/{name}")
            try:
                self._way = os.open(name, os.O_PATH | os.O_CLOEXEC, dir_fd=directory)
            finally:
                os.unlink(name, dir_fd=directory)
            listening.listen(_BACKLOG)
        except OSError:
            listening.close()
            self.close()
            raise
        finally:
            if directory >= 0:
                os.close(directory)
        self._listening = listening

    def detach(self) -> int:
        """Return the listening end's descriptor, which is the caller's from here on."""
        return self._listening.detach()

    @property
    def path(self) -> str:
        """Where this process connects to it."""
        return f"/proc/self/fd/{self._way}"

    def close(self) -> None:
        """Let go of the way to it. Idempotent."""
        way, self._way = self._way, -1
        if way >= 0:
            os.close(way)
