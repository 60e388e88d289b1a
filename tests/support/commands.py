"""A command-line client in the hands of a test: alone in a folder, and asked for what it prints."""

from __future__ import annotations

import io
import json
import os
import subprocess
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

COMMAND_S: Final = 60.0
XDG: Final = ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME")


def alone(home: Path) -> dict[str, str]:
    """Return an environment with a home of its own, in which nothing of this machine's user is set."""
    return {"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8", **{name: str(home) for name in XDG}}


class Command:
    """A program that is called again and again.

    Args:
        argv: How each call begins.
        environ: All that it sees.
        folder: Where it runs, and where tests put its files.
    """

    def __init__(self, argv: Sequence[str | Path], environ: Mapping[str, str], folder: Path) -> None:
        self.folder = folder
        self._argv = [str(part) for part in argv]
        self._environ = dict(environ)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Call it and return how it went."""
        return subprocess.run(
            [*self._argv, *arguments],
            cwd=self.folder,
            env=self._environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_S,
        )

    def text(self, *arguments: str) -> str:
        """Return what a call prints that must succeed."""
        done = self.run(*arguments)
        assert done.returncode == 0, f"{arguments} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def json(self, *arguments: str) -> Any:
        """Return the JSON that a call prints that must succeed."""
        text = self.text(*arguments)
        try:
            return json.loads(text)
        except ValueError:
            raise AssertionError(f"{arguments} printed no JSON:\n{text}") from None

    def refused(self, *arguments: str) -> str:
        """Return all that a call prints that must fail."""
        done = self.run(*arguments)
        assert done.returncode != 0, f"{arguments} succeeded:\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    def file(self, name: str, content: str | bytes) -> str:
        """Put a file into its folder; return its name."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return name


def zipped(files: Mapping[str, str]) -> bytes:
    """Return an archive of these files."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return made.getvalue()
