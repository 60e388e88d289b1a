"""Names of firings and data inside one run. The run itself is named by its activation id."""

from __future__ import annotations

from typing import NamedTuple

Tag = tuple[int, ...]
"""One index per level around the step, outermost first; `()` outside of any `each`."""


class Firing(NamedTuple):
    """One execution of a step in a run (all its attempts)."""

    step: str
    tag: Tag = ()

    def __str__(self) -> str:
        return self.step + "".join(f"[{index}]" for index in self.tag)


class DataKey(NamedTuple):
    """One datum of a run: the `index`-th item of an output of a firing."""

    step: str
    tag: Tag
    output: str
    index: int = 0  # type: ignore[assignment]  # it hides a method of tuple that nobody needs here
