"""A program and the actions that its names stand for → Graph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from controller_ext.workflow.composition.lowering import Component, lower
from controller_ext.workflow.composition.recovery import NotLowered
from invoker_ext.contract.graph import RUN, Graph, GraphKind, OwnLimits, Step, whole_of
from invoker_ext.contract.inline import Evaluator
from invoker_ext.contract.regions import Region, RegionKind

STEP: Final = "root"
"""The one step of such a graph; Composer's word for the outermost node."""


def compile_composition(
    program: Mapping[str, Any], component: Component, limits: OwnLimits, evaluator: Evaluator | None = None
) -> Graph:
    """Return the graph of a composition: one step that runs its region.

    Args:
        program: From `recovery.program_of`.
        component: Knows the actions.
        limits: Of the conductor action, and how many actions it may run.
        evaluator: Of its functions; None: the engine beside the invoker.

    Raises:
        NotLowered: It cannot run here.
        DefinitionError: A workflow in it cannot be compiled.
    """
    region = lower(program, component, in_node=evaluator is not None)
    return Graph(
        kind=GraphKind.COMPOSITION,
        steps=(Step(name=STEP, call=region, inputs=(whole_of(RUN),), at_most_once=True),),
        result=(whole_of(STEP),),
        limits=limits,
        evaluator=evaluator,
    )


def why_not(program: Mapping[str, Any], *, in_node: bool = False) -> str | None:
    """Return why a program cannot be lowered, whatever its actions are; None: it can.

    Args:
        program: See `compile_composition`.
        in_node: Its functions are evaluated in Node.js.
    """
    try:
        lower(program, lambda _: Region(kind=RegionKind.SEQUENCE), in_node=in_node)
    except NotLowered as error:
        return str(error)
    return None
