"""What names stand for: entities in the store → calls of a graph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from controller_ext import json_text
from controller_ext.entities.actions import by_control_flow, is_conductor
from controller_ext.entities.catalog import ACTIVATE, Catalog, Located
from controller_ext.entities.errors import Forbidden, NotFound, WrongCollection
from controller_ext.entities.names import Name
from controller_ext.entities.parameters import raw_members
from controller_ext.entities.runtimes import NATIVE, SEQUENCE, Manifest
from controller_ext.runs import conductor
from controller_ext.runs.ports import Gap
from controller_ext.workflow.composition.compile import compile_composition, why_not
from controller_ext.workflow.composition.recovery import NotLowered, program_of
from controller_ext.workflow.errors import Finding, WorkflowInvalid
from controller_ext.workflow.nesting import CompositionEntity, Entity, NestingResolver, SequenceEntity, WorkflowEntity
from invoker_ext.contract import naming
from invoker_ext.contract.annotations import truthy
from invoker_ext.contract.graph import ActionCall, Fault, Graph, OwnLimits
from invoker_ext.contract.inline import Evaluator
from invoker_ext.contract.messages import Identity
from invoker_ext.contract.regions import Region, RegionKind

Reads = dict[str, str | None]
"""Document id → revision that was read; None: it was not there."""


def action_call(located: Located) -> ActionCall:
    """Return the call of an action as it is now."""
    body = located.action.body
    limits = body["limits"]
    return ActionCall(
        name=located.action.id,
        version=body["version"],
        revision=located.action.revision,
        kind=body["exec"]["kind"],
        memory_mb=limits["memory"],
        timeout_ms=limits["timeout"],
        logs_mb=limits["logs"],
        concurrency=limits["concurrency"],
        binding=located.binding,
        parameters=_joined(located),
        init_names=tuple(one["key"] for one in located.parameters if one.get("init")),
    )


def _joined(located: Located) -> str:
    return json_text.join(raw_members(located.parameters)).decode()


def composition_limits(body: Mapping[str, Any], actions: int) -> OwnLimits:
    """Return the limits of a composition, which may run so many actions."""
    limits = body["limits"]
    return OwnLimits(limits["timeout"], limits["logs"], limits["memory"], actions)


def evaluator_of(body: Mapping[str, Any], manifest: Manifest) -> Evaluator | None:
    """Return the containers in which functions of a composition are evaluated; None: they are beside the invoker."""
    kind = body["exec"]["kind"]
    if not manifest.evaluates(kind):
        return None
    notes = {one["key"]: one["value"] for one in body["annotations"]}
    return Evaluator(kind, truthy(notes.get("provide-api-key", True)))


def lowered_program(body: Mapping[str, Any], *, in_node: bool) -> dict[str, Any] | None:
    """Return the program of a conductor that can run as data flow, as far as it alone tells; None: it is none."""
    if by_control_flow(body):
        return None
    try:
        program = program_of(body)
    except NotLowered:
        return None
    return None if program is None or why_not(program, in_node=in_node) is not None else program


class StoreResolver(NestingResolver):
    """Resolves names by the store, through packages and bindings; for one compilation.

    Attributes:
        reads: Everything that the answers depend on, so that they may be kept until one of it changes.
        conductors: Names of the conductors among them that cannot run as data flow.
    """

    def __init__(
        self,
        catalog: Catalog,
        manifest: Manifest,
        *,
        inside: str | None = None,
        limit: int,
        composes: bool = False,
        user: Identity | None = None,
    ) -> None:
        """Start a compilation.

        Args:
            catalog: Where entities are.
            manifest: Says where functions of compositions are evaluated.
            inside: Full name of what is being compiled; None: it has none yet.
            limit: Atomic actions in a sequence or composition.
            composes: A sequence or composition is compiled, which may have conductors in it; no workflow can run one.
            user: Who invokes it, in whose name compositions find their actions; None: the owner of `inside`.
        """
        super().__init__(self._read, inside=inside, limit=limit)
        self._catalog = catalog
        self._manifest = manifest
        self._composes = composes
        self._user = user
        self._workflows: set[str] = set()
        self._compositions: set[str] = set()
        self.reads: Reads = {}
        self.conductors: set[str] = set()

    def compose(self, name: str, program: Mapping[str, Any], body: Mapping[str, Any]) -> Graph:
        """Return the graph of a composition; raises as `compile_composition`."""
        self._compositions.add(name)
        limits, evaluator = composition_limits(body, self._limit), evaluator_of(body, self._manifest)
        return compile_composition(program, self.component, limits, evaluator)

    def component(self, action: str) -> Region:
        """See `NestingResolver.component`."""
        name = conductor.resolve(action, self._caller())
        if name is None:
            return Region(kind=RegionKind.RAISE, error=naming.unreadable(action))
        self.reads.update(self._catalog.on_the_way(name))
        gap: Gap | None = None
        call = None
        if not self._allowed(name):
            gap = Gap.OUT_OF_REACH
        else:
            call = self.resolve(str(name))
            gap = Gap.ABSENT if call is None else None
        return Region(kind=RegionKind.CALL, call=call if gap is None else Fault(conductor.missing(gap, name)))

    def _caller(self) -> str:
        if self._user is not None:
            return self._user.namespace
        return self._open[-1].partition("/")[0] if self._open else ""

    def _allowed(self, name: Name) -> bool:
        if self._user is None:
            return self._catalog.reachable(self._caller(), name)
        try:
            self._catalog.authorize(self._user, ACTIVATE, name)
        except (Forbidden, NotFound, WrongCollection):
            return False
        return True

    def _read(self, full_name: str) -> ActionCall | Entity | None:
        name = Name.split(full_name)
        # A workflow reaches what its owner's namespace reaches, whoever invokes it; a composition what its caller does.
        innermost = self._open[-1] if self._open else None
        if innermost is None:
            owner = name.namespace
        elif innermost in self._compositions:
            owner = self._caller()
        else:
            owner = innermost.partition("/")[0]
        if not self._catalog.reachable(owner, name):
            self._note_missing(name)
            return None
        try:
            located = self._catalog.action(name)
        except (NotFound, WrongCollection):
            self._note_missing(name)
            return None
        self.reads.update(located.reads)
        body = located.action.body
        limits = OwnLimits(body["limits"]["timeout"], body["limits"]["logs"])
        match body["exec"]["kind"]:
            case kind if kind == SEQUENCE:
                return SequenceEntity(located.action.id, body["version"], tuple(body["exec"]["components"]), limits)
            case kind if kind == NATIVE:
                self._workflows.add(located.action.id)
                code, given = body["exec"]["code"], _joined(located)
                return WorkflowEntity(located.action.id, body["version"], code, limits, given)
        return self._conductor(located) if is_conductor(body) else action_call(located)

    def _conductor(self, located: Located) -> ActionCall | CompositionEntity:
        """Return a composition that can run as data flow; of any other conductor note that there is one."""
        body = located.action.body
        evaluator = evaluator_of(body, self._manifest)
        program = lowered_program(body, in_node=evaluator is not None)
        if program is not None:
            self._compositions.add(located.action.id)
            limits = composition_limits(body, self._limit)
            return CompositionEntity(located.action.id, body["version"], program, limits, _joined(located), evaluator)
        if not self._composes or not self._workflows.isdisjoint(self._open):
            sentence = f"/{located.action.id} is a conductor, which no workflow can run: let it run the workflow"
            raise WorkflowInvalid([Finding((), sentence)])
        self.conductors.add(located.action.id)
        return action_call(located)

    def _note_missing(self, name: Name) -> None:
        """Remember what was looked at on the way to nothing."""
        ids = [str(name)]
        if name.package_id is not None:
            package = self._catalog.store.get(name.package_id)
            ids.append(name.package_id)
            bound = package.body.get("binding") if package is not None else None
            if bound:
                provider = f"{bound['namespace']}/{bound['name']}"
                ids += [provider, f"{provider}/{name.name}"]
        for doc_id in ids:
            document = self._catalog.store.get(doc_id)
            self.reads[doc_id] = None if document is None else document.revision
