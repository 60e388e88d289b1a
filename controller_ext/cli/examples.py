"""Finds the examples, in a checkout and in an installed package, and deploys one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from action_runtime.wire.errors import Blame, DataflowError
from controller_ext.workflow.native import parse

if TYPE_CHECKING:
    from controller_ext.cli.client import Client

PYTHON: Final = "python:3"
NATIVE: Final = "dataflow:1"
WORKFLOW: Final = "workflow.yaml"


class ExampleMissing(DataflowError):
    """There is no example of that name."""

    code = "example-missing"
    blame = Blame.CALLER


@dataclass(slots=True, frozen=True)
class Example:
    """One example: a folder with `workflow.yaml` and a file for each action it names.

    Attributes:
        name: Of the folder and of the deployed workflow.
        workflow: Its text.
        actions: Action's name → Python code.
    """

    name: str
    workflow: str
    actions: Mapping[str, str]


def folder() -> Path:
    """Return where the examples lie: `examples/` of the installed package, `wsk_examples/` of a checkout."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "examples"
    return installed if installed.is_dir() else package.parent / "wsk_examples"


def load(name: str) -> Example:
    """Read an example.

    Raises:
        ExampleMissing: There is none of that name with a workflow.
    """
    found = sorted(path.parent.name for path in folder().glob(f"*/{WORKFLOW}"))
    if name not in found:
        raise ExampleMissing(f"there is no example {name!r}; there are: {', '.join(found) or 'none'}")
    place = folder() / name
    workflow = (place / WORKFLOW).read_text()
    names = sorted({step.action for step in parse(workflow).steps})
    return Example(name, workflow, {action: (place / f"{action}.py").read_text() for action in names})


def deploy(client: Client, example: Example) -> None:
    """Create the actions, then the workflow that names them."""
    for name, code in example.actions.items():
        client.put_action(name, action_body(PYTHON, code))
    client.put_action(example.name, action_body(NATIVE, example.workflow))


def action_body(kind: str, code: str) -> dict[str, Any]:
    """Return the body of a stock PUT of an action."""
    return {"exec": {"kind": kind, "code": code}}
