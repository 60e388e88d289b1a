"""The jobs that the fleet has taken and whose listeners have not heard the last of them."""

from __future__ import annotations

import asyncio

from invoker_ext.containers.assignment import Assignment
from invoker_ext.containers.events import Need
from invoker_ext.containers.job import Job


class Register:
    """Assignments, by the pool's ticket and by their job. Used on the loop."""

    def __init__(self) -> None:
        self._tickets: dict[int, Assignment] = {}
        self._by_job: dict[int, Assignment] = {}
        """By the id of the job, which the assignment keeps alive."""
        self._count = 0
        self._empty = asyncio.Event()
        self._empty.set()

    def enter(self, job: Job, need: Need) -> Assignment:
        """Take a job in."""
        self._count += 1
        assignment = Assignment(self._count, job, need)
        self._tickets[assignment.ticket] = assignment
        self._by_job[id(job)] = assignment
        self._empty.clear()
        return assignment

    def with_ticket(self, ticket: int) -> Assignment:
        """Return a job by the pool's name for it."""
        return self._tickets[ticket]

    def of(self, job: Job) -> Assignment | None:
        """Return what is known of a job; None: it is over, or was never taken in."""
        return self._by_job.get(id(job))

    def all(self) -> list[Assignment]:
        """Return those there are now."""
        return list(self._tickets.values())

    def forget(self, assignment: Assignment) -> None:
        """Take a job out. Idempotent."""
        self._tickets.pop(assignment.ticket, None)
        self._by_job.pop(id(assignment.job), None)
        if not self._tickets:
            self._empty.set()

    async def until_empty(self) -> None:
        """Wait until all are out; the caller bounds the wait."""
        await self._empty.wait()
