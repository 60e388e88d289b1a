"""Rules: list, read, write, delete, enable and disable."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from flask import Blueprint, Response

from controller_ext.api import bodies, listings, queries, replies
from controller_ext.api.context import caller, own_name, own_namespace
from controller_ext.api.services import Services
from controller_ext.entities import documents, links, rules, triggers
from controller_ext.entities.catalog import READ
from controller_ext.entities.errors import Forbidden, NotFound, Rejected, WrongCollection
from controller_ext.entities.names import Name
from controller_ext.entities.triggers import Link
from invoker_ext.store import RevisionConflict

_MISMATCH: Final = (
    "document type class org.apache.openwhisk.core.entity.{} did not match expected type class"
    " org.apache.openwhisk.core.entity.{}."
)
"""Stock's words, with the names of its classes, for a rule that refers to an entity of another type."""
_CLASSES: Final = {
    "action": "WhiskAction",
    "package": "WhiskPackage",
    "trigger": "WhiskTrigger",
    "rule": "WhiskRule",
}


def make(services: Services) -> Blueprint:
    """Return the routes."""
    blueprint = Blueprint("rules", __name__)
    handlers = _Rules(services)
    blueprint.get("")(handlers.list)
    blueprint.get("/")(handlers.list)
    blueprint.get("/<name>")(handlers.read)
    blueprint.put("/<name>")(handlers.write)
    blueprint.delete("/<name>")(handlers.delete)
    blueprint.post("/<name>")(handlers.set_status)
    return blueprint


class _Rules:
    def __init__(self, services: Services) -> None:
        self._catalog = services.catalog
        self._store = services.catalog.store
        self._settings = services.settings
        self._now_ms = services.now_ms

    def list(self, namespace: str) -> Response:
        own = own_namespace(namespace)
        return listings.reply("rules", lambda: self._store.list(rules.TYPE, own), documents.shown)

    def read(self, namespace: str, name: str) -> Response:
        full = own_name(namespace, name)
        rule = self._catalog.typed(str(full), rules.TYPE)
        return self._shown(full, rule.body)

    def write(self, namespace: str, name: str) -> Response:
        full = own_name(namespace, name)
        user = caller()
        read = bodies.read_put(user, self._settings)
        overwrite = queries.flag("overwrite")
        put = rules.parse(read, user.namespace)
        self._authorize(put)
        old = self._catalog.to_replace(str(full), rules.TYPE, overwrite=overwrite)
        if old is None:
            document = rules.create(put, full, self._now_ms())
        else:
            document = rules.update(put, old.body, self._now_ms())
        self._check_references(rules.trigger(document), rules.action(document))
        # The rule is written first: of two that write it at once only one goes on to the triggers.
        written = self._store.put(str(full), document, None if old is None else old.revision)
        try:
            self._link(full, document, None if old is None else old.body)
        except RevisionConflict:
            if old is None:
                self._store.delete(written.id, written.revision)
            raise
        return self._shown(full, document)

    def delete(self, namespace: str, name: str) -> Response:
        full = own_name(namespace, name)
        rule = self._catalog.typed(str(full), rules.TYPE)
        trigger = rules.trigger(rule.body)
        status = self._status(full, trigger)
        self._unlink(full, trigger)
        try:
            self._store.delete(rule.id, rule.revision)
        except RevisionConflict:
            self._enter(full, trigger, lambda _: status)  # it was changed meanwhile, and stays
            raise
        self._unlink(full, trigger)  # whoever has linked it meanwhile
        return replies.json_object(rules.shown(rule.body, triggers.INACTIVE))

    def set_status(self, namespace: str, name: str) -> Response:
        full = own_name(namespace, name)
        allowed = self._settings.limits.request_bytes
        bodies.check_announced(allowed)
        status = rules.parse_status(bodies.read_json(allowed))
        rule = self._catalog.typed(str(full), rules.TYPE)
        trigger = rules.trigger(rule.body)
        if status != self._status(full, trigger) and not self._enter(full, trigger, lambda _: status, last=True):
            raise NotFound("Only rules with existing triggers can be activated")
        return replies.text("OK")

    def _link(self, full: Name, rule: dict[str, Any], old: dict[str, Any] | None) -> None:
        """Enter a rule that was written into its trigger: active if it is new, else with the status that it had."""
        trigger = rules.trigger(rule)
        before = trigger if old is None else rules.trigger(old)
        status = triggers.ACTIVE if old is None else self._status(full, before)
        if before != trigger:
            self._unlink(full, before)

        def kept(body: dict[str, Any]) -> str:
            # Read anew where it stays: somebody may be enabling or disabling it.
            return status if old is None or before != trigger else triggers.status(body, str(full))

        self._enter(full, trigger, kept)

    def _enter(self, full: Name, trigger: Name, status: Callable[[dict[str, Any]], str], *, last: bool = False) -> bool:
        """Link a rule to what it invokes by then; no link stays of one that was deleted or moved meanwhile.

        Args:
            full: Of the rule.
            trigger: Which the rule has.
            status: Body of the trigger → status of the link.
            last: Behind all other links.

        Returns:
            False: there is no such trigger.
        """

        def changed(body: dict[str, Any]) -> dict[str, Any]:
            rule = self._fired_by(trigger, full)
            if rule is None:
                return triggers.unlinked(body, str(full))
            return triggers.linked(body, Link(str(full), rules.action(rule), status(body)), last=last)

        linked = links.change(self._store, str(trigger), changed)
        if self._fired_by(trigger, full) is None:
            self._unlink(full, trigger)
        return linked

    def _fired_by(self, trigger: Name, full: Name) -> dict[str, Any] | None:
        """Return a rule; None: it is gone, or not of this trigger any more."""
        rule = self._store.get(str(full))
        if rule is None or rule.body["entityType"] != rules.TYPE or rules.trigger(rule.body) != trigger:
            return None
        return rule.body

    def _unlink(self, full: Name, trigger: Name) -> None:
        links.change(self._store, str(trigger), lambda body: triggers.unlinked(body, str(full)))

    def _shown(self, full: Name, rule: dict[str, Any]) -> Response:
        return replies.json_object(rules.shown(rule, self._status(full, rules.trigger(rule))))

    def _status(self, rule: Name, trigger: Name) -> str:
        document = links.read(self._store, str(trigger))
        return triggers.status(None if document is None else document.body, str(rule))

    def _authorize(self, put: rules.RulePut) -> None:
        """Check that the user may read what a rule refers to; raises Forbidden with all that is out of reach."""
        user = caller()
        refused: set[str] = set()
        if put.trigger is not None and (put.trigger.namespace != user.namespace or READ not in user.rights):
            refused.add(str(put.trigger))
        if put.action is not None:
            try:
                self._catalog.authorize(user, READ, put.action)
            except Forbidden:
                refused.add(str(put.action))
        if refused:
            raise Forbidden(refused)

    def _check_references(self, trigger: Name, action: Name) -> None:
        """Raise Rejected unless both exist."""
        found = self._store.get(str(trigger))
        if found is None:
            raise Rejected(f"trigger /{trigger} does not exist")
        if found.body["entityType"] != triggers.TYPE:
            raise Rejected(_MISMATCH.format(_CLASSES[found.body["entityType"]], "WhiskTrigger"))
        try:
            self._catalog.action(action)
        except NotFound as error:
            raise Rejected(f"action /{action} does not exist") from error
        except WrongCollection as error:
            other = self._store.get(str(action))
            kind = _CLASSES["package" if other is None else other.body["entityType"]]
            raise Rejected(_MISMATCH.format(kind, "WhiskActionMetaData")) from error
