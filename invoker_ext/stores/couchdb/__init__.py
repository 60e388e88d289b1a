"""The store of a deployment on several hosts: stock's three databases in CouchDB.

Needs the extra `distributed`. What is written is what a stock controller and `wskadmin` read, and the reverse.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from invoker_ext.stores.couchdb.activations import CouchActivations
from invoker_ext.stores.couchdb.client import Server
from invoker_ext.stores.couchdb.entities import GRAPHS, CouchEntities
from invoker_ext.stores.couchdb.keys import CouchKeys
from invoker_ext.stores.couchdb.setup import SUBJECTS, WHISKS, set_up
from invoker_ext.stores.couchdb.watch import WAIT_S, Feed, HostMark

__all__ = ["CouchActivations", "CouchEntities", "CouchKeys", "Place"]

ENTITIES_S: Final = 10.0
"""Longest silence: somebody waits for a request."""
ACTIVATIONS_S: Final = 30.0
"""A view may have a minute's records to index before it answers."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the databases are.

    Attributes:
        url: `http(s)://HOST:PORT`.
        user: Empty: none is asked for.
        prefix: Of the databases' names.
    """

    url: str
    user: str = ""
    password: str = field(default="", repr=False)
    prefix: str = "whisk_local_"

    def entities(self, mark: Path | None, *, follow: bool = True) -> CouchEntities:
        """Open the entities.

        Args:
            mark: File that all processes of this host share; None: others hear of writes by the feed alone.
            follow: Keep documents in memory, and follow their changes.
        """
        feed = None
        if follow:
            server = self._server(WAIT_S + ENTITIES_S)
            feed = Feed(server, [self.prefix + name for name in (WHISKS, SUBJECTS)], GRAPHS)
        return CouchEntities(self._server(ENTITIES_S), self.prefix, None if mark is None else HostMark(mark), feed)

    def activations(self) -> CouchActivations:
        """Open the activation records."""
        return CouchActivations(self._server(ACTIVATIONS_S), self.prefix)

    def keys(self, controller: str, ttl_ms: int) -> CouchKeys:
        """Open the idempotency keys, as one of the controllers."""
        return CouchKeys(self._server(ENTITIES_S), self.prefix, controller, ttl_ms)

    def set_up(self) -> bool:
        """Make databases and design documents that are missing; return whether any was."""
        server = self._server(ACTIVATIONS_S)
        try:
            return set_up(server, self.prefix)
        finally:
            server.close()

    def _server(self, timeout_s: float) -> Server:
        return Server(self.url, self.user, self.password, timeout_s=timeout_s)
