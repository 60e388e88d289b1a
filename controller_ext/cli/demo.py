"""`dataflower demo NAME`: a server of its own, an example on it, the result and the time line of the run."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Final

from controller_ext.cli.options import DEFAULT_APIHOST, GUEST_AUTH, Endpoint, Subparsers, add_parser

if TYPE_CHECKING:
    from rich.console import Console

    from controller_ext.cli.examples import Example

_EXAMPLES: Final = """\
  dataflower demo                            list the examples
  dataflower demo switch                     run one of them
  dataflower demo wordcount                  count the language reference that ships with Python
  dataflower demo wordcount book1.txt …      count your own texts, one firing of `count` each

Nothing stays: the server, its containers and its files are gone when the command ends.
"""


def register(subparsers: Subparsers) -> None:
    """Add the subcommand."""
    parser = add_parser(
        subparsers,
        "demo",
        summary="run an example on a server of its own",
        description="Start a server, deploy an example by plain REST, run it and show what happened.",
        examples=_EXAMPLES,
    )
    parser.add_argument("name", metavar="NAME", nargs="?", help="which example; without: list them")
    parser.add_argument("files", metavar="FILE", nargs="*", type=Path, help="texts for wordcount to count (UTF-8)")
    parser.set_defaults(handler=handle)


def handle(arguments: argparse.Namespace) -> int:
    """Run one example, or list all."""
    from rich.console import Console

    from controller_ext.cli.client import Client
    from controller_ext.cli.demo_run import parameters_of, play, show_run
    from controller_ext.cli.examples import deploy, load
    from controller_ext.cli.server import EmbeddedServer

    console = Console()
    if arguments.name is None:
        list_examples(console)
        return 0
    # SIGTERM must take the server with us, as Ctrl-C does.
    signal.signal(signal.SIGTERM, _interrupt)
    example = load(arguments.name)
    parameters = parameters_of(example, arguments.files)
    console.print(f"{example.name}: {example.summary}", highlight=False)
    begin_s = time.monotonic()
    with console.status("starting a server …") as status, EmbeddedServer() as server:
        console.print(f"server ready at {server.url} after {time.monotonic() - begin_s:.1f} s\n")
        with Client(Endpoint(server.url, GUEST_AUTH)) as client:
            status.update("deploying it …")
            deploy(client, example)
            status.update("running it …")
            played = play(client, example, parameters)
        status.update("stopping the server …")
    show_run(console, example, played)
    console.print(next_steps(example), highlight=False, soft_wrap=True, markup=False)
    return 0


def list_examples(console: Console) -> None:
    """Print each example with what it shows."""
    from rich.table import Table

    from controller_ext.cli.examples import names, summary

    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(style="bold", no_wrap=True)
    for name in names():
        table.add_row(name, summary(name))
    console.print(table)
    console.print("\nRun one with `dataflower demo NAME`.", highlight=False)


def next_steps(example: Example) -> str:
    """Return how to go on by hand: address, key and the next three commands."""
    from controller_ext.cli.examples import SCRIPT, folder

    program = sys.argv[0] if sys.argv[0].endswith("dataflower") else "python -m controller_ext.cli"
    name = example.name
    script = folder() / name / SCRIPT
    if script.is_relative_to(Path.cwd()):
        script = script.relative_to(Path.cwd())
    invoke = f"{DEFAULT_APIHOST}/api/v1/namespaces/_/actions/example-{name}/{name}?blocking=true&result=true"
    last = f"{program} graph example-{name}/{name}"
    if not example.chained:
        body = json.dumps(dict(example.parameters))
        last = f"curl -u {GUEST_AUTH} -H 'Content-Type: application/json' -d '{body}' '{invoke}'"
    return (
        "\nGo on by hand, on a server that stays:\n"
        f"  address  {DEFAULT_APIHOST}\n"
        f"  key      {GUEST_AUTH}   (the stock guest key)\n\n"
        f"  {program} standalone     # until Ctrl-C; the rest in a second terminal\n"
        f"  KEEP=1 APIHOST={DEFAULT_APIHOST} {script}\n"
        f"  {last}\n\n"
        f"Your own begins as a copy of {script.parent}/; the README says what there is to write."
    )


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
