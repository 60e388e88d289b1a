"""Actions and graphs that runs name, fetched once and kept: an outage of the store stops no run."""

from __future__ import annotations

import json
import logging
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from action_runtime.wire.errors import Blame, DataflowError
from invoker_ext.contract.annotations import truthy
from invoker_ext.contract.graph import (
    ActionCall,
    Fault,
    Graph,
    WorkflowCall,
    action_graph,
)
from invoker_ext.contract.messages import Identity
from invoker_ext.owner.naming import NotPlain, named_call
from invoker_ext.store import EntityStore, StoreUnavailable

_log = logging.getLogger(__name__)

CACHE_BYTES: Final = 256 * 1024 * 1024
"""Bound of the code kept; a stock action may hold 48 MB."""


class ActionGone(DataflowError):
    """The action was deleted between the acceptance of the run and its turn."""

    code = "action-gone"
    blame = Blame.APPLICATION

    def __init__(self) -> None:
        super().__init__("Action could not be found or may have been deleted.")


class ActionUnfetched(DataflowError):
    """The store cannot be reached; where it is and why not is in the log. The text is stock's."""

    code = "action-unfetched"
    retryable = True

    def __init__(self) -> None:
        super().__init__("Action could not be fetched.")


class GraphGone(DataflowError):
    """The store has no graph of this digest: it was written by another controller's store, or lost."""

    code = "graph-gone"

    def __init__(self, digest: str) -> None:
        super().__init__(f"The graph {digest[:12]} of this run is not in the store; deploy the workflow again.")


@dataclass(slots=True, frozen=True)
class ActionDoc:
    """What executing an action needs.

    Attributes:
        call: For a plain action: limits, kind and version; its parameters are merged by the controller already.
        code: The stored `exec` object.
        passes_key: The API key goes to the container (`provide-api-key` is truthy or missing).
        limits: As stored.
        graph: Of one step: what a plain invocation of the action runs.
        opens_streams: It reads streamed inputs while they come, whatever its language (`stream-inputs` is truthy).
    """

    call: ActionCall
    code: Mapping[str, Any]
    passes_key: bool
    limits: Mapping[str, int]
    graph: Graph
    opens_streams: bool = False


@dataclass(slots=True, frozen=True)
class Program:
    """A graph and the actions that it calls, as they were when its run was accepted; a later update changes nothing.

    Attributes:
        graph: What to run.
        docs: Name and revision → action; one that had been deleted by then is missing.
    """

    graph: Graph
    docs: Mapping[tuple[str, str | None], ActionDoc]


class Actions:
    """Cache before the entity store. Documents and graphs of one revision never change, so nothing is ever stale."""

    def __init__(self, store: EntityStore) -> None:
        self._store = store
        self._docs: OrderedDict[tuple[str, str | None], ActionDoc] = OrderedDict()
        self._graphs: OrderedDict[str, Graph] = OrderedDict()
        self._bytes = 0
        self._graph_bytes = 0

    def cached(self, name: str, revision: str | None) -> ActionDoc | None:
        """Return an action if it is here; a revision of None is never here."""
        return self._docs.get((name, revision)) if revision is not None else None

    def cached_program(self, digest: str | None, name: str, revision: str | None) -> Program | None:
        """Return what a run executes if all of it is here.

        Args:
            digest: Of the graph; None: the graph of one step that a plain invocation is.
            name: Of the action that was invoked.
            revision: Of the same; None: the newest.
        """
        if digest is None:
            doc = self.cached(name, revision)
            return None if doc is None else _alone(doc)
        graph = self._graphs.get(digest)
        if graph is None:
            return None
        docs: dict[tuple[str, str | None], ActionDoc] = {}
        for call in _calls(graph):
            found = self.cached(call.name, call.revision)
            if found is None:
                return None
            docs[call.name, call.revision] = found
        return Program(graph, docs)

    def fetch(self, name: str, revision: str | None) -> ActionDoc:
        """Return an action, from the store if need be; blocks.

        Raises:
            ActionGone: There is none of this name.
            StoreUnavailable: The store cannot be reached.
        """
        found = self.cached(name, revision)
        if found is not None:
            return found
        document = self._store.get(name)
        if document is None or document.body.get("entityType", "action") != "action":
            raise ActionGone
        doc = _read(name, document.revision, document.body)
        self._keep((name, document.revision), doc)
        if revision is not None and revision != document.revision:
            self._keep((name, revision), doc)  # as stock: a revision that is gone runs the newest one
        return doc

    def named(self, user: Identity, action: str) -> tuple[ActionCall, ActionDoc] | NotPlain | Fault:
        """Return an action that a composition names by its data, or why it cannot be run; blocks.

        Raises:
            ActionUnfetched: The store cannot be reached.
        """
        try:
            call = named_call(self._store.get, user, action)
            return call if isinstance(call, Fault | NotPlain) else (call, self.fetch(call.name, call.revision))
        except (StoreUnavailable, ActionGone) as error:
            _log.error("store cannot be read", extra={"action": action, "error": str(error)})
            raise ActionUnfetched from error

    def fetch_program(self, digest: str | None, name: str, revision: str | None) -> Program:
        """Return what a run executes, from the store if need be; blocks.

        Raises:
            ActionGone: The action that was invoked is gone.
            GraphGone: The store does not have the graph.
            ActionUnfetched: The store cannot be reached.
        """
        try:
            return self._fetch_program(digest, name, revision)
        except StoreUnavailable as error:
            _log.error("store cannot be read", extra={"action": name, "error": str(error)})
            raise ActionUnfetched from error

    def _fetch_program(self, digest: str | None, name: str, revision: str | None) -> Program:
        if digest is None:
            doc = self.fetch(name, revision)
            return _alone(doc)
        graph = self._fetch_graph(digest)
        docs: dict[tuple[str, str | None], ActionDoc] = {}
        for call in _calls(graph):
            key = call.name, call.revision
            if key not in docs:
                with suppress(ActionGone):  # its step will say so, if it is reached
                    docs[key] = self.fetch(*key)
        return Program(graph, docs)

    def _fetch_graph(self, digest: str) -> Graph:
        graph = self._graphs.get(digest)
        if graph is None:
            document = self._store.graph(digest)
            if document is None:
                raise GraphGone(digest)
            graph = Graph.from_json(document)
            self._keep_graph(graph)
        return graph

    def _keep_graph(self, graph: Graph) -> None:
        if graph.digest in self._graphs:
            return
        self._graphs[graph.digest] = graph
        self._graph_bytes += graph.size_bytes()
        while len(self._graphs) > _GRAPHS or (self._graph_bytes > GRAPH_BYTES and len(self._graphs) > 1):
            self._graph_bytes -= self._graphs.popitem(last=False)[1].size_bytes()

    def keep_graph(self, graph: Graph) -> None:
        """Keep a graph that a run here has made, here and in the store; blocks.

        Raises:
            StoreUnavailable: The store cannot be written.
        """
        self._store.put_graph(graph.digest, graph.to_json())
        self._keep_graph(graph)

    def _keep(self, key: tuple[str, str | None], doc: ActionDoc) -> None:
        if key in self._docs:
            return
        self._docs[key] = doc
        self._bytes += _size(doc)
        while self._bytes > CACHE_BYTES and len(self._docs) > 1:
            self._bytes -= _size(self._docs.popitem(last=False)[1])


_GRAPHS: Final = 4096
GRAPH_BYTES: Final = 64 * 1024 * 1024
"""Bound of the graphs kept: their actions' parameters are in them."""


def _alone(doc: ActionDoc) -> Program:
    """Return the program of a plain invocation; the revision is that of the action found, whichever was asked for."""
    return Program(doc.graph, {(doc.call.name, doc.call.revision): doc})


def _calls(graph: Graph) -> Iterator[ActionCall]:
    """Yield every call of an action, also those of workflows inside."""
    for call in graph.calls():
        if isinstance(call, ActionCall):
            yield call
        elif isinstance(call, WorkflowCall):
            yield from _calls(call.graph)


def _size(doc: ActionDoc) -> int:
    return 2048 + len(doc.code.get("code") or "")


def _read(name: str, revision: str, body: Mapping[str, Any]) -> ActionDoc:
    limits = body["limits"]
    keyed = {one["key"]: one["value"] for one in body["annotations"]}
    call = ActionCall(
        name=name,
        version=body["version"],
        revision=revision,
        kind=body["exec"]["kind"],
        memory_mb=limits["memory"],
        timeout_ms=limits["timeout"],
        logs_mb=limits["logs"],
        concurrency=limits.get("concurrency", 1),
    )
    return ActionDoc(
        call,
        body["exec"],
        truthy(keyed.get("provide-api-key", True)),
        limits,
        action_graph(call),
        truthy(keyed.get("stream-inputs", False)),
    )


def split_init(parameters: bytes, names: tuple[str, ...]) -> tuple[bytes, dict[str, str]]:
    """Take the init parameters out of a JSON object of arguments.

    Returns:
        The rest as JSON, and the init environment: strings as they are, null empty, the rest compact JSON.
    """
    members = json.loads(parameters)
    if not isinstance(members, dict):
        return parameters, {}
    taken = {name: members.pop(name) for name in names if name in members}
    env = {name: _env_text(value) for name, value in taken.items()}
    return json.dumps(members, separators=(",", ":"), ensure_ascii=False).encode(), env


def _env_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, separators=(",", ":"), ensure_ascii=False)
