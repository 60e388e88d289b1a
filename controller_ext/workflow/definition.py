"""A native workflow as its author wrote it, checked and in order, but with actions still by name."""

from __future__ import annotations

from dataclasses import dataclass, field

from invoker_ext.contract.graph import Input


@dataclass(slots=True, frozen=True)
class Repeat:
    """A loop: the action runs again with its result as long as `condition` holds for it, `most` times in all."""

    condition: str
    most: int


@dataclass(slots=True, frozen=True, kw_only=True)
class StepDefinition:
    """A step.

    Attributes:
        name: Unique in the workflow.
        action: As written; resolved by `compile_workflow`.
        line: Of the action in the text, for findings of `compile_workflow`; None: not known.
        inputs: In the order of the text.
        scope: Levels around it, outermost first (see `invoker_ext.contract.graph`).
        attempts, backoff_s, timeout_s, at_most_once: As in `invoker_ext.contract.graph.Step`.
        repeat: How often the action runs in one firing; None: once.
    """

    name: str
    action: str
    inputs: tuple[Input, ...] = ()
    scope: tuple[str, ...] = ()
    attempts: int = 1
    backoff_s: float = 0.0
    timeout_s: float | None = None
    at_most_once: bool = False
    repeat: Repeat | None = None
    line: int | None = field(default=None, compare=False)


@dataclass(slots=True, frozen=True, kw_only=True)
class Definition:
    """A whole workflow.

    Attributes:
        steps: In topological order; steps that do not depend on each other keep the order of the text.
        result: One Input named WHOLE, or one a member.
        timeout_s: Bound of the whole run; None: none.
    """

    steps: tuple[StepDefinition, ...]
    result: tuple[Input, ...]
    timeout_s: float | None = None
