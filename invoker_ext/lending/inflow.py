"""One streamed input of a job: its parts in order, of which those on other hosts are pulled as they are needed."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from action_runtime.wire.errors import DataflowError
from invoker_ext.sink.datum import Stored

AHEAD: Final = 8
"""Parts that user code has not taken and that are here all the same."""
_Part = TypeVar("_Part")


@dataclass(slots=True, frozen=True)
class _End:
    error: str | None


class Inflow(Generic[_Part]):
    """Lives on the loop; has a task as long as there is something to be pulled."""

    def __init__(
        self,
        bring: Callable[[_Part], Awaitable[Stored]],
        give: Callable[[Stored], None],
        end: Callable[[str | None], None],
        broke: Callable[[DataflowError], None],
        *,
        open_now: bool = True,
    ) -> None:
        """Start without parts.

        Args:
            bring: Has a part here, with a reference that is ours.
            give: Hands it to the job, which takes a reference of its own.
            end: Tells the job that there are no more, or why it broke off.
            broke: Called once if a part cannot be had; nothing is handed over any more.
            open_now: The job takes parts; else from `open` on.
        """
        self._bring = bring
        self._give = give
        self._end = end
        self._broke = broke
        self._parts: deque[_Part | _End] = deque()
        self._untaken = 0
        self._task: asyncio.Task[None] | None = None
        self._over = False
        self._open = open_now

    def put(self, part: _Part) -> None:
        """Add a part behind those that came."""
        self._parts.append(part)
        self._go_on()

    def close(self, error: str | None) -> None:
        """There are no more."""
        self._parts.append(_End(error))
        self._go_on()

    def open(self) -> None:
        """The job takes parts from here on."""
        self._open = True
        self._go_on()

    def taken(self, count: int) -> None:
        """User code has taken parts."""
        self._untaken -= count
        self._go_on()

    def stop(self) -> None:
        """Hand over nothing any more. Idempotent."""
        self._over = True
        self._parts.clear()
        if self._task is not None:
            self._task.cancel()

    def _go_on(self) -> None:
        if self._open and self._task is None and not self._over and self._parts:
            self._task = asyncio.get_running_loop().create_task(self._run(), name="inflow")

    async def _run(self) -> None:
        try:
            while self._parts:
                first = self._parts[0]
                if isinstance(first, _End):
                    self._end(first.error)
                elif self._untaken >= AHEAD:
                    return
                else:
                    here = await self._bring(first)
                    self._untaken += 1
                    self._give(here)
                    here.release()
                self._parts.popleft()
        except DataflowError as error:
            self._over = True
            self._parts.clear()
            self._broke(error)
        finally:
            self._task = None
