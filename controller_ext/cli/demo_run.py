"""What `dataflower demo` does with an example: deploy it, run it, check and show what came of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from action_runtime.wire.errors import Blame, DataflowError
from controller_ext.cli.examples import Example

if TYPE_CHECKING:
    from rich.console import Console

    from controller_ext.cli.client import Client
    from controller_ext.cli.timeline import Timeline

RUN_S: Final = 60.0
RECORDS_S: Final = 5.0
TOP_WORDS: Final = 10
SHOWN_FIRINGS: Final = 20
WORDCOUNT: Final = "wordcount"
"""The one example that takes files, and that counts a larger text than its own where there are none."""
MAX_INPUT_BYTES: Final = 60 * 1024 * 1024
"""Below the server's bound of 64 MiB for the parameters of a native workflow."""


class DemoFailed(DataflowError):
    """The example ran, and did not give what it should."""

    code = "demo-failed"


class BadInput(DataflowError):
    """An example cannot be run on these files."""

    code = "demo-input"
    blame = Blame.CALLER


@dataclass(slots=True, frozen=True)
class Played:
    """A run of an example.

    Attributes:
        parameters: What it was invoked with.
        result: What it resulted in.
        timeline: Its firings; None: it is a single action.
    """

    parameters: Mapping[str, Any]
    result: Mapping[str, Any]
    timeline: Timeline | None


def parameters_of(example: Example, files: Sequence[Path]) -> Mapping[str, Any]:
    """Return what to invoke an example with.

    Raises:
        BadInput: It takes no files, or not these.
    """
    if example.name == WORDCOUNT:
        return {"texts": read_texts(files)}
    if files:
        raise BadInput(f"the example {example.name} takes no files; {WORDCOUNT} does")
    return example.parameters


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


def play(client: Client, example: Example, parameters: Mapping[str, Any]) -> Played:
    """Run a deployed example to its end.

    Raises:
        DemoFailed: It ended with an error, or resulted in something else than it should.
    """
    record = client.invoke(example.name, parameters, wait_s=RUN_S)
    result = checked(example, parameters, record)
    timeline = settled(client, record["activationId"]) if example.chained else None
    return Played(parameters, result, timeline)


def checked(example: Example, parameters: Mapping[str, Any], record: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the result that a record holds.

    Raises:
        DemoFailed: See `play`.
    """
    run, response = record["activationId"], record["response"]
    result = response.get("result")
    if not response["success"]:
        raise DemoFailed(f"the run {run} ended with {response['status']}: {result}")
    own_input = parameters == example.parameters
    alike = result == example.expected if own_input else _shape(result) == _shape(example.expected)
    if not isinstance(result, dict) or not alike:
        raise DemoFailed(f"the run {run} resulted in something else than it should: {str(result)[:200]}")
    return result


def _shape(result: object) -> object:
    return {key: type(value) for key, value in result.items()} if isinstance(result, dict) else type(result)


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


def show_run(console: Console, example: Example, played: Played) -> None:
    """Print the result, and the time line if there is one."""
    if example.name == WORDCOUNT:
        show_words(console, played.result["words"], len(played.parameters["texts"]))
    else:
        console.print("given", end=" ")
        console.print_json(data=played.parameters, indent=None)
        console.print("result", end=" ")
        console.print_json(data=played.result, indent=None)
    if played.timeline is not None:
        from controller_ext.cli.trace import show

        console.print()
        show(console, played.timeline, most=SHOWN_FIRINGS)


def show_words(console: Console, words: Mapping[str, int], texts: int) -> None:
    """Print the most frequent words and the totals."""
    from rich.table import Table

    table = Table("word", box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("count", justify="right")
    for word, count in sorted(words.items(), key=lambda item: (-item[1], item[0]))[:TOP_WORDS]:
        table.add_row(word, f"{count:,}")
    console.print(table)
    where = "1 text" if texts == 1 else f"{texts} texts"
    console.print(f"{sum(words.values()):,} words, {len(words):,} different ones, in {where}")
