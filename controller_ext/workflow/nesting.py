"""Resolves names through nested sequences and workflows, whatever holds the entities."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from controller_ext.workflow.compile import compile_workflow
from controller_ext.workflow.composition.compile import compile_composition
from controller_ext.workflow.errors import DefinitionError, Finding, WorkflowInvalid
from controller_ext.workflow.native import parse
from controller_ext.workflow.sequence import MAX_ACTIONS, compile_sequence
from invoker_ext.contract.graph import ActionCall, Graph, OwnLimits, WorkflowCall
from invoker_ext.contract.inline import Evaluator
from invoker_ext.contract.regions import Region, RegionKind

MAX_NESTING: Final = 16
"""Workflows in workflows: each level multiplies the size of the graph that travels."""


@dataclass(slots=True, frozen=True)
class SequenceEntity:
    """A stored sequence: its full name, version, components and own limits."""

    name: str
    version: str
    components: tuple[str, ...]
    limits: OwnLimits = field(default=OwnLimits())


@dataclass(slots=True, frozen=True)
class WorkflowEntity:
    """A stored native workflow: its full name, version, text, own limits, and parameters as a JSON object."""

    name: str
    version: str
    text: str
    limits: OwnLimits = field(default=OwnLimits())
    parameters: str = "{}"


@dataclass(slots=True, frozen=True)
class CompositionEntity:
    """A stored composition: as a workflow, with its program, and what evaluates its functions."""

    name: str
    version: str
    program: Mapping[str, Any]
    limits: OwnLimits = field(default=OwnLimits())
    parameters: str = "{}"
    evaluator: Evaluator | None = None


Entity = SequenceEntity | WorkflowEntity | CompositionEntity
Load = Callable[[str], ActionCall | Entity | None]
"""Full name → what is stored there now, bindings followed; None: nothing that can be invoked."""


class NestingResolver:
    """A Resolver over a function that reads one entity. For one compilation: it reads each entity once."""

    def __init__(self, load: Load, *, inside: str | None = None, limit: int = MAX_ACTIONS) -> None:
        """Start a compilation.

        Args:
            load: Reads one entity.
            inside: Full name of what is being compiled, so that it cannot contain itself; None: it has none yet.
            limit: Atomic actions in a sequence.
        """
        self._load = load
        self._limit = limit
        self._open: list[str] = [] if inside is None else [inside]
        self._known: dict[tuple[str, str], ActionCall | WorkflowCall | DefinitionError | None] = {}

    @property
    def within(self) -> str | None:
        """Full name of the innermost entity being compiled, for `load`: what it may reach is up to its owner."""
        return self._open[-1] if self._open else None

    def resolve(self, full_name: str) -> ActionCall | WorkflowCall | None:
        """See `Resolver`; nested ones are compiled, a circle or too deep a nesting raises WorkflowInvalid."""
        # By namespace: a private action that a nested workflow of its owner may run is not there for the one around it.
        key = (self.within or "").partition("/")[0], full_name
        if key not in self._known:
            try:
                self._known[key] = self._nested(self._load(full_name))
            except DefinitionError as error:
                self._known[key] = error
        found = self._known[key]
        if isinstance(found, DefinitionError):
            raise WorkflowInvalid(found.findings) from found
        return found

    def component(self, action: str) -> Region:
        """Return a region that runs an action of a composition, or fails as it would in stock.

        Raises:
            DefinitionError: It is a workflow that cannot be compiled.
        """
        call = self.resolve(action.removeprefix("/"))
        return Region(kind=RegionKind.RAISE, error=action) if call is None else Region(kind=RegionKind.CALL, call=call)

    def _nested(self, entity: ActionCall | Entity | None) -> ActionCall | WorkflowCall | None:
        if entity is None or isinstance(entity, ActionCall):
            return entity
        if entity.name in self._open:
            circle = " → ".join((*self._open[self._open.index(entity.name) :], entity.name))
            raise WorkflowInvalid([Finding((), f"the workflow contains itself: {circle}")])
        if len(self._open) >= MAX_NESTING:
            raise WorkflowInvalid([Finding((), f"workflows nest deeper than {MAX_NESTING}: {' → '.join(self._open)}")])
        self._open.append(entity.name)
        try:
            graph = self._graph(entity).limited(entity.limits.timeout_ms, entity.limits.logs_mb)
            # A sequence passes on what it is given (stock).
            parameters = "{}" if isinstance(entity, SequenceEntity) else entity.parameters
            return WorkflowCall(entity.name, entity.version, graph, parameters)
        except DefinitionError as error:
            # One finding stands for all, or deep nesting would multiply them.
            more = f" (and {len(error.findings) - 1} more)" if len(error.findings) > 1 else ""
            raise WorkflowInvalid([Finding((), f"in /{entity.name}: {error.findings[0]}{more}")]) from error
        finally:
            self._open.pop()

    def _graph(self, entity: Entity) -> Graph:
        match entity:
            case SequenceEntity():
                return compile_sequence(entity.components, self, self._limit)
            case CompositionEntity():
                return compile_composition(entity.program, self.component, entity.limits, entity.evaluator)
            case WorkflowEntity():
                return compile_workflow(parse(entity.text), entity.name.rpartition("/")[0], self)
