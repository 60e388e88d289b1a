"""Whether a conductor runs as data flow, as what graph, and if not, why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from controller_ext.entities import parameters
from controller_ext.entities.actions import by_control_flow, is_conductor
from controller_ext.entities.catalog import Catalog
from controller_ext.entities.names import Name
from controller_ext.entities.runtimes import Manifest
from controller_ext.runs.resolve import Reads, StoreResolver
from controller_ext.workflow.composition.recovery import NotLowered, program_of
from controller_ext.workflow.errors import DefinitionError
from invoker_ext.contract.graph import Graph
from invoker_ext.contract.messages import Identity

REASON: Final = "conductorReason"
"""Annotation of a composition that runs as a conductor: why."""


@dataclass(slots=True, frozen=True)
class Composed:
    """What a conductor is.

    Attributes:
        graph: Of a composition that runs as data flow.
        reason: Why a composition does not; None also for what is none, or is annotated `dataflow: false`.
        reads: What this depends on.
    """

    graph: Graph | None
    reason: str | None
    reads: Reads


def compose(
    catalog: Catalog, manifest: Manifest, user: Identity, name: str, body: Mapping[str, Any], most: int
) -> Composed:
    """Return what a conductor is.

    Args:
        catalog: Where its actions are.
        manifest: Says where its functions are evaluated.
        user: Who invokes it.
        name: Full name of the conductor.
        body: Its document.
        most: Actions it may run.
    """
    if by_control_flow(body):
        return Composed(None, None, {})
    resolver = StoreResolver(catalog, manifest, inside=name, limit=most, composes=True, user=user)
    try:
        program = program_of(body)
        if program is None:
            return Composed(None, None, {})
        graph = resolver.compose(name, program, body)
    except NotLowered as error:
        return Composed(None, str(error), resolver.reads)
    except DefinitionError as error:
        return Composed(None, error.findings[0].sentence, resolver.reads)
    if resolver.conductors:
        named = ", ".join(sorted(f"/{one}" for one in resolver.conductors))
        return Composed(None, f"it runs {named}, which is a conductor and no composition", resolver.reads)
    return Composed(graph, None, resolver.reads)


def annotated(
    catalog: Catalog, manifest: Manifest, user: Identity, name: Name, document: dict[str, Any], most: int
) -> dict[str, Any]:
    """Return the document of an action that is about to be stored, with the reason if it runs as a conductor.

    What its actions are may change later; the annotation says what holds when it is deployed.
    """
    reason = compose(catalog, manifest, user, str(name), document, most).reason if is_conductor(document) else None
    annotations = parameters.without(document["annotations"], (REASON,))
    if reason is not None:
        annotations = [*annotations, {"key": REASON, "value": f"It runs as a conductor, not as data flow: {reason}."}]
    return {**document, "annotations": annotations}
