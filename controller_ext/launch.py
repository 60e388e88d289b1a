"""How our processes start, by Python: with this very code, and never with what lies in the user's folder.

`python -m` looks for modules in the folder it is started in first: a `json.py` of the user's would take the place of
Python's own.
"""

from __future__ import annotations

import os
import resource
import site
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

_ROOT: Final = str(Path(__file__).resolve().parents[1])


def lift_open_files() -> None:
    """Let this process, and those it starts, open as many files as the system lets it: connections are files."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def command(module: str, *arguments: str) -> list[str]:
    """Return the command line that runs a module of ours, wherever it is run."""
    return [sys.executable, "-P", "-m", module, *arguments]


def environment(given: Mapping[str, str]) -> dict[str, str]:
    """Return an environment in which our packages are found also where nothing was installed.

    Args:
        given: Stays as it is otherwise.
    """
    if _ROOT in (*site.getsitepackages(), site.getusersitepackages()):
        return dict(given)  # found there anyway, but after Python's own modules, as it must be
    rest = given.get("PYTHONPATH")
    return {**given, "PYTHONPATH": f"{_ROOT}{os.pathsep}{rest}" if rest else _ROOT}
