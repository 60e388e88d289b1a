"""What is wrong with a workflow: findings, each with its path, all reported together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from action_runtime.wire.errors import Blame, DataflowError

Path = tuple[str | int, ...]
"""Where in the document: keys, and indices of lists; `()` is the document itself."""


@dataclass(slots=True, frozen=True)
class Finding:
    """One thing to mend.

    Attributes:
        path: Where; empty: the document itself.
        sentence: What is wrong and what would be right.
        line: Of the text, from 1; None: not known.
    """

    path: Path
    sentence: str
    line: int | None = None

    @property
    def place(self) -> str:
        """Return the path as text: `steps.merge.inputs.best.any[1]`."""
        text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in self.path)
        return text.removeprefix(".") or "workflow"

    def __str__(self) -> str:
        line = "" if self.line is None else f" (line {self.line})"
        return f"{self.place}{line}: {self.sentence}"


class DefinitionError(DataflowError):
    """A workflow cannot be compiled; whoever wrote it must act.

    Attributes:
        findings: Everything that was found, in the order of the document; at least one.
    """

    code = "definition-error"
    blame = Blame.CALLER

    def __init__(self, findings: Sequence[Finding]) -> None:
        super().__init__(tuple(findings))
        self.findings = tuple(findings)

    def __str__(self) -> str:
        return "\n".join(str(finding) for finding in self.findings)


class WorkflowSyntax(DefinitionError):
    """The text is neither YAML nor JSON, or is beyond a bound; nothing more could be checked."""

    code = "workflow-syntax"


class WorkflowInvalid(DefinitionError):
    """The text can be read, but is not a workflow that can run."""

    code = "workflow-invalid"


class WorkflowBroken(DefinitionError):
    """A workflow that was stored cannot be compiled any more: what it needs was changed or deleted.

    Attributes:
        name: `namespace/[package/]name` of it.
    """

    code = "workflow-broken"

    def __init__(self, name: str, findings: Sequence[Finding]) -> None:
        super().__init__(findings)
        self.args = (name, self.findings)
        self.name = name

    def __str__(self) -> str:
        return f"The workflow '/{self.name}' cannot run:\n{super().__str__()}"
