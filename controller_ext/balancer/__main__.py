"""`python -m controller_ext.balancer`: runs the balancer until SIGTERM or SIGINT."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys

import uvloop

from action_runtime.wire.errors import DataflowError
from controller_ext.balancer.app import BalancerApp
from controller_ext.balancer.siblings import NameTaken, until_first
from controller_ext.settings import PREFIX, Settings
from invoker_ext import logs
from invoker_ext.contract.settings import SettingsError, shown
from invoker_ext.door.hello import read_token

logger = logging.getLogger(__name__)


async def serve(settings: Settings) -> None:
    """Serve until the process is told to stop.

    Raises:
        NotAllowed: The token cannot be read.
        NameTaken: Another controller has our id.
        OSError: A socket cannot be made.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    app = BalancerApp(settings, read_token(settings.token_file))
    await app.start()
    try:
        logger.info("balancer serves", extra={"socket": str(settings.balancer_socket)})
        if settings.ready_fd >= 0:
            os.write(settings.ready_fd, b"1")
            os.close(settings.ready_fd)
        await until_first(stop.wait(), app.displaced())
    finally:
        await app.close()
        logger.info("balancer stopped")


def main() -> int:
    """Run the process; return its exit code."""
    if "--print-settings" in sys.argv[1:]:
        sys.stdout.write(shown(Settings, os.environ, PREFIX))
        return 0
    try:
        settings = Settings.from_env(os.environ)
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    logs.configure("balancer", settings.log_level)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve(settings))
    except NameTaken as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except (DataflowError, OSError) as error:
        logger.error("balancer cannot serve", extra={"error": str(error)})  # noqa: TRY400 - the text says it all
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
