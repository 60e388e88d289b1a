"""Finds the examples, in a checkout and in an installed package, and deploys one.

An example is a folder. Its `*.py` and `*.js` are actions; `workflow.yaml` is a native workflow, `sequence.txt` names
the components of a sequence; either is deployed under the folder's name, and so is, where there is neither, an action.
`input.json` is what it is invoked with, `expected.json` what it then results in. `run.sh` does all that by hand; its
first comment says what the example shows.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from action_runtime.wire.errors import Blame, DataflowError

if TYPE_CHECKING:
    from controller_ext.cli.client import Client

KINDS: Final = {".js": "nodejs:default", ".py": "python:3"}
"""Of actions, by the end of their file's name."""
NATIVE: Final = "dataflow:1"
SCRIPT: Final = "run.sh"


class ExampleMissing(DataflowError):
    """There is no example of that name."""

    code = "example-missing"
    blame = Blame.CALLER


@dataclass(slots=True, frozen=True)
class Source:
    """An action's code and its kind."""

    kind: str
    code: str


@dataclass(slots=True, frozen=True, kw_only=True)
class Example:
    """What a folder of `wsk_examples` holds.

    Attributes:
        name: Of the folder, and of what is invoked.
        summary: What it shows, one line.
        actions: Action's name → what it is made of.
        workflow: Text of the native workflow, if it is one.
        components: Names of the actions of the sequence, if it is one.
        parameters: What it is invoked with.
        expected: What it then results in.
    """

    name: str
    summary: str
    actions: Mapping[str, Source]
    workflow: str | None
    components: tuple[str, ...]
    parameters: Mapping[str, Any]
    expected: Mapping[str, Any]

    @property
    def chained(self) -> bool:
        """Whether a run of it has several firings."""
        return self.workflow is not None or bool(self.components)


def folder() -> Path:
    """Return where the examples lie: `examples/` of the installed package, `wsk_examples/` of a checkout."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "examples"
    return installed if installed.is_dir() else package.parent / "wsk_examples"


def names() -> list[str]:
    """Return the names of all examples, sorted."""
    return sorted(path.parent.name for path in folder().glob(f"*/{SCRIPT}"))


def load(name: str) -> Example:
    """Read an example.

    Raises:
        ExampleMissing: There is none of that name.
    """
    found = names()
    if name not in found:
        raise ExampleMissing(f"there is no example {name!r}; there are: {', '.join(found) or 'none'}")
    place = folder() / name
    workflow, sequence = place / "workflow.yaml", place / "sequence.txt"
    return Example(
        name=name,
        summary=summary(name),
        actions={
            path.stem: Source(KINDS[path.suffix], path.read_text())
            for path in sorted(place.iterdir())
            if path.suffix in KINDS
        },
        workflow=workflow.read_text() if workflow.is_file() else None,
        components=tuple(sequence.read_text().split()) if sequence.is_file() else (),
        parameters=json.loads((place / "input.json").read_text()),
        expected=json.loads((place / "expected.json").read_text()),
    )


def summary(name: str) -> str:
    """Return what an example shows: the comment below the first line of its script."""
    with (folder() / name / SCRIPT).open() as script:
        next(script)
        return script.readline().lstrip("# ").rstrip()


def deploy(client: Client, example: Example) -> None:
    """Create the actions, then what is made of them."""
    for name, source in example.actions.items():
        client.put_action(name, action_body(source.kind, source.code))
    if example.workflow is not None:
        client.put_action(example.name, action_body(NATIVE, example.workflow))
    elif example.components:
        client.put_action(example.name, sequence_body(example.components))


def action_body(kind: str, code: str) -> dict[str, Any]:
    """Return the body of a stock PUT of an action."""
    return {"exec": {"kind": kind, "code": code}}


def sequence_body(components: tuple[str, ...]) -> dict[str, Any]:
    """Return the body of a stock PUT of a sequence of the namespace's own actions."""
    return {"exec": {"kind": "sequence", "components": [f"/_/{name}" for name in components]}}
