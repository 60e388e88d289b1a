"""Which kinds of actions this host can run, and with which interpreter."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from invoker_ext.contract.kinds import NODEJS, OWN, PYTHON, family, version

_MINORS: Final = range(10, 20)
"""The runtime's own code needs 3.10; those that do not exist yet cost a look at each folder."""
_LEAST_NODE: Final = 18
"""The proxy needs it."""
_STOCK: Final = ("python:3.10", "python:3.11", "nodejs:18", "nodejs:20")
"""Kinds of stock's own manifest: clients name them, so the next newer interpreter stands in for one that is missing."""
_PROBE_S: Final = 10.0
"""Bound of asking all interpreters for their version."""
_PYTHON_PROBE: Final = ("-I", "-S", "-c", "import sys; sys.stdout.write('%d.%d' % sys.version_info[:2])")
_NODE_PROBE: Final = ("--version",)
_ELF: Final = b"\x7fELF"


def find_kinds(path: str | None = None) -> dict[str, str]:
    """Return kind → interpreter, the default of each family first.

    Python is looked for on PATH and in what lies beside the running one (version managers keep them there), node on
    PATH. Each is asked for its version.

    Args:
        path: Where to look, as in PATH; None: this process' own.
    """
    folders = [Path(one) for one in (path or os.environ.get("PATH") or os.defpath).split(os.pathsep) if one]
    own = f"{PYTHON}:3.{sys.version_info.minor}"
    pythons = _pythons(folders)
    nodes = [found for name in ("node", "nodejs") if (found := shutil.which(name, path=path))]
    versions = _versions([(str(one), *_PYTHON_PROBE) for one in pythons] + [(one, *_NODE_PROBE) for one in nodes])
    kinds = {own: OWN, f"{PYTHON}:3": OWN}
    for interpreter, said in zip(pythons, versions, strict=False):
        if interpreter.name == f"python{said}":
            kinds.setdefault(f"{PYTHON}:{said}", str(interpreter))
    for node, said in zip(nodes, versions[len(pythons) :], strict=True):
        major = (said or "").removeprefix("v").partition(".")[0]
        if major.isdigit() and int(major) >= _LEAST_NODE:
            kinds.setdefault(f"{NODEJS}:{major}", node)
    return _with_stand_ins(kinds)


def _pythons(folders: Iterable[Path]) -> list[Path]:
    """Return what may be a Python by its name. Scripts are left out: shims, slow to say that it is none."""
    prefix = Path(sys.base_prefix)
    beside = sorted(prefix.parent.glob("*/bin")) if (prefix / "bin").is_dir() else []
    names = [f"python3.{minor}" for minor in _MINORS]
    found: dict[str, Path] = {}
    for candidate in (folder / name for folder in (*folders, *beside) for name in names):
        if candidate.name not in found and _is_program(candidate):
            found[candidate.name] = candidate
    return list(found.values())


def _is_program(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(_ELF)) == _ELF and os.access(path, os.X_OK)
    except OSError:
        return False


def _versions(commands: Iterable[tuple[str, ...]]) -> list[str | None]:
    """Run all at once; return what each says, None for one that does not run or takes too long."""
    processes = [_probe(command) for command in commands]
    return [None if process is None else _said(process) for process in processes]


def _probe(command: tuple[str, ...]) -> subprocess.Popen[bytes] | None:
    try:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    except OSError:
        return None


def _said(process: subprocess.Popen[bytes]) -> str | None:
    with process:
        try:
            out, _ = process.communicate(timeout=_PROBE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            return None
    return out.decode(errors="replace").strip() if process.returncode == 0 else None


def _with_stand_ins(kinds: dict[str, str]) -> dict[str, str]:
    for kind in _STOCK:
        newer = sorted(one for one in kinds if family(one) == family(kind) and version(one) > version(kind))
        if kind not in kinds and newer:
            kinds[kind] = kinds[min(newer, key=version)]
    return kinds
