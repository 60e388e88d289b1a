"""`dataflower graph FILE|NAME`: draws a workflow, from a file or as it is deployed."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from action_runtime.wire.errors import Blame, DataflowError
from controller_ext.cli.options import Subparsers, add_endpoint, add_parser, endpoint

if TYPE_CHECKING:
    from controller_ext.cli.drawing import Drawing

_SUFFIXES: Final = (".yaml", ".yml", ".json")
_EXAMPLES: Final = """\
  dataflower graph workflow.yaml                     draw a file in the terminal
  dataflower graph wordcount                         draw what is deployed under that name; sequences too
  dataflower graph --format svg wordcount > w.svg    or mermaid, or dot

⇇ an edge with many items (each, gather)   ⇜ a stream   ⇠ an edge that may be dead (when, any, optional, $error)
"""


class NothingToDraw(DataflowError):
    """What was named is no workflow."""

    code = "nothing-to-draw"
    blame = Blame.CALLER


def register(subparsers: Subparsers) -> None:
    """Add the subcommand."""
    parser = add_parser(
        subparsers,
        "graph",
        summary="draw a workflow",
        description="Draw the steps of a workflow and the data between them.",
        examples=_EXAMPLES,
    )
    parser.add_argument("source", metavar="FILE|NAME", help="a file, or else the name of a deployed workflow")
    parser.add_argument("--format", choices=("terminal", "mermaid", "dot", "svg"), default="terminal")
    add_endpoint(parser)
    parser.set_defaults(handler=handle)


def handle(arguments: argparse.Namespace) -> int:
    """Draw one workflow."""
    path = Path(arguments.source)
    named_as_file = path.is_file() or path.suffix in _SUFFIXES
    drawing = _from_file(path) if named_as_file else _from_server(arguments)
    if arguments.format == "terminal":
        from rich.console import Console

        from controller_ext.cli.drawing_view import draw

        Console().print(draw(drawing))
        return 0
    from controller_ext.cli.drawing_formats import FORMATS

    sys.stdout.write(FORMATS[arguments.format](drawing))
    return 0


def _from_file(path: Path) -> Drawing:
    from controller_ext.cli.drawing import from_definition
    from controller_ext.cli.validate import read
    from controller_ext.workflow.native import parse

    return from_definition(path.stem, parse(read(path)))


def _from_server(arguments: argparse.Namespace) -> Drawing:
    from controller_ext.cli.client import Client, RequestRefused
    from controller_ext.cli.drawing import from_components, from_definition
    from controller_ext.workflow.native import KIND, parse

    name = arguments.source
    with Client(endpoint(arguments)) as client:
        try:
            code = client.action(name)["exec"]
        except RequestRefused as error:
            if error.status != 404:
                raise
            raise NothingToDraw(f"{name} is neither a file here nor an action at {client.endpoint.url}") from error
    if code["kind"] == KIND:
        return from_definition(name, parse(code["code"]))
    if code["kind"] == "sequence":
        return from_components(name, code["components"])
    raise NothingToDraw(f"{name} is an action of kind {code['kind']}; workflows are of kind {KIND} or sequence")
