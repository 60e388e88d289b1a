"""Keeps the processes of a server running until it is told to stop, or gives up on a crash loop."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final

from action_runtime.wire.errors import DataflowError
from controller_ext.standalone.children import Child, ChildPlan
from controller_ext.standalone.restarts import MAX_DEATHS, WINDOW_S, RestartPolicy

logger = logging.getLogger(__name__)

BAD_SETTINGS: Final = 2
"""Exit code of a process whose settings are wrong: another start would end the same way."""


class ServerFailed(DataflowError):
    """A process of the server does not stay up, or does not get ready."""

    code = "server-failed"


class Supervisor:
    """Owns the children. Lives on one loop."""

    def __init__(self, plans: Sequence[ChildPlan], log_dir: Path | None) -> None:
        """Start nothing yet.

        Args:
            plans: In the order in which they are stopped.
            log_dir: Where the children's logs go; None: where our errors go.
        """
        self._plans = plans
        self._log_dir = log_dir
        self._children: dict[str, Child] = {}
        self._policies = {plan.name: RestartPolicy() for plan in plans}
        self._started = asyncio.Event()
        self._stopping = False
        self._over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def stop(self) -> None:
        """Have `run` end; callable from a signal handler of the loop."""
        if not self._over.done():
            self._over.set_result(None)

    async def run(self, usable: Callable[[], Awaitable[object]], ready: Callable[[], None], within_s: float) -> None:
        """Start all, call `ready` when they serve, keep them running until `stop`, then stop them in order.

        Args:
            usable: Awaited after all children said that they are ready; returns when the server can be used.
            ready: Called once.
            within_s: Bound of the start.

        Raises:
            ServerFailed: A crash loop, or not ready in time. All children have been stopped.
        """
        try:
            for plan in self._plans:
                self._start(plan)
            getting_ready = asyncio.create_task(self._get_ready(usable, ready, within_s), name="getting-ready")
            try:
                await asyncio.wait({getting_ready, self._over}, return_when=asyncio.FIRST_COMPLETED)
                if getting_ready.done():
                    getting_ready.result()
                await self._over
            finally:
                getting_ready.cancel()
                await asyncio.wait({getting_ready})
                self._over.cancel()
        finally:
            await self._stop_all()

    async def _get_ready(
        self, usable: Callable[[], Awaitable[object]], ready: Callable[[], None], within_s: float
    ) -> None:
        try:
            async with asyncio.timeout(within_s):
                for plan in self._plans:
                    await self._child_ready(plan.name)
                await usable()
        except TimeoutError as error:
            waiting = [name for name, child in self._children.items() if not child.ready.is_set()]
            who = ", ".join(waiting) or "an invoker"
            where = "what is logged above" if self._log_dir is None else self._log_dir
            raise ServerFailed(f"not ready within {within_s:g} s: {who}; see {where}") from error
        ready()

    async def _child_ready(self, name: str) -> None:
        """Wait for this child, or for the one that is started in its place."""
        while not (child := self._children[name]).ready.is_set():
            started = self._started
            waits = [asyncio.create_task(one.wait()) for one in (child.ready, started)]
            try:
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for wait in waits:
                    wait.cancel()

    def _start(self, plan: ChildPlan) -> None:
        child = Child(plan, self._log_dir, self._on_death)
        self._children[plan.name] = child
        self._started.set()
        self._started = asyncio.Event()
        logger.info("process started", extra={"child": plan.name, "child_pid": child.pid})

    def _on_death(self, child: Child, code: int) -> None:
        name = child.plan.name
        if self._stopping:
            logger.info("process ended", extra={"child": name, "exit_code": code})
            return
        delay_s = None if code == BAD_SETTINGS else self._policies[name].died(time.monotonic())
        if delay_s is None:
            how = "its settings are wrong" if code == BAD_SETTINGS else f"it died {MAX_DEATHS} times in {WINDOW_S:g} s"
            self._fail(ServerFailed(f"the {name} does not stay up: {how}; {child.last_words()}"))
            return
        logger.warning("process died, starting it again", extra={"child": name, "exit_code": code, "delay_s": delay_s})
        asyncio.get_running_loop().call_later(delay_s, self._start_again, child.plan)

    def _start_again(self, plan: ChildPlan) -> None:
        if self._stopping:
            return
        try:
            self._start(plan)
        except OSError as error:
            self._fail(ServerFailed(f"the {plan.name} cannot be started: {error.strerror}"))

    def _fail(self, error: ServerFailed) -> None:
        if not self._over.done():
            self._over.set_exception(error)

    async def _stop_all(self) -> None:
        self._stopping = True
        for plan in self._plans:
            child = self._children.get(plan.name)
            if child is not None:
                await child.stop()
