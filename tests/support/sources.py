"""The project's own files, as the architecture tests see them."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
PACKAGES: Final = ("controller_ext", "invoker_ext", "action_runtime")


@cache
def modules() -> dict[str, Path]:
    """Return every module of the three packages: dotted name → file."""
    found = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(name: str, *, typing_too: bool = True) -> Iterator[tuple[str, int]]:
    """Yield what a module imports, anywhere in it, as (dotted name, line).

    Args:
        name: The module.
        typing_too: With what stands below `if TYPE_CHECKING`, which never runs.
    """
    tree = ast.parse(modules()[name].read_text())
    unrun = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if not typing_too and id(node) in unrun:
            continue
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            # `from package import module` imports the module, as far as there is one.
            for alias in node.names:
                inner_name = f"{node.module}.{alias.name}"
                yield (inner_name if inner_name in modules() else node.module), node.lineno


@cache
def reached(name: str) -> dict[str, str]:
    """Return what importing a module runs, directly or through modules of the project: name → imported by whom."""
    found: dict[str, str] = {}
    rest = [name]
    while rest:
        importer = rest.pop()
        for target, _ in imports(importer, typing_too=False):
            if target not in found:
                found[target] = importer
                if target in modules():
                    rest.append(target)
    return found


@cache
def tracked_files() -> tuple[Path, ...]:
    """Return every file that git tracks or would track."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    names = listing.stdout.decode().split("\0")
    return tuple(ROOT / name for name in names if name and (ROOT / name).is_file())
