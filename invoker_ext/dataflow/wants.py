"""Which outputs of each step, and which parameters of a run, somebody reads, and how (PROTOCOL.md, `wants`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from invoker_ext.contract.graph import Graph
from invoker_ext.dataflow.commands import Wants
from invoker_ext.dataflow.plan import ITEMS, VALUE, Plan

__all__ = ["ITEMS", "VALUE", "RunMembers", "run_members", "wants"]


@dataclass(slots=True, frozen=True)
class RunMembers:
    """The parameters of a run that edges read.

    Attributes:
        values: Names read as one value; WHOLE among them: all parameters as one object.
        items: Names read item by item; a list under such a name goes into `Started.items`.
    """

    values: frozenset[str]
    items: frozenset[str]


def wants(graph: Graph) -> Mapping[str, Wants]:
    """Return, for each step, the outputs that somebody reads: `items` if anybody reads them one by one, else `value`.

    A `gather` that closes an `each` reads one value from each firing; only one without an `each` between reads items.
    The mapping is worked out once a graph.
    """
    return Plan.of(graph).wants


def run_members(graph: Graph) -> RunMembers:
    """Return which of the run's parameters the machine needs as data, and how.

    A parameter in `items` that is not a list goes into `Started.parameters`: the machine says what is wrong with it.
    """
    outputs = Plan.of(graph).run.outputs.values()
    return RunMembers(
        values=frozenset(plan.name for plan in outputs if plan.single),
        items=frozenset(plan.name for plan in outputs if plan.by_item),
    )
