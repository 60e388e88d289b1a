"""Resolved actions for tests of front ends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from controller_ext.workflow.nesting import Load
from invoker_ext.contract.graph import ActionCall, WorkflowCall


def an_action(name: str, timeout_ms: int = 60_000) -> ActionCall:
    """Return a Python action with stock limits."""
    return ActionCall(
        name=name,
        version="0.0.1",
        revision="1-abc",
        kind="python:3",
        memory_mb=256,
        timeout_ms=timeout_ms,
        logs_mb=10,
    )


def loading(entities: Mapping[str, Any]) -> Load:
    """Return the function by which a NestingResolver reads these entities."""
    return lambda name: entities.get(name)


class Shelf:
    """A Resolver of fixed calls that remembers what it was asked."""

    def __init__(self, *calls: ActionCall | WorkflowCall) -> None:
        self.calls = {call.name: call for call in calls}
        self.asked: list[str] = []

    def resolve(self, full_name: str) -> ActionCall | WorkflowCall | None:
        """Return the call of that name."""
        self.asked.append(full_name)
        return self.calls.get(full_name)
