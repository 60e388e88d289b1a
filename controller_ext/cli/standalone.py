"""`dataflower standalone`: the whole server in one command, on one Linux machine."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

DRIVERS: Final = ("process", "docker")

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

_EPILOG: Final = """\
When the server can be used, one line `ready http://HOST:PORT` appears on stdout; logs go to DIR/log/.
Stop it with Ctrl-C or SIGTERM; accepted runs resume at the next start on the same directory.

  dataflower standalone                         on http://127.0.0.1:3233, with the stock guest key
  dataflower standalone --port 0 --data-dir d   any free port, all state below ./d
  dataflower standalone --driver docker         actions in containers of the engine that DOCKER_HOST names

Everything else is set by the environment, DATAFLOWER_CONTROLLER_… and DATAFLOWER_INVOKER_…:
  python -m invoker_ext --print-settings
  python -m controller_ext.balancer --print-settings
"""


def register(subparsers: Subparsers) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser(
        "standalone",
        help="start a complete server on this machine",
        description="Start the embedded server: API, balancer, invoker and its containers (Linux only).",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default %(default)s)")
    parser.add_argument("--port", type=int, default=3233, help="0: any free one (default %(default)s)")
    parser.add_argument(
        "--data-dir",
        type=Path,
        metavar="DIR",
        help="where all state lives (default $XDG_DATA_HOME/dataflower, or ~/.local/share/dataflower)",
    )
    parser.add_argument(
        "--driver",
        choices=DRIVERS,
        help="what containers are: processes of this host, or Docker's (default: as set, else process)",
    )
    parser.add_argument(
        "--invokers", type=int, metavar="N", help="invokers, which lend each other containers (default: 1)"
    )
    parser.add_argument("--workers", type=int, metavar="N", help="API processes (default: one per two cores)")
    parser.add_argument(
        "--bus",
        metavar="URL",
        help="kafka://HOST:PORT,… instead of the local bus (default: DATAFLOWER_CONTROLLER_BUS, or the local one)",
    )
    parser.add_argument(
        "--store-url",
        metavar="URL",
        help="keep entities and activation records in CouchDB at http(s)://HOST:PORT (default: SQLite in DIR)",
    )
    parser.set_defaults(handler=handle)


def handle(arguments: argparse.Namespace) -> int:
    """Start the server and stay until it is told to stop."""
    from controller_ext.standalone.app import run

    chosen = {
        "DATAFLOWER_CONTROLLER_WORKERS": arguments.workers,
        "DATAFLOWER_CONTROLLER_LOCAL_INVOKERS": arguments.invokers,
        "DATAFLOWER_CONTROLLER_BUS": arguments.bus,
        "DATAFLOWER_CONTROLLER_STORE_URL": arguments.store_url,
        "DATAFLOWER_INVOKER_DRIVER": arguments.driver,
    }
    given = {**os.environ, **{name: str(value) for name, value in chosen.items() if value is not None}}
    return run(arguments.host, arguments.port, arguments.data_dir, given)
