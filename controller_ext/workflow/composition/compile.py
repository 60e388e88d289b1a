"""A program and the actions that its names stand for → Graph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from controller_ext.workflow.composition.lowering import Component, lower
from controller_ext.workflow.composition.recovery import NotLowered
from invoker_ext.contract.graph import RUN, Graph, GraphKind, OwnLimits, Step, whole_of
from invoker_ext.contract.regions import Region, RegionKind

STEP: Final = "root"
"""The one step of such a graph; Composer's word for the outermost node."""


def compile_composition(program: Mapping[str, Any], component: Component, limits: OwnLimits) -> Graph:
    """Return the graph of a composition: one step that runs its region.

    Args:
        program: From `recovery.program_of`.
        component: Knows the actions.
        limits: Of the conductor action, and how many actions it may run.

    Raises:
        NotLowered: It cannot run here.
        DefinitionError: A workflow in it cannot be compiled.
    """
    step = Step(name=STEP, call=lower(program, component), inputs=(whole_of(RUN),), at_most_once=True)
    return Graph(kind=GraphKind.COMPOSITION, steps=(step,), result=(whole_of(STEP),), limits=limits)


def why_not(program: Mapping[str, Any]) -> str | None:
    """Return why a program cannot be lowered, whatever its actions are; None: it can."""
    try:
        lower(program, lambda _: Region(kind=RegionKind.SEQUENCE))
    except NotLowered as error:
        return str(error)
    return None
