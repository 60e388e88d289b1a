"""`dataflower cancel ID`: ends a run."""

from __future__ import annotations

import argparse
import sys
from typing import Final

from controller_ext.cli.options import Subparsers, add_endpoint, add_parser, endpoint

_EXAMPLES: Final = """\
  dataflower cancel 5f0d3c…     no step fires any more; the run's record says that it was cancelled
"""


def register(subparsers: Subparsers) -> None:
    """Add the subcommand."""
    parser = add_parser(
        subparsers,
        "cancel",
        summary="end a run",
        description="End a run: nothing new fires, and the run's record says that it was cancelled.",
        examples=_EXAMPLES,
    )
    parser.add_argument("id", metavar="ID", help="activation id of the run")
    add_endpoint(parser)
    parser.set_defaults(handler=handle)


def handle(arguments: argparse.Namespace) -> int:
    """End one run."""
    from controller_ext.cli.client import Client

    with Client(endpoint(arguments)) as client:
        client.cancel(arguments.id)
    sys.stdout.write(f"cancelled {arguments.id}\n")
    return 0
