"""How an action is invoked: everything that is the same for all its invocations, kept until an entity of it changes."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from controller_ext import json_text
from controller_ext.entities import actions
from controller_ext.entities.catalog import ACTIVATE, Catalog, Located
from controller_ext.entities.limits import SystemLimits, violation
from controller_ext.entities.names import Name
from controller_ext.entities.parameters import raw_members
from controller_ext.entities.runtimes import BLACKBOX, NATIVE, SEQUENCE, Manifest
from controller_ext.runs.compositions import compose
from controller_ext.runs.ports import Needs
from controller_ext.runs.resolve import Reads, StoreResolver
from controller_ext.workflow import native
from controller_ext.workflow.compile import compile_workflow
from controller_ext.workflow.errors import DefinitionError, WorkflowBroken
from controller_ext.workflow.sequence import compile_sequence
from invoker_ext.contract.graph import ActionCall, Fault, Graph, OwnLimits, WorkflowCall
from invoker_ext.contract.messages import Identity
from invoker_ext.contract.regions import Region, RegionKind

_KEPT: Final = 2048
"""Plans; the whole cache is dropped when it is full, for a plan costs little to make again."""
KEPT_BYTES: Final = 64 << 20
"""Of their parameters: one action may have megabytes of them."""

_Key = tuple[str, Name, bool, SystemLimits]
"""Of a plan: the user's namespace, the action, whether stepwise, and the limits that hold for the user."""


@dataclass(slots=True, frozen=True, kw_only=True)
class Plan:
    """How to invoke one action for one user.

    Attributes:
        name: Id of its document.
        kind: Of its code.
        version, revision: Of its document.
        binding: Id of the binding it was named through.
        needs: What a run takes of an invoker.
        defaults: Parameter → JSON text, below the payload.
        joined: The same as one object.
        immutable: Parameters that no payload may give.
        init_names: Parameters that go to the environment at init.
        locked: Parameter → cipher.
        graph: Digest of what to run; None: a plain action, or what the controller runs itself.
        native: It is a native workflow.
        components: Of a sequence that runs by stock control flow, or can: then it has a graph, too.
        conductor: Where there is no graph, or nobody who runs one, it is run again and again, as its results ask for.
        refusal: Why an invocation ends at once: the action was stored under other limits than hold for the user.
        limits: `timeout` (ms) and `logs` (MB) of the entity itself, of a conductor also `memory`.
        asks: Its run may have to ask what names in its data stand for.
        reads: What all this depends on.
    """

    name: str
    kind: str
    version: str
    revision: str
    binding: str | None
    needs: Needs
    defaults: dict[str, bytes]
    joined: bytes
    immutable: frozenset[str]
    init_names: tuple[str, ...]
    locked: dict[str, str]
    graph: str | None
    native: bool
    components: tuple[str, ...] | None
    conductor: bool
    refusal: str | None
    limits: Mapping[str, int]
    asks: bool
    reads: Reads

    @property
    def adds_up(self) -> bool:
        """Its result may be more than that of one action, which has a bound of its own."""
        return self.native or (self.conductor and self.graph is not None)


class Planner:
    """Makes plans.

    Args:
        catalog: Where entities are.
        manifest: Which kinds there are.
        limits: The system's.
    """

    def __init__(self, catalog: Catalog, manifest: Manifest, limits: SystemLimits) -> None:
        self._catalog = catalog
        self._manifest = manifest
        self._limits = limits
        self._plans: dict[_Key, tuple[object, Plan]] = {}
        self._plans_bytes = 0
        self._guard = threading.Lock()  # guards _plans and _plans_bytes

    def plan(self, user: Identity, name: Name, *, stepwise: bool = False) -> Plan:
        """Return how to invoke an action.

        Args:
            user: Who does; must have the right to the action itself.
            name: Of the action.
            stepwise: Run sequences by stock control flow, whatever they say.

        Raises:
            NotFound: It, or a package on the way, does not exist.
            WrongCollection: The name is that of something else.
            Rejected: Its runtime is deprecated.
            KindForbidden: The user must not use it.
            Forbidden: A component of the sequence is out of reach.
            WorkflowBroken: The workflow cannot be compiled any more.
        """
        allowed = self._limits.of(user.limits)
        key = (user.uuid, name, stepwise, allowed)
        # The version is taken first: what is read after it is at least as new.
        version = self._catalog.store.version()
        known = self._plans.get(key)
        if known is not None and (known[0] == version or self._unchanged(known[1].reads)):
            plan = known[1]
            # Which kinds a user may use is no document of the plan.
            actions.check_kind(plan.kind, self._manifest, user.limits)
            if known[0] != version:
                self._keep(key, version, plan)
            return plan
        plan = self._make(user, name, allowed, stepwise=stepwise)
        self._keep(key, version, plan)
        return plan

    def _keep(self, key: _Key, version: object, plan: Plan) -> None:
        size_bytes = _size_bytes(plan)
        with self._guard:
            old = self._plans.pop(key, None)
            self._plans_bytes -= 0 if old is None else _size_bytes(old[1])
            if len(self._plans) >= _KEPT or self._plans_bytes + size_bytes > KEPT_BYTES:
                self._plans.clear()
                self._plans_bytes = 0
            self._plans[key] = (version, plan)
            self._plans_bytes += size_bytes

    def _unchanged(self, reads: Reads) -> bool:
        for doc_id, revision in reads.items():
            document = self._catalog.store.get(doc_id)
            if revision != (None if document is None else document.revision):
                return False
        return True

    def _make(self, user: Identity, name: Name, allowed: SystemLimits, *, stepwise: bool) -> Plan:
        located = self._catalog.action(name)
        body = located.action.body
        kind = body["exec"]["kind"]
        actions.check_kind(kind, self._manifest, user.limits)
        reads: Reads = dict(located.reads)
        graph: Graph | None = None
        written: tuple[str, ...] | None = None
        stepwise = stepwise or not runs_as_data_flow(located)
        if kind == SEQUENCE:
            written = tuple(one.removeprefix("/") for one in body["exec"]["components"])
            names = [Name.split(one) for one in written]
            for one in names:
                reads.update(self._catalog.on_the_way(one))
            self._catalog.authorize_all(user, ACTIVATE, names)
        if kind == NATIVE or (kind == SEQUENCE and not stepwise):
            most = self._limits.sequence_length
            resolver = StoreResolver(
                self._catalog,
                self._manifest,
                inside=located.action.id,
                limit=most,
                composes=kind == SEQUENCE,
                user=user,
            )
            try:
                graph = within(compile_entity(located, resolver, most), allowed)
            except DefinitionError as error:
                raise WorkflowBroken(located.action.id, error.findings) from error
            reads.update(resolver.reads)
            if resolver.conductors:
                # An invoker knows no compositions: the controller runs the whole sequence.
                graph = None
            else:
                self._catalog.store.put_graph(graph.digest, graph.to_json())
        conductor = actions.is_conductor(body)
        if conductor and not stepwise:
            graph = self._composition(user, located, allowed, reads)
        # A sequence passes on what it is given: neither its own parameters nor its package's (stock).
        given = [] if kind == SEQUENCE else located.parameters
        defaults = raw_members(given)
        plain = kind not in (SEQUENCE, NATIVE)
        refusal = violation(body["limits"], allowed) if plain else None
        timeout_ms = 0 if kind == SEQUENCE else body["limits"]["timeout"]
        return Plan(
            name=located.action.id,
            kind=kind,
            version=body["version"],
            revision=located.action.revision,
            binding=located.binding,
            needs=Needs(
                memory_mb=_memory_mb(body["limits"]["memory"], graph, refusal),
                timeout_s=(timeout_ms if graph is None else max(timeout_ms, longest_ms(graph))) / 1000,
                concurrency=body["limits"].get("concurrency", 1) if plain and graph is None else 1,
                pulled=kind == BLACKBOX,
                stepwise=(kind == SEQUENCE or conductor) and graph is not None,
            ),
            defaults=defaults,
            joined=json_text.join(defaults),
            immutable=actions.immutable_names(located.parameters, body["annotations"]),
            init_names=tuple(one["key"] for one in given if plain and one.get("init")),
            locked={one["key"]: one["encryption"] for one in given if "encryption" in one},
            graph=None if graph is None else graph.digest,
            native=kind == NATIVE,
            components=written,
            conductor=conductor,
            refusal=refusal,
            limits={name: body["limits"][name] for name in ("timeout", "logs", *(("memory",) if conductor else ()))},
            asks=graph is not None and graph.names_by_data,
            reads=reads,
        )

    def _composition(self, user: Identity, located: Located, allowed: SystemLimits, reads: Reads) -> Graph | None:
        """Return the graph of a composition; None: it runs as the conductor that it is."""
        action = located.action
        composed = compose(self._catalog, self._manifest, user, action.id, action.body, self._limits.sequence_length)
        reads.update(composed.reads)
        if composed.graph is None:
            return None
        graph = within(composed.graph, allowed)
        self._catalog.store.put_graph(graph.digest, graph.to_json())
        return graph


def _size_bytes(plan: Plan) -> int:
    """Return what the parameters of a plan take, which are there twice."""
    return 2 * len(plan.joined)


def compile_entity(located: Located, resolver: StoreResolver, most: int) -> Graph:
    """Return the graph of a stored sequence or native workflow.

    Args:
        located: The entity.
        resolver: Made for it.
        most: Atomic actions in a sequence.

    Raises:
        DefinitionError: It cannot be compiled.
    """
    body = located.action.body
    exec_, limits = body["exec"], body["limits"]
    if exec_["kind"] == SEQUENCE:
        graph = compile_sequence(exec_["components"], resolver, most)
    else:
        graph = compile_workflow(native.parse(exec_["code"]), body["namespace"], resolver)
    return graph.limited(limits["timeout"], limits["logs"])


def within(graph: Graph, allowed: SystemLimits) -> Graph:
    """Return a graph whose actions that were stored above the limits that hold are refused."""
    return graph.with_calls(lambda call: _within(call, allowed))


def _within(call: ActionCall | WorkflowCall | Fault, allowed: SystemLimits) -> ActionCall | WorkflowCall | Fault:
    match call:
        case ActionCall(memory_mb=memory, timeout_ms=timeout, logs_mb=logs, concurrency=concurrency):
            stored = {"timeout": timeout, "memory": memory, "logs": logs, "concurrency": concurrency}
            text = violation(stored, allowed)
            return call if text is None else replace(call, refusal=text)
        case WorkflowCall():
            return replace(call, graph=within(call.graph, allowed))
        case Fault():
            return call


def _memory_mb(own_mb: int, graph: Graph | None, refusal: str | None) -> int:
    if graph is not None:
        return largest_step_mb(graph)
    return own_mb if refusal is None else 0


def runs_as_data_flow(located: Located) -> bool:
    """Return False for a sequence annotated `dataflow: false`: it runs by stock control flow."""
    return not actions.by_control_flow(located.action.body)


def longest_ms(graph: Graph) -> int:
    """Return how long a run may take: its own bound, else all its steps one after the other, each firing once."""
    if graph.timeout_s is not None:
        return round(graph.timeout_s * 1000)
    total_ms = 0
    for step in graph.steps:
        if isinstance(step.call, Region):
            total_ms += step.attempts * _longest_region_ms(step.call, graph.limits)
        elif step.timeout_s is not None:
            total_ms += step.attempts * round(step.timeout_s * 1000)
        else:
            total_ms += step.attempts * _longest_call_ms(step.call)
    return total_ms


def _longest_call_ms(call: ActionCall | WorkflowCall | Fault) -> int:
    match call:
        case ActionCall():
            return call.timeout_ms
        case WorkflowCall():
            return longest_ms(call.graph)
        case Fault():
            return 0


def _longest_region_ms(region: Region, own: OwnLimits) -> int:
    """Return how long a region may take: as many calls as it may make, and its functions between them."""
    longest = max(map(_longest_call_ms, region.calls()), default=0)
    if region.kind is RegionKind.REPEAT:
        return region.most * longest
    return own.actions * longest + (2 * own.actions + 1) * own.timeout_ms


def largest_step_mb(graph: Graph) -> int:
    """Return the memory of the step that needs most, or of what evaluates functions; 0 if nothing in it runs."""
    largest = 0 if graph.evaluator is None else graph.limits.memory_mb
    for call in graph.calls():
        match call:
            case ActionCall(memory_mb=memory_mb, refusal=None):
                largest = max(largest, memory_mb)
            case WorkflowCall(graph=inner):
                largest = max(largest, largest_step_mb(inner))
            case _:
                pass
    return largest
