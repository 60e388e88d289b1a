"""What a process holds: descriptors, threads, children; read from /proc (Linux)."""

from __future__ import annotations

import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass(slots=True, frozen=True)
class Holdings:
    """A census of this process.

    Attributes:
        descriptors: Number → what it refers to.
        threads: Names of running threads.
        children: Process ids of direct children, zombies included.
    """

    descriptors: dict[int, str]
    threads: frozenset[str]
    children: frozenset[int]

    @staticmethod
    def now() -> Holdings:
        """Count."""
        descriptors: dict[int, str] = {}
        for entry in Path("/proc/self/fd").iterdir():
            try:
                descriptors[int(entry.name)] = str(entry.readlink())
            except FileNotFoundError:  # the descriptor of this very listing
                continue
        children: set[int] = set()
        for task in Path("/proc/self/task").iterdir():
            with suppress(FileNotFoundError, ProcessLookupError):  # a thread that ended meanwhile
                children.update(int(pid) for pid in (task / "children").read_text().split())
        names = frozenset(f"{one.name}#{one.native_id}" for one in threading.enumerate())
        return Holdings(descriptors, names, frozenset(children))

    def since(self, before: Holdings) -> str:
        """Return what came since `before` and is still there, as text; empty if nothing."""
        found: list[str] = []
        new = {n: what for n, what in self.descriptors.items() if before.descriptors.get(n) != what}
        # Only growth is a leak: a descriptor may have been closed and its number used again.
        if len(self.descriptors) > len(before.descriptors):
            found += [f"descriptor {n}: {what}" for n, what in sorted(new.items())]
        found += [f"thread {name}" for name in sorted(self.threads - before.threads)]
        found += [f"process {pid}" for pid in sorted(self.children - before.children)]
        return "; ".join(found)
