"""The processes of a controller, and running processes in the foreground of a command."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from controller_ext import launch
from controller_ext.settings import PREFIX, Settings
from controller_ext.standalone.children import ChildPlan
from controller_ext.standalone.datadir import CannotStart
from controller_ext.standalone.supervisor import Supervisor

logger = logging.getLogger(__name__)

_WORKERS_GRACE_S: Final = 5.0
_BALANCER_GRACE_S: Final = 5.0


def linux_only() -> None:
    """Raise CannotStart on any other system."""
    if sys.platform != "linux":
        raise CannotStart("the server runs on Linux only: it passes sealed memory by descriptor")


def url_of(host: str, port: int) -> str:
    """Return the URL by which this machine reaches what listens on an address."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def controller_plans(
    settings: Settings, common: Mapping[str, str], descriptors: tuple[int, ...]
) -> tuple[ChildPlan, ChildPlan]:
    """Return workers and balancer.

    Args:
        settings: Of both.
        common: The rest of their environment.
        descriptors: That the workers listen on.
    """
    environ = {**common, **settings.to_env()}
    del environ[PREFIX + "READY_FD"]
    workers = ChildPlan(
        name="workers",
        argv=launch.command("controller_ext.wsgi"),
        environ=environ,
        ready_variable=PREFIX + "READY_FD",
        ready_bytes=settings.worker_count,
        descriptors=descriptors,
        grace_s=_WORKERS_GRACE_S,
    )
    balancer = ChildPlan(
        name="balancer",
        argv=launch.command("controller_ext.balancer"),
        environ=environ,
        ready_variable=PREFIX + "READY_FD",
        ready_bytes=1,
        grace_s=_BALANCER_GRACE_S,
    )
    return workers, balancer


async def supervise(
    plans: Sequence[ChildPlan],
    log_dir: Path | None,
    usable: Callable[[], Awaitable[object]],
    line: str,
    within_s: float,
) -> None:
    """Run processes until SIGTERM or SIGINT.

    Args:
        plans: In the order in which they are stopped.
        log_dir: Where their logs go; None: where our errors go.
        usable: Awaited once all are ready; returns when the server can be used.
        line: Printed then.
        within_s: Bound of the start.

    Raises:
        ServerFailed: A process does not stay up, or does not get ready.
    """
    supervisor = Supervisor(plans, log_dir)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, supervisor.stop)

    def ready() -> None:
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
        logger.info("server is ready", extra={"line": line})

    await supervisor.run(usable, ready, within_s)
    logger.info("server stopped")
