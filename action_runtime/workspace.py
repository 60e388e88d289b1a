"""The directory of this process: one folder per attempt to initialise, all removed at the end."""

from __future__ import annotations

import contextlib
import os


class Workspace:
    """Makes its directory with the first folder that is asked for."""

    def __init__(self, parent: str) -> None:
        """Name the place.

        Args:
            parent: An existing directory, writable.
        """
        self._parent = os.path.realpath(parent)
        self._made = False
        self._attempts = 0
        self.root = os.path.join(self._parent, f"action-{os.getpid()}-{os.urandom(6).hex()}")

    def next_folder(self) -> str:
        """Return a new, empty folder."""
        if not self._made:
            os.mkdir(self.root, 0o700)
            self._made = True
        self._attempts += 1
        folder = os.path.join(self.root, str(self._attempts))
        os.mkdir(folder, 0o700)
        return folder

    def remove(self) -> None:
        """Remove everything that can be removed. Idempotent; safe from any thread."""
        for path, folders, files in os.walk(self.root, topdown=False):
            with contextlib.suppress(OSError):
                os.chmod(path, 0o700)
            for name in files:
                with contextlib.suppress(OSError):
                    os.unlink(os.path.join(path, name))
            for name in folders:
                folder = os.path.join(path, name)
                with contextlib.suppress(OSError):
                    os.unlink(folder) if os.path.islink(folder) else os.rmdir(folder)
        with contextlib.suppress(OSError):
            os.rmdir(self.root)
