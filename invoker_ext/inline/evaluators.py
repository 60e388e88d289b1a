"""Both evaluators of inline functions, behind the interface of each."""

from __future__ import annotations

from invoker_ext.inline.call import Call
from invoker_ext.inline.contained import Answered, Contained
from invoker_ext.inline.functions import Functions


class Evaluators:
    """Gives each call to whom its composition says. Lives on the loop.

    Args:
        beside: The engine beside the invoker.
        contained: Containers.
    """

    def __init__(self, beside: Functions, contained: Contained) -> None:
        self._beside = beside
        self._contained = contained

    def evaluate(self, call: Call, done: Answered) -> int:
        """See `Functions`. Tickets of calls in containers are less than 0."""
        if call.home is None:
            return self._beside.evaluate(call, done)
        return -self._contained.evaluate(call, call.home, done)

    def cancel(self, ticket: int) -> None:
        """See `Functions`; a function that runs in a container is ended with it."""
        if ticket > 0:
            self._beside.cancel(ticket)
        else:
            self._contained.cancel(-ticket)

    async def close(self) -> None:
        """Calls under way are never answered. Idempotent."""
        self._contained.close()
        await self._beside.close()
