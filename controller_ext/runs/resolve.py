"""What names stand for: entities in the store → calls of a graph."""

from __future__ import annotations

from controller_ext import json_text
from controller_ext.entities.actions import is_conductor
from controller_ext.entities.catalog import Catalog, Located
from controller_ext.entities.errors import NotFound, WrongCollection
from controller_ext.entities.names import Name
from controller_ext.entities.parameters import raw_members
from controller_ext.entities.runtimes import NATIVE, SEQUENCE
from controller_ext.workflow.errors import Finding, WorkflowInvalid
from controller_ext.workflow.nesting import NestingResolver, SequenceEntity, WorkflowEntity
from invoker_ext.contract.graph import ActionCall, OwnLimits

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
        parameters=json_text.join(raw_members(located.parameters)).decode(),
        init_names=tuple(one["key"] for one in located.parameters if one.get("init")),
    )


class StoreResolver(NestingResolver):
    """Resolves names by the store, through packages and bindings; for one compilation.

    Attributes:
        reads: Everything that the answers depend on, so that they may be kept until one of it changes.
        conductors: Whether a conductor is among them.
    """

    def __init__(self, catalog: Catalog, *, inside: str | None = None, limit: int, composes: bool = False) -> None:
        """Start a compilation.

        Args:
            catalog: Where entities are.
            inside: Full name of what is being compiled; None: it has none yet.
            limit: Atomic actions in a sequence.
            composes: A sequence is compiled, which may have conductors in it; a workflow cannot run them.
        """
        super().__init__(self._read, inside=inside, limit=limit)
        self._catalog = catalog
        self._composes = composes
        self._workflows: set[str] = set()
        self.reads: Reads = {}
        self.conductors = False

    def _read(self, full_name: str) -> ActionCall | SequenceEntity | WorkflowEntity | None:
        name = Name.split(full_name)
        # A workflow reaches what its owner's namespace reaches, whoever invokes it.
        owner = self._open[-1].partition("/")[0] if self._open else name.namespace
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
                return WorkflowEntity(located.action.id, body["version"], body["exec"]["code"], limits)
        if is_conductor(body):
            if not self._composes or not self._workflows.isdisjoint(self._open):
                sentence = f"/{located.action.id} is a conductor, which no workflow can run: let it run the workflow"
                raise WorkflowInvalid([Finding((), sentence)])
            self.conductors = True
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
