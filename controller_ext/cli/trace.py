"""`dataflower trace ID`: the time line of a run, function and data logic of each firing."""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time
from typing import TYPE_CHECKING, Final

from controller_ext.cli.options import Subparsers, add_endpoint, add_parser, endpoint

if TYPE_CHECKING:
    from rich.console import Console

    from controller_ext.cli.client import Client
    from controller_ext.cli.timeline import Timeline

FOLLOW_S: Final = 3600.0
"""No run of one hour is followed further; ask again then."""
REFRESH_S: Final = 0.3

_EXAMPLES: Final = """\
  dataflower trace 5f0d3c…              draw a run that has ended
  dataflower trace --follow 5f0d3c…     draw it while it runs, until it ends
  dataflower trace --format json ID | jq '.firings[] | {step, tag, started}'

Each line is one firing of a step. FLU is the function logic unit, which runs your code; DLU the data logic unit, which
sends what it produced. `in` and `out` are bytes by the path they took: inline in a frame, in memory, on
disk, or from a peer: another host.
"""


def register(subparsers: Subparsers) -> None:
    """Add the subcommand."""
    parser = add_parser(
        subparsers,
        "trace",
        summary="draw the time line of a run",
        description="Draw when each firing of a run waited, ran and sent its data.",
        examples=_EXAMPLES,
    )
    parser.add_argument("id", metavar="ID", help="activation id of the run")
    parser.add_argument("--format", choices=("terminal", "json"), default="terminal", help="default: terminal")
    parser.add_argument("--follow", action="store_true", help="go on until the run has ended")
    parser.add_argument("--all", action="store_true", help="draw all firings, however many")
    add_endpoint(parser)
    parser.set_defaults(handler=handle)


def handle(arguments: argparse.Namespace) -> int:
    """Draw one run."""
    from rich.console import Console

    from controller_ext.cli.client import Client
    from controller_ext.cli.timeline_view import LAST_LINES, MOST_LINES

    console = Console()
    with Client(endpoint(arguments)) as client:
        timeline = load(client, arguments.id)
        if arguments.follow and timeline is not None and timeline.ended_ms is None:
            timeline = _follow(client, console, arguments.id, arguments.format == "terminal")
    if timeline is None:
        sys.stderr.write(
            f"dataflower: the server knows no run {arguments.id}.\n`wsk activation list` shows which runs there are.\n"
        )
        return 1
    if arguments.format == "json":
        sys.stdout.write(json.dumps(timeline.to_json(), indent=2) + "\n")
    else:
        show(console, timeline, most=len(timeline.firings) + LAST_LINES if arguments.all else MOST_LINES)
    return 0


def load(client: Client, activation_id: str) -> Timeline | None:
    """Return the time line of a run as far as the server knows it; None: it knows nothing."""
    from controller_ext.cli.timeline import firing_ids, from_trace

    document = client.trace(activation_id)
    if document is None:
        # A stock server has no such route; its records tell the rest.
        run = client.activation(activation_id)
        if run is None:
            return None
        ids = firing_ids(run)
        records = [run] if ids == (activation_id,) else [client.activation(one) for one in ids]
        firings = [record for record in records if record is not None]
        document = {"activationId": activation_id, "run": run, "firings": firings}
    return from_trace(document)


def show(console: Console, timeline: Timeline, *, most: int) -> None:
    """Draw a run with at most so many of its firings."""
    from controller_ext.cli.timeline_view import draw

    console.print(draw(timeline, console.width, most=most))


def _follow(client: Client, console: Console, activation_id: str, draw_it: bool) -> Timeline | None:
    from rich.live import Live
    from rich.text import Text

    from controller_ext.cli.timeline_view import draw

    deadline = time.monotonic() + FOLLOW_S
    pause = threading.Event()
    with Live(Text("…"), console=console, transient=True, auto_refresh=False) as live:
        timeline = load(client, activation_id)
        while timeline is not None and timeline.ended_ms is None and time.monotonic() < deadline:
            if draw_it:
                live.update(draw(timeline, console.width), refresh=True)
            # REST cannot tell us when something changes; the wait is cut short by Ctrl-C alone.
            pause.wait(REFRESH_S)
            timeline = load(client, activation_id)
    return timeline
