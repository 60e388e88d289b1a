"""The setting that tells all processes of a server which kinds of actions there are, and which interpreter runs each.

`dataflower standalone` finds them before it starts anything (`invoker_ext/interpreters.py`) and hands them to workers
and invoker; an invoker that was told nothing finds its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

PYTHON: Final = "python"
NODEJS: Final = "nodejs"
OWN: Final = "python"
"""In place of a path: the interpreter that runs the invoker itself."""


def family(kind: str) -> str:
    """Return `python` of `python:3.11`."""
    return kind.partition(":")[0]


def version(kind: str) -> tuple[int, ...]:
    """Return (3, 11) of `python:3.11`; `python:3` is older than all."""
    return tuple(int(part) for part in kind.partition(":")[2].split(".") if part.isdigit())


def written(kinds: Mapping[str, str]) -> str:
    """Return the setting that `read` reads as these kinds. Paths that would not fit it are left out."""
    return ",".join(f"{kind}={path}" for kind, path in kinds.items() if "," not in path)


def read(text: str) -> dict[str, str]:
    """Return kind → interpreter of `KIND=PATH,…`, in its order.

    Raises:
        ValueError: It is not of that form, with a sentence that says where.
    """
    return dict(_entries(text))


def _entries(text: str) -> Iterator[tuple[str, str]]:
    for entry in text.split(","):
        kind, _, path = entry.strip().partition("=")
        if not (family(kind) in (PYTHON, NODEJS) and version(kind) and (path == OWN or path.startswith("/"))):
            raise ValueError(f"must be KIND=PATH,… with kinds of Python and node and absolute paths, has {entry!r}")
        yield kind, path


def problem(text: str) -> str | None:
    """Return what is wrong with a setting of kinds; empty is none."""
    try:
        read(text or f"{PYTHON}:3={OWN}")
    except ValueError as error:
        return str(error)
    return None
