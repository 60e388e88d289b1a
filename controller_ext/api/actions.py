"""Actions: list, read, write, delete. Invoking them is in `invocations.py`."""

from __future__ import annotations

from typing import Final

from flask import Blueprint, Response

from controller_ext.api import bodies, listings, queries, replies
from controller_ext.api.context import caller, entity_name, namespace_of, own_namespace
from controller_ext.api.services import Services
from controller_ext.entities import actions, limited, packages, sequences
from controller_ext.entities.catalog import DELETE, PUT, READ
from controller_ext.entities.errors import Rejected
from controller_ext.entities.names import Name
from controller_ext.entities.runtimes import NATIVE, SEQUENCE
from controller_ext.runs import compositions
from controller_ext.runs.resolve import StoreResolver
from controller_ext.workflow import native
from controller_ext.workflow.compile import compile_workflow

_BODY_SLACK_BYTES: Final = 4 << 20
"""Of a body, above its code: parameters, annotations and what JSON escapes."""


def name_of(namespace: str, package: str | None, name: str) -> Name:
    """Return the name that a path's segments make; raises Rejected if they cannot."""
    owner = namespace_of(namespace)
    return Name(owner, None if package is None else entity_name(package), entity_name(name))


def make(services: Services) -> Blueprint:
    """Return the routes."""
    blueprint = Blueprint("actions", __name__)
    handlers = _Actions(services)
    blueprint.get("")(handlers.list)
    blueprint.get("/")(handlers.list)
    blueprint.get("/<package>/")(handlers.list_package)
    for path in ("/<name>", "/<package>/<name>"):
        blueprint.get(path)(handlers.read)
        blueprint.put(path)(handlers.write)
        blueprint.delete(path)(handlers.delete)
    return blueprint


class _Actions:
    def __init__(self, services: Services) -> None:
        self._catalog = services.catalog
        self._settings = services.settings
        self._now_ms = services.now_ms

    def list(self, namespace: str) -> Response:
        own = own_namespace(namespace)
        return listings.reply("actions", lambda: self._catalog.store.list(actions.TYPE, own), actions.summary)

    def list_package(self, namespace: str, package: str) -> Response:
        package_id = f"{namespace_of(namespace)}/{entity_name(package)}"
        self._catalog.authorize_package(caller(), READ, package_id)
        owner, _, name = self._catalog.package(package_id)[0].id.partition("/")
        return listings.reply("actions", lambda: self._catalog.store.list(actions.TYPE, owner, name), actions.summary)

    def read(self, namespace: str, name: str, package: str | None = None) -> Response:
        full = name_of(namespace, package, name)
        self._catalog.authorize(caller(), READ, full)
        with_code = queries.flag("code", default=True)
        located = self._catalog.action(full)
        shown = actions.shown(located.action.body, with_code=with_code, merged=located.parameters)
        return replies.json_object(shown)

    def write(self, namespace: str, name: str, package: str | None = None) -> Response:
        full = name_of(namespace, package, name)
        user = caller()
        self._catalog.authorize(user, PUT, full)
        system = self._settings.limits.of(user.limits)
        body = bodies.read_json(system.exec_bytes + _BODY_SLACK_BYTES)
        read = limited.read(body, self._settings.manifest, user.namespace, system)
        overwrite = queries.flag("overwrite")
        put = actions.parse(read, system)
        self._refuse_binding(full)
        self._check_workflow(put, full)
        old = self._catalog.to_replace(str(full), actions.TYPE, overwrite=overwrite)
        if old is None:
            document = actions.create(put, full, self._now_ms(), system)
        else:
            document = actions.update(put, old.body, self._now_ms())
        actions.check_kind(document["exec"]["kind"], self._settings.manifest, user.limits)
        document = compositions.annotated(
            self._catalog, self._settings.manifest, user, full, document, self._settings.limits.sequence_length
        )
        self._catalog.store.put(str(full), document, None if old is None else old.revision)
        return replies.json_object(actions.shown(document))

    def delete(self, namespace: str, name: str, package: str | None = None) -> Response:
        full = name_of(namespace, package, name)
        self._catalog.authorize(caller(), DELETE, full)
        self._refuse_binding(full)
        action = self._catalog.typed(str(full), actions.TYPE)
        self._catalog.store.delete(action.id, action.revision)
        return replies.json_object(actions.shown(action.body))

    def _refuse_binding(self, full: Name) -> None:
        if full.package_id is None:
            return
        if packages.binding(self._catalog.typed(full.package_id, packages.TYPE).body) is not None:
            raise Rejected("Operation not permitted on package binding.")

    def _check_workflow(self, put: actions.ActionPut, full: Name) -> None:
        """Check what a sequence or native workflow is made of; raises with everything that is wrong."""
        if put.exec is None:
            return
        most = self._settings.limits.sequence_length
        if put.exec["kind"] == SEQUENCE:
            sequences.check(self._catalog, caller(), full, put.exec["components"], most)
        elif put.exec["kind"] == NATIVE:
            resolver = StoreResolver(self._catalog, self._settings.manifest, inside=str(full), limit=most)
            compile_workflow(native.parse(put.exec["code"]), full.path, resolver)
