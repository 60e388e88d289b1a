"""`dataflower demo NAME`: a server of its own, an example on it, the result and the time line of the run."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Final

from action_runtime.wire.errors import Blame, DataflowError
from controller_ext.cli.options import DEFAULT_APIHOST, GUEST_AUTH, Endpoint, Subparsers, add_parser

if TYPE_CHECKING:
    from rich.console import Console

    from controller_ext.cli.client import Client
    from controller_ext.cli.timeline import Timeline

RUN_S: Final = 60.0
RECORDS_S: Final = 5.0
TOP_WORDS: Final = 10
SHOWN_FIRINGS: Final = 20
MAX_INPUT_BYTES: Final = 60 * 1024 * 1024
"""Below the server's bound of 64 MiB for the parameters of a native workflow."""
_EXAMPLES: Final = """\
  dataflower demo wordcount                  count the language reference that ships with Python
  dataflower demo wordcount book1.txt …      count your own texts, one firing of `count` each

Nothing stays: the server, its containers and its files are gone when the command ends.
"""


class DemoFailed(DataflowError):
    """The example ran, and did not give what it should."""

    code = "demo-failed"


class BadInput(DataflowError):
    """A file cannot be counted."""

    code = "demo-input"
    blame = Blame.CALLER


def register(subparsers: Subparsers) -> None:
    """Add the subcommand."""
    parser = add_parser(
        subparsers,
        "demo",
        summary="run an example on a server of its own",
        description="Start a server, deploy an example by plain REST, run it on real text and show what happened.",
        examples=_EXAMPLES,
    )
    parser.add_argument("name", metavar="NAME", choices=("wordcount",), help="which example: wordcount")
    parser.add_argument("files", metavar="FILE", nargs="*", type=Path, help="texts to count (UTF-8)")
    parser.set_defaults(handler=handle)


def handle(arguments: argparse.Namespace) -> int:
    """Run one example."""
    from rich.console import Console

    from controller_ext.cli.client import Client
    from controller_ext.cli.examples import deploy, load
    from controller_ext.cli.server import EmbeddedServer
    from controller_ext.cli.trace import show

    # SIGTERM must take the server with us, as Ctrl-C does.
    signal.signal(signal.SIGTERM, _interrupt)
    example = load(arguments.name)
    texts = read_texts(arguments.files)
    console = Console()
    begin_s = time.monotonic()
    with console.status("starting a server …") as status, EmbeddedServer() as server:
        console.print(f"server ready at {server.url} after {time.monotonic() - begin_s:.1f} s")
        with Client(Endpoint(server.url, GUEST_AUTH)) as client:
            status.update("deploying the actions and the workflow …")
            deploy(client, example)
            status.update(f"counting the words of {len(texts)} texts …")
            record = client.invoke(example.name, {"texts": texts}, wait_s=RUN_S)
            words = counted(record)
            status.update("reading the records of the run …")
            timeline = settled(client, record["activationId"])
        status.update("stopping the server …")
    show_words(console, words, len(texts))
    show(console, timeline, most=SHOWN_FIRINGS)
    console.print(next_steps(example.name), highlight=False, soft_wrap=True)
    return 0


def read_texts(files: Sequence[Path]) -> dict[str, str]:
    """Return the texts to count: those of the files, or one a topic of Python's language reference.

    Raises:
        BadInput: A file cannot be read, is no UTF-8, or all together are too large.
    """
    if not files:
        from pydoc_data.topics import topics

        return dict(topics)
    texts = {}
    for path in files:
        try:
            texts[path.name] = path.read_text(encoding="utf-8")
        except OSError as error:
            raise BadInput(f"cannot read {path}: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise BadInput(f"{path} is no UTF-8 text") from error
    if len(texts) < len(files):
        raise BadInput("two files have the same name; the example tells texts apart by it")
    if sum(len(text.encode()) for text in texts.values()) > MAX_INPUT_BYTES:
        raise BadInput(f"the files are above {MAX_INPUT_BYTES >> 20} MiB together")
    return texts


def counted(record: Mapping[str, Any]) -> Mapping[str, int]:
    """Return what the run counted: word → number.

    Raises:
        DemoFailed: The run ended with an error, or resulted in something else.
    """
    response = record["response"]
    result = response.get("result")
    if not response["success"]:
        raise DemoFailed(f"the run {record['activationId']} ended with {response['status']}: {result}")
    words = result.get("words") if isinstance(result, dict) else None
    if not isinstance(words, dict) or not words:
        raise DemoFailed(f"the run {record['activationId']} resulted in no words but in {str(result)[:200]}")
    return words


def settled(client: Client, activation_id: str) -> Timeline:
    """Return the time line once all records are there: they are written behind the response."""
    from controller_ext.cli.trace import load

    pause = threading.Event()
    deadline = time.monotonic() + RECORDS_S
    timeline = load(client, activation_id)
    while timeline is None or timeline.ended_ms is None or timeline.missing:
        if time.monotonic() > deadline:
            break
        pause.wait(0.1)  # nothing tells a REST client when a record is written
        timeline = load(client, activation_id)
    if timeline is None:
        raise DemoFailed(f"there is no record of the run {activation_id} after {RECORDS_S:g} s")
    return timeline


def show_words(console: Console, words: Mapping[str, int], texts: int) -> None:
    """Print the most frequent words and the totals."""
    from rich.table import Table

    table = Table("word", box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("count", justify="right")
    for word, count in sorted(words.items(), key=lambda item: (-item[1], item[0]))[:TOP_WORDS]:
        table.add_row(word, f"{count:,}")
    console.print(table)
    where = "1 text" if texts == 1 else f"{texts} texts"
    console.print(f"{sum(words.values()):,} words, {len(words):,} different ones, in {where}\n")


def next_steps(name: str) -> str:
    """Return how to go on by hand: address, key and the next three commands."""
    from controller_ext.cli.examples import folder

    program = sys.argv[0] if sys.argv[0].endswith("dataflower") else "python -m controller_ext.cli"
    script = folder() / name / "run.sh"
    if script.is_relative_to(Path.cwd()):
        script = script.relative_to(Path.cwd())
    return (
        "\nGo on by hand, on a server that stays:\n"
        f"  address  {DEFAULT_APIHOST}\n"
        f"  key      {GUEST_AUTH}   (the stock guest key)\n\n"
        f"  {program} standalone\n"
        f"  KEEP=1 APIHOST={DEFAULT_APIHOST} {script}\n"
        f"  {program} graph example-{name}/{name}"
    )


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
