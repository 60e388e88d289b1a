"""`dataflower validate FILE`: checks a workflow without a server; reports all findings at once."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from action_runtime.wire.errors import Blame, DataflowError
from controller_ext.cli.options import Subparsers, add_parser

if TYPE_CHECKING:
    from controller_ext.workflow.errors import Finding

_EXAMPLES: Final = """\
  dataflower validate workflow.yaml                  FILE:LINE: PATH: what is wrong, one line a finding
  dataflower validate *.yaml && echo deploy          exit code 0: nothing found, 1: something
  dataflower validate --format json workflow.yaml    for editors and pipelines

Whether the actions exist is checked when the workflow is deployed:
  wsk action update NAME workflow.yaml --kind dataflow:1
"""


class Unreadable(DataflowError):
    """A file cannot be read."""

    code = "unreadable-file"
    blame = Blame.CALLER


def register(subparsers: Subparsers) -> None:
    """Add the subcommand."""
    parser = add_parser(
        subparsers,
        "validate",
        summary="check a workflow file",
        description="Check workflows (YAML or JSON) and report everything that is wrong, each with its place.",
        examples=_EXAMPLES,
    )
    parser.add_argument("files", metavar="FILE", nargs="+", type=Path, help="workflow in YAML or JSON")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="default: text")
    parser.set_defaults(handler=handle)


def handle(arguments: argparse.Namespace) -> int:
    """Check each file; 1 if anything was found."""
    found = {str(path): findings(read(path)) for path in arguments.files}
    if arguments.format == "json":
        sys.stdout.write(json.dumps([_to_json(name, one) for name in found for one in found[name]], indent=2) + "\n")
    else:
        for name, several in found.items():
            sys.stdout.write("".join(_line(name, one) for one in several) or f"{name}: good\n")
    return 1 if any(found.values()) else 0


def read(path: Path) -> str:
    """Return the text of a file; raises Unreadable."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise Unreadable(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise Unreadable(f"{path} is no UTF-8 text") from error


def findings(text: str) -> tuple[Finding, ...]:
    """Return what is wrong with a workflow; empty: nothing."""
    from controller_ext.workflow.errors import DefinitionError
    from controller_ext.workflow.native import parse

    try:
        parse(text)
    except DefinitionError as error:
        return error.findings
    return ()


def _line(name: str, finding: Finding) -> str:
    place = name if finding.line is None else f"{name}:{finding.line}"
    return f"{place}: {finding.place}: {finding.sentence}\n"


def _to_json(name: str, finding: Finding) -> dict[str, object]:
    return {"file": name, "line": finding.line, "path": finding.place, "message": finding.sentence}
