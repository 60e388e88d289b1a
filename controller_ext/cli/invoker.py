"""`dataflower invoker`: an invoker of a deployment on several hosts."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Final

from controller_ext.cli.options import Subparsers, add_distributed
from controller_ext.cli.standalone import DRIVERS

_EPILOG: Final = """\
When it takes runs, one line `ready invokerN` appears on stdout; logs go to stderr. SIGTERM has it end what it has.

  dataflower invoker --bus kafka://kafka:9092 --store-url http://couchdb:5984 --driver docker
  dataflower invoker --check              exit code 0: it answers; for health checks

Other hosts reach it where DATAFLOWER_INVOKER_PEER_LISTEN says, HOST:PORT; without it, it lends and borrows nothing.

Everything else is set by the environment: python -m invoker_ext --print-settings
"""


def register(subparsers: Subparsers) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser(
        "invoker",
        help="start an invoker of a deployment on several hosts",
        description="Start an invoker, with Kafka as bus and CouchDB as store (Linux only).",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--id", metavar="N", help="its number (default: the next that the store has free)")
    parser.add_argument("--driver", choices=DRIVERS, help="what containers are (default: as set, else process)")
    parser.add_argument("--check", action="store_true", help="start nothing: say whether it answers")
    add_distributed(parser, "DATAFLOWER_INVOKER_")
    parser.set_defaults(handler=handle)


def handle(arguments: argparse.Namespace) -> int:
    """Become the invoker, or ask the one that is there."""
    from controller_ext.standalone.invoker import check, run

    chosen = {"ID": arguments.id, "DRIVER": arguments.driver, "BUS": arguments.bus, "STORE_URL": arguments.store_url}
    given = {f"DATAFLOWER_INVOKER_{name}": str(value) for name, value in chosen.items() if value is not None}
    data_dir: Path | None = arguments.data_dir
    environ = {**os.environ, **given}
    return check(data_dir, environ) if arguments.check else run(data_dir, environ)
