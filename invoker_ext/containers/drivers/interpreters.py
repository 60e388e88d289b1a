"""Which kinds of actions this host's Python interpreters can run."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import Mapping
from typing import Final

OWN: Final = "python"
"""Runtime of the interpreter that runs the invoker itself."""
_MINORS: Final = range(11, 20)
"""The runtime's own code needs 3.11; those that do not exist yet cost a look at PATH each."""
_PROBE_S: Final = 10.0
"""Bound of asking an interpreter for its version."""
_PROBE: Final = "import sys; sys.stdout.write('%d.%d' % sys.version_info[:2])"


async def find_interpreters(path: str | None = None) -> dict[str, str]:
    """Return kind → interpreter for `python:3`, `python:default` and each `python:3.N` that runs here.

    Each candidate is asked for its version: a name on PATH may be a shim for an interpreter that is not installed.

    Args:
        path: Where to look, as in PATH; None: this process' own.
    """
    own = f"python:3.{sys.version_info.minor}"
    kinds = {"python:3": OWN, "python:default": OWN, own: OWN}
    names = {minor: shutil.which(f"python3.{minor}", path=path) for minor in _MINORS}
    candidates = {minor: found for minor, found in names.items() if found and f"python:3.{minor}" != own}
    versions = await asyncio.gather(*map(_version, candidates.values()))
    for (minor, interpreter), version in zip(candidates.items(), versions, strict=True):
        if version == f"3.{minor}":
            kinds[f"python:3.{minor}"] = interpreter
    return kinds


async def _version(interpreter: str) -> str | None:
    """Return `3.N`; None: it does not run."""
    process = await asyncio.create_subprocess_exec(
        interpreter, "-I", "-S", "-c", _PROBE,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        async with asyncio.timeout(_PROBE_S):
            out, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        return None
    return out.decode(errors="replace") if process.returncode == 0 else None


def argv_of(runtime: str, boot: str, root: str) -> list[str] | None:
    """Return how a runtime's interpreter is called; None: it is the keeper's own, which forks instead.

    Args:
        runtime: A value of `find_interpreters`.
        boot: Program text that becomes the action runtime.
        root: Folder of the packages.
    """
    return None if runtime == OWN else [runtime, "-I", "-X", "utf8", "-c", boot, root]


def kinds_of(interpreters: Mapping[str, str]) -> tuple[str, ...]:
    """Return the kinds in a stable order."""
    return tuple(sorted(interpreters))
