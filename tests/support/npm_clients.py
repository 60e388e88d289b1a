"""What tests need from the npm registry: installed once a version, outside the checkout, and found there.

`python -m tests.support.npm_clients` installs all of it; `make clients` does so.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

LIST: Final = Path(__file__).resolve().parent.parent / "e2e" / "clients"
"""OpenWhisk's clients."""
COMPOSER: Final = Path(__file__).resolve().parent.parent / "e2e" / "composer"
"""Composer, apart from the others: it is small, and more than one suite needs it."""
COUCHDB: Final = Path(__file__).resolve().parent / "couchdb_server"
FILES: Final = ("package.json", ".npmrc")
LEAST_NODE: Final = 20
INSTALL_S: Final = 600
HOW: Final = f"install Node.js {LEAST_NODE} or newer with npm, then `make clients`"


def cache(environ: Mapping[str, str] = os.environ) -> Path:
    """Return where tests keep what is slow to get; it may be removed at any time."""
    named = environ.get("DATAFLOWER_TEST_CACHE")
    return Path(named) if named else Path.home() / ".cache" / "dataflower"


def folder(wanted: Path = LIST) -> Path:
    """Return where a list of packages is installed; another list has another folder."""
    digest = hashlib.sha256(b"\0".join((wanted / name).read_bytes() for name in FILES))
    return cache() / f"npm-clients-{digest.hexdigest()[:16]}"


def modules(wanted: Path = LIST) -> Path:
    """Return the folder of the installed packages."""
    return folder(wanted) / "node_modules"


def installed(wanted: Path = LIST) -> bool:
    """Return whether all packages are there, and a Node.js that runs them."""
    return modules(wanted).is_dir() and node_version() >= LEAST_NODE


def node_version() -> int:
    """Return the major version of the Node.js on the path; 0: there is none."""
    node = shutil.which("node")
    if node is None:
        return 0
    said = subprocess.run([node, "--version"], capture_output=True, text=True, check=True, timeout=30).stdout
    return int(said.removeprefix("v").partition(".")[0])


def install(wanted: Path = LIST) -> None:
    """Install what is not there. A folder that is there is whole: it gets its name last."""
    target = folder(wanted)
    if target.is_dir():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="npm-clients-", dir=target.parent) as temporary:
        made = Path(temporary) / target.name
        made.mkdir()
        for name in FILES:
            shutil.copy(wanted / name, made)
        subprocess.run(["npm", "install", "--no-progress"], cwd=made, check=True, timeout=INSTALL_S)
        if not target.is_dir():  # else somebody was faster
            made.rename(target)


if __name__ == "__main__":
    if node_version() < LEAST_NODE or shutil.which("npm") is None:
        sys.exit(f"cannot install the clients: {HOW}")
    for each in (LIST, COMPOSER, COUCHDB):
        install(each)
