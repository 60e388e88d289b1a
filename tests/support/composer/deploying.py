"""Composer's own commands, as their registry has them: `compose` and `deploy`."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Final

from tests.support import npm_clients
from tests.support.commands import Command, alone
from tests.support.composer.authoring import module
from tests.support.composer.trees import Tree
from tests.support.deploying import KEY

CONFLICT: Final = 409 - 256
"""How `deploy` ends for an HTTP status."""


def node_prefix(folder: Path) -> Path:
    """Make a folder in which node is installed together with what conductors require; return its `bin`.

    A server that finds its node there gives its containers those modules, as it does with any node's global ones.
    """
    node = shutil.which("node")
    assert node is not None
    (folder / "bin").mkdir(parents=True)
    (folder / "lib").mkdir()
    (folder / "bin" / "node").symlink_to(node)
    (folder / "lib" / "node_modules").symlink_to(npm_clients.modules(npm_clients.COMPOSER))
    return folder / "bin"


class Composer:
    """The two commands, with a server to deploy to.

    Args:
        folder: Where they run and find a home.
        url: Of the server.
    """

    def __init__(self, folder: Path, url: str) -> None:
        modules = npm_clients.modules(npm_clients.COMPOSER)
        self._commands = modules / "openwhisk-composer" / "bin"
        self._environ = {
            **alone(folder),
            "NODE_PATH": str(modules),
            "__OW_API_HOST": url,
            "__OW_API_KEY": ":".join(KEY),
        }
        self._folder = folder

    def compose(self, ast: Tree, name: str) -> None:
        """Write a composition as its author would, and compile it to `NAME.json`."""
        command = self._command("compose.js")
        command.text(command.file(f"{name}.js", module(ast)), "-o", f"{name}.json")

    def deploy(self, name: str, *flags: str) -> str:
        """Deploy `NAME.json` under its name; return what is printed."""
        return self._command("deploy.js").text(name, f"{name}.json", *flags)

    def refused(self, name: str, *flags: str) -> tuple[int, str]:
        """Deploy what must not be taken; return the status and what is printed."""
        done = self._command("deploy.js").run(name, f"{name}.json", *flags)
        return done.returncode, done.stdout + done.stderr

    def _command(self, script: str) -> Command:
        return Command(["node", self._commands / script], self._environ, self._folder)


def path_with(folder: Path) -> str:
    """Return PATH with a folder in front."""
    return os.pathsep.join((str(folder), os.environ["PATH"]))
