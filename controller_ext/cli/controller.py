"""`dataflower controller`: the API and the balancer of a deployment on several hosts."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Final

from controller_ext.cli.options import Subparsers, add_distributed

_EPILOG: Final = """\
When it serves, one line `ready http://HOST:PORT` appears on stdout; logs go to stderr. `GET /ping` answers `pong`.

  dataflower admin db init --store-url http://couchdb:5984                                once
  dataflower controller --bus kafka://kafka:9092 --store-url http://couchdb:5984
  dataflower invoker --bus kafka://kafka:9092 --store-url http://couchdb:5984 --driver docker

Other hosts reach it where DATAFLOWER_CONTROLLER_PEER_LISTEN says, HOST:PORT; without it, invokers of other hosts get no
parameters that do not fit into a message.

Everything else is set by the environment: python -m controller_ext.balancer --print-settings
"""


def register(subparsers: Subparsers) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser(
        "controller",
        help="start a controller of a deployment on several hosts",
        description="Start a controller: API and balancer, with Kafka as bus and CouchDB as store (Linux only).",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default %(default)s)")
    parser.add_argument("--port", type=int, default=3233, help="0: any free one (default %(default)s)")
    parser.add_argument("--id", metavar="ID", help="name of this controller among several (default 0)")
    parser.add_argument("--workers", type=int, metavar="N", help="API processes (default: one per two cores)")
    add_distributed(parser, "DATAFLOWER_CONTROLLER_")
    parser.set_defaults(handler=handle)


def handle(arguments: argparse.Namespace) -> int:
    """Start it and stay until it is told to stop."""
    from controller_ext.standalone.controller import run

    chosen = {"ID": arguments.id, "WORKERS": arguments.workers, "BUS": arguments.bus, "STORE_URL": arguments.store_url}
    given = {f"DATAFLOWER_CONTROLLER_{name}": str(value) for name, value in chosen.items() if value is not None}
    data_dir: Path | None = arguments.data_dir
    return run(arguments.host, arguments.port, data_dir, {**os.environ, **given})
