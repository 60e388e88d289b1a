"""Triggers: list, read, write, delete and fire."""

from __future__ import annotations

import json
from functools import partial
from typing import Final

from flask import Blueprint, Response, g

from controller_ext import json_text
from controller_ext.api import bodies, errors, headers, listings, queries, replies
from controller_ext.api.context import caller, entity_name, namespace_of, own_name, own_namespace
from controller_ext.api.invocations import start
from controller_ext.api.services import Services
from controller_ext.entities import documents, triggers
from controller_ext.entities.names import Name
from controller_ext.runs.firing import Fire, Firing
from controller_ext.runs.repeats import Keyed

_UNSEEN: Final = frozenset({"authorization", "content-type", "content-length", "transfer-encoding"})
"""Headers that no action gets: the first is a secret, the others are of the body, and stock has them not either."""


def make(services: Services) -> Blueprint:
    """Return the routes."""
    blueprint = Blueprint("triggers", __name__)
    handlers = _Triggers(services)
    blueprint.get("")(handlers.list)
    blueprint.get("/")(handlers.list)
    blueprint.get("/<name>")(handlers.read)
    blueprint.put("/<name>")(handlers.write)
    blueprint.delete("/<name>")(handlers.delete)
    blueprint.post("/<name>")(handlers.fire)
    return blueprint


class _Triggers:
    def __init__(self, services: Services) -> None:
        self._catalog = services.catalog
        self._store = services.catalog.store
        self._settings = services.settings
        self._balancer = services.balancer
        self._now_ms = services.now_ms
        self._firing = Firing(
            acceptor=services.acceptor,
            balancer=services.balancer,
            start=partial(start, services),
            records=services.activations,
            repeats=services.repeats,
            explain=errors.blame_and_text,
        )

    def list(self, namespace: str) -> Response:
        own = own_namespace(namespace)
        return listings.reply("triggers", lambda: self._store.list(triggers.TYPE, own), documents.listed)

    def read(self, namespace: str, name: str) -> Response:
        trigger = self._catalog.typed(str(own_name(namespace, name)), triggers.TYPE)
        return replies.json_object(documents.shown(trigger.body))

    def write(self, namespace: str, name: str) -> Response:
        full = own_name(namespace, name)
        read = bodies.read_put(caller(), self._settings)
        overwrite = queries.flag("overwrite")
        put = triggers.parse(read)
        old = self._catalog.to_replace(str(full), triggers.TYPE, overwrite=overwrite)
        if old is None:
            document = triggers.create(put, full, self._now_ms())
        else:
            document = triggers.update(put, old.body, self._now_ms())
        self._store.put(str(full), document, None if old is None else old.revision)
        return replies.json_object(documents.shown(document))

    def delete(self, namespace: str, name: str) -> Response:
        trigger = self._catalog.typed(str(own_name(namespace, name)), triggers.TYPE)
        self._store.delete(trigger.id, trigger.revision)
        return replies.json_object(documents.shown(trigger.body))

    def fire(self, namespace: str, name: str) -> Response:
        user = caller()
        full = Name(namespace_of(namespace), None, entity_name(name))
        # But for the names of its path stock looks at nothing before it throttles: what is refused counts, too.
        self._balancer.charge_fire(user)
        own_namespace(namespace, full.name)
        allowed = self._settings.limits.request_bytes
        bodies.check_announced(allowed)
        raw = bodies.read(allowed)
        members = json_text.parse_object(raw, goes_on=True) if raw else {}
        trigger = self._catalog.typed(str(full), triggers.TYPE)
        key = headers.idempotency_key()
        now_ms = self._now_ms()
        fire = Fire(
            user=user,
            payload=raw,
            members=members,
            headers=json.dumps(headers.for_action(_UNSEEN)).encode(),
            transid=[g.transid, now_ms],
            now_ms=now_ms,
            keyed=None if key is None else Keyed.of(user.namespace, f"trigger {full}", key, raw),
        )
        activation_id = self._firing.fire(trigger.body, fire)
        return replies.nothing() if activation_id is None else replies.accepted(activation_id)
