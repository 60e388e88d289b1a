"""Imports modules, each in a process that has imported nothing else; run with `-W error`.

Standard library alone, and forks: starting the interpreter once a module would take half a minute.
Usage: python -W error import_alone.py ROOT MODULE…; prints a line for each that fails.
"""

from __future__ import annotations

import importlib
import os
import sys
import traceback


def fails(name: str) -> bool:
    """Import `name` in a child; its traceback goes to stderr."""
    child = os.fork()
    if child == 0:
        try:
            importlib.import_module(name)
        except BaseException:  # noqa: BLE001 - whatever an import raises, SystemExit too
            traceback.print_exc()
            sys.stderr.flush()
            os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1] != 0


if __name__ == "__main__":
    sys.path[0] = sys.argv[1]
    failed = [name for name in sys.argv[2:] if fails(name)]
    sys.stdout.write("".join(f"{name}\n" for name in failed))
