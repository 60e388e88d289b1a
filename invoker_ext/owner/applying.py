"""Which functions of a region are evaluated at a time. Pure.

Those of a `map` with thousands of elements would fill the line that all runs of the invoker share. A region has a few
in it; its others wait here, where they hold references to data and no copy of them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

from invoker_ext.dataflow.regions.commands import Apply
from invoker_ext.dataflow.regions.values import size_of

AT_ONCE: Final = 8
"""More than there are processes for them, so that none of these waits for the region."""
AT_ONCE_BYTES: Final = 16 * 1024 * 1024
"""Of what they get together; one that gets more goes alone."""


class Applying:
    """The functions of one region.

    Args:
        begin: Reads what a function gets, and has it evaluated; `over` is called once for each.
    """

    def __init__(self, begin: Callable[[Apply], None]) -> None:
        self._begin = begin
        self._line: deque[Apply] = deque()
        self._sizes: dict[int, int] = {}

    def add(self, command: Apply) -> None:
        """Take a function; it begins when it is its turn, in the order they came."""
        self._line.append(command)
        self._go_on()

    def over(self, ticket: int) -> None:
        """A function came to something; others may begin."""
        self._sizes.pop(ticket, None)
        self._go_on()

    def clear(self) -> None:
        """Forget those that wait, with what they refer to."""
        self._line.clear()

    def _go_on(self) -> None:
        while self._line and len(self._sizes) < AT_ONCE:
            size = _size_of(self._line[0])
            if self._sizes and sum(self._sizes.values()) + size > AT_ONCE_BYTES:
                return
            command = self._line.popleft()
            self._sizes[command.ticket] = size
            self._begin(command)


def _size_of(command: Apply) -> int:
    return sum(size_of(value).bytes for value in (command.params, *command.cells.values()))
