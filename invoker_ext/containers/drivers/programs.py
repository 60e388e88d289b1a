"""What is executed for a container of the process driver, by the family of its kind: arguments and bounds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from invoker_ext.containers.drivers.keeper.birth import BOOT, SESSION_FD
from invoker_ext.contract.kinds import OWN

ROOT: Final = Path(__file__).resolve().parents[3]
"""Folder of the packages."""
_NODE_PROXY: Final = ROOT / "action_runtime" / "nodejs" / "proxy.js"
_NODE_OWN_MB: Final = 64
"""Writable memory that node has before any code is loaded, with the stacks of its threads (49 MB in version 20)."""
_SEMI_SPACE_SHARE: Final = 32
_OLD_SPACE_SHARE: Final = 0.75
"""Of an action's memory that V8 may fill with objects; the rest is for buffers and what it copies while it collects."""
_GLOBAL_MODULES: Final = ("/usr/local/lib/node_modules", "/usr/lib/node_modules", "/usr/share/nodejs")


@dataclass(slots=True, frozen=True, kw_only=True)
class Program:
    """How a container is started.

    Attributes:
        argv: None: the keeper's own interpreter forks.
        environment: Besides what every container has.
        data_mb: Bound of its data segments.
        relayed: It speaks to the relay; else it is a stock runtime that serves HTTP on the socket it is given.
    """

    argv: list[str] | None
    environment: Mapping[str, str] = field(default_factory=dict)
    data_mb: int
    relayed: bool = True


def python_program(interpreter: str, memory_mb: int) -> Program:
    """Return how a container of a Python kind is started.

    Args:
        interpreter: A value of `find_kinds`.
        memory_mb: Of the action.
    """
    argv = None if interpreter == OWN else [interpreter, "-I", "-X", "utf8", "-c", BOOT, str(ROOT)]
    return Program(argv=argv, environment={"__OW_DATAFLOW_FD": str(SESSION_FD)}, data_mb=memory_mb)


def node_program(interpreter: str, memory_mb: int) -> Program:
    """Return how a container of a node kind is started; arguments as `python_program`.

    Packages that the host's npm installed globally can be required, as those of stock's image can.
    """
    prefix = Path(interpreter).parent.parent / "lib" / "node_modules"
    argv = [
        interpreter,
        "--expose-gc",  # as stock: actions call it
        f"--max-old-space-size={int(memory_mb * _OLD_SPACE_SHARE)}",
        f"--max-semi-space-size={max(1, min(16, memory_mb // _SEMI_SPACE_SHARE))}",
        str(_NODE_PROXY),
        f"fd:{SESSION_FD}",
    ]
    # How many functions run at a time is decided by the pool.
    modules = ":".join(dict.fromkeys((str(prefix), *_GLOBAL_MODULES)))
    environment = {"NODE_PATH": modules, "__OW_ALLOW_CONCURRENT": "true"}
    return Program(argv=argv, environment=environment, data_mb=memory_mb + _NODE_OWN_MB, relayed=False)
