"""Reads the command line and hands over to one subcommand's module.

A subcommand is a module of this package with two functions: `register(subparsers)`, which adds its parser and sets
its default `handler`, and that handler, `(argparse.Namespace) -> int`, whose value is the exit code. Modules import
what they need inside the handler: `--help` and short commands must not pay for the server's libraries.
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any, Final

from action_runtime.wire.errors import DataflowError

COMMANDS: Final = ("standalone", "controller", "invoker", "demo", "validate", "graph", "trace", "cancel", "admin")
"""Modules of this package, in the order of `--help`."""

_DESCRIPTION: Final = "Data-flow execution for Apache OpenWhisk."
_EPILOG: Final = """\
first steps:
  dataflower demo wordcount             see it work; takes seconds and leaves nothing
  dataflower standalone                 start a server on http://127.0.0.1:3233
  wsk property set --apihost http://127.0.0.1:3233
  wsk action invoke NAME --result       everything stock clients do works
"""


class _Version(argparse.Action):
    """Prints the version of the installed package; looked up only when asked for."""

    def __init__(self, option_strings: Sequence[str], dest: str, **more: Any) -> None:
        super().__init__(option_strings, dest, nargs=0, default=argparse.SUPPRESS, **more)

    def __call__(self, parser: argparse.ArgumentParser, *_: object, **__: object) -> None:
        from importlib.metadata import version

        sys.stdout.write(f"dataflower {version('openwhisk-dataflower')}\n")
        parser.exit()


def build_parser() -> argparse.ArgumentParser:
    """Return the parser with all subcommands."""
    parser = argparse.ArgumentParser(
        prog="dataflower",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action=_Version, help="show the version and leave")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND")
    for name in COMMANDS:
        import_module(f"controller_ext.cli.{name}").register(subparsers)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: Arguments without the program's name; None: those of the process.

    Returns:
        The exit code: 0 good, 1 the command failed (its reason is on stderr), 2 the command line is wrong.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that lacks a character of a drawing still gets the rest
    parser = build_parser()
    arguments = parser.parse_args(argv)
    if "handler" not in arguments:
        parser.print_help(sys.stderr)
        return 2
    try:
        return int(arguments.handler(arguments))
    except DataflowError as error:
        sys.stderr.write(f"dataflower: {error}\n")
        return 1
    except KeyboardInterrupt:
        return 130
