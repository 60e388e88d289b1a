"""The setting that tells all processes of a server which kinds of actions there are, and what runs each.

That is an interpreter, or an image where containers are Docker's. `dataflower standalone` finds interpreters before it
starts anything (`invoker_ext/interpreters.py`) and hands them to workers and invoker; an invoker that was told nothing
finds its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

PYTHON: Final = "python"
NODEJS: Final = "nodejs"
OWN: Final = "python"
"""In place of a path: the interpreter that runs the invoker itself."""
IMAGE: Final = "image:"
"""Before a reference, in place of a path: the kind's image."""
_PYTHON_IMAGE: Final = f"{IMAGE}openwhisk-dataflower/action-python:latest"
_NODE_IMAGE: Final = f"{IMAGE}openwhisk-dataflower/action-nodejs:latest"
DEFAULT_IMAGES: Final[Mapping[str, str]] = {
    **dict.fromkeys((f"{PYTHON}:3.12", f"{PYTHON}:3", f"{PYTHON}:3.10", f"{PYTHON}:3.11"), _PYTHON_IMAGE),
    **dict.fromkeys((f"{NODEJS}:20", f"{NODEJS}:18"), _NODE_IMAGE),
}
"""Where containers are Docker's and nothing else is set: our own images, under all names that clients use."""


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
    """Return kind → interpreter or image of `KIND=PATH,…`, in its order.

    Raises:
        ValueError: It is not of that form, with a sentence that says where.
    """
    return dict(_entries(text))


def _entries(text: str) -> Iterator[tuple[str, str]]:
    for entry in text.split(","):
        kind, _, path = entry.strip().partition("=")
        by_image = path.startswith(IMAGE) and path != IMAGE and family(kind) and kind.partition(":")[2]
        by_program = family(kind) in (PYTHON, NODEJS) and version(kind) and (path == OWN or path.startswith("/"))
        if not (by_image or by_program):
            raise ValueError(
                "must be KIND=PATH,… with kinds of Python and node and absolute paths, or KIND=image:NAME,… "
                f"with any kinds, has {entry!r}"
            )
        yield kind, path


def images(kinds: Mapping[str, str]) -> dict[str, str]:
    """Return kind → reference of those kinds that an image runs."""
    return {kind: path.removeprefix(IMAGE) for kind, path in kinds.items() if path.startswith(IMAGE)}


def interpreters(kinds: Mapping[str, str]) -> dict[str, str]:
    """Return those kinds that an interpreter runs."""
    return {kind: path for kind, path in kinds.items() if not path.startswith(IMAGE)}


def problem(text: str) -> str | None:
    """Return what is wrong with a setting of kinds; empty is none."""
    try:
        read(text or f"{PYTHON}:3={OWN}")
    except ValueError as error:
        return str(error)
    return None
