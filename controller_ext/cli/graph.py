"""`dataflower graph FILE|NAME`: draws a workflow, from a file or as it is deployed."""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from action_runtime.wire.errors import Blame, DataflowError
from controller_ext.cli.options import Subparsers, add_endpoint, add_parser, endpoint

if TYPE_CHECKING:
    from controller_ext.workflow.definition import Definition

_SUFFIXES: Final = (".yaml", ".yml", ".json")
_EXAMPLES: Final = """\
  dataflower graph workflow.yaml                     draw a file in the terminal
  dataflower graph wordcount                         draw what is deployed under that name; sequences too
  dataflower graph --format svg wordcount > w.svg    or mermaid, or dot

In the terminal a box names its step, the action it runs (▸) and where each input comes from (←); a double frame stands
for a step that fires once per item (↻).
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
    parser.add_argument(
        "--format",
        choices=("terminal", "mermaid", "dot", "svg"),
        default="terminal",
        help="boxes here (default), or text for Markdown, for Graphviz, or an image",
    )
    add_endpoint(parser)
    parser.set_defaults(handler=handle)


def handle(arguments: argparse.Namespace) -> int:
    """Draw one workflow."""
    from controller_ext.workflow import drawing

    path = Path(arguments.source)
    if path.is_dir():
        raise NothingToDraw(f"{path} is a directory; name the file of a workflow, or a deployed one")
    named_as_file = path.is_file() or path.suffix in _SUFFIXES
    workflow = _from_file(path) if named_as_file else _from_server(arguments)
    formats = {"mermaid": drawing.mermaid, "dot": drawing.dot, "svg": drawing.svg, "terminal": drawing.terminal}
    text = formats[arguments.format](workflow)
    sys.stdout.write(text)
    if arguments.format == "terminal" and sys.stdout.isatty():
        _warn_of_width(max(map(len, text.splitlines())))
    return 0


def _warn_of_width(width: int) -> None:
    columns = shutil.get_terminal_size().columns
    if width > columns:
        sys.stderr.write(
            f"dataflower: the drawing has {width} columns, the terminal {columns}: make it wider, pipe the drawing to "
            "`less -S`, or take --format svg\n"
        )


def _from_file(path: Path) -> Definition:
    from controller_ext.cli.validate import read
    from controller_ext.workflow.native import parse

    return parse(read(path))


def _from_server(arguments: argparse.Namespace) -> Definition:
    from controller_ext.cli.client import Client, RequestRefused, ServerUnreachable
    from controller_ext.entities.actions import is_conductor
    from controller_ext.workflow.native import KIND, parse
    from controller_ext.workflow.sequence import by_name

    name = arguments.source
    with Client(endpoint(arguments)) as client:
        try:
            action = client.action(name)
        except ServerUnreachable as error:
            raise NothingToDraw(f"there is no file {name}, and {error}") from error
        except RequestRefused as error:
            if error.status != 404:
                raise
            raise NothingToDraw(f"{name} is neither a file here nor an action at {client.endpoint.url}") from error
    code = action["exec"]
    if code["kind"] == KIND:
        return parse(code["code"])
    if code["kind"] == "sequence":
        return by_name(code["components"])
    if is_conductor(action):
        raise NothingToDraw(
            f"{name} is a conductor; only workflows and sequences are drawn. "
            "The actions of a composition's run: dataflower trace ID"
        )
    raise NothingToDraw(f"{name} is an action of kind {code['kind']}; workflows are of kind {KIND} or sequence")
