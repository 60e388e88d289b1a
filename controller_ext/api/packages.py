"""Packages and bindings."""

from __future__ import annotations

from collections.abc import Sequence

from flask import Blueprint, Response

from controller_ext.api import bodies, listings, queries, replies
from controller_ext.api.context import caller, entity_name, namespace_of
from controller_ext.api.services import Services
from controller_ext.entities import packages, parameters
from controller_ext.entities.catalog import DELETE, PUT, READ
from controller_ext.entities.errors import Conflict, Forbidden, NotFound, Rejected, WrongCollection
from controller_ext.entities.names import Name
from invoker_ext.store import Document


def make(services: Services) -> Blueprint:
    """Return the routes."""
    blueprint = Blueprint("packages", __name__)
    handlers = _Packages(services)
    blueprint.get("")(handlers.list)
    blueprint.get("/")(handlers.list)
    blueprint.get("/<name>")(handlers.read)
    blueprint.put("/<name>")(handlers.write)
    blueprint.delete("/<name>")(handlers.delete)
    return blueprint


class _Packages:
    def __init__(self, services: Services) -> None:
        self._catalog = services.catalog
        self._settings = services.settings
        self._now_ms = services.now_ms

    def list(self, namespace: str) -> Response:
        owner = namespace_of(namespace)
        user = caller()
        if READ not in user.rights:
            raise Forbidden([owner])

        def load() -> Sequence[Document]:
            found = self._catalog.store.list(packages.TYPE, owner)
            if owner == user.namespace:
                return found
            return [one for one in found if one.body["publish"] and packages.binding(one.body) is None]

        return listings.reply("packages", load, packages.summary)

    def read(self, namespace: str, name: str) -> Response:
        package_id = f"{namespace_of(namespace)}/{entity_name(name)}"
        try:
            self._catalog.authorize_package(caller(), READ, package_id)
        except NotFound as error:
            raise NotFound(f"The requested resource '{package_id}' does not exist.") from error
        layers = self._catalog.package(package_id)
        merged = parameters.merge(*(one.body["parameters"] for one in layers))
        contents = [one.body for one in self._contents(layers[0].id)]
        return replies.json_object(packages.shown_with_contents(layers[-1].body, merged, contents))

    def write(self, namespace: str, name: str) -> Response:
        full = Name(namespace_of(namespace), None, entity_name(name))
        user = caller()
        self._catalog.authorize_package(user, PUT, str(full))
        read = bodies.read_put(user, self._settings)
        overwrite = queries.flag("overwrite")
        put = packages.parse(read, user.namespace)
        if put.binding is not None and put.binding.partition("/")[0] != user.namespace:
            self._catalog.authorize_package(user, READ, put.binding)
        old = self._catalog.to_replace(str(full), packages.TYPE, overwrite=overwrite)
        if old is None:
            document = packages.create(put, full, self._now_ms())
        else:
            document = packages.update(put, old.body, self._now_ms())
        if put.binding is not None:
            self._check_binding(put.binding)
        self._catalog.store.put(str(full), document, None if old is None else old.revision)
        return replies.json_object(packages.shown(document))

    def delete(self, namespace: str, name: str) -> Response:
        package_id = f"{namespace_of(namespace)}/{entity_name(name)}"
        self._catalog.authorize_package(caller(), DELETE, package_id)
        force = queries.flag("force")
        package = self._catalog.typed(package_id, packages.TYPE)
        contents = [] if packages.binding(package.body) else self._contents(package_id)
        if contents and not force:
            noun = "entity" if len(contents) == 1 else "entities"
            raise Conflict(
                f"Package not empty (contains {len(contents)} {noun}). Set force param or delete package contents."
            )
        for one in contents:
            self._catalog.store.delete(one.id, one.revision)
        self._catalog.store.delete(package.id, package.revision)
        return replies.json_object(packages.shown(package.body))

    def _contents(self, package_id: str) -> Sequence[Document]:
        owner, _, name = package_id.partition("/")
        return self._catalog.store.list("action", owner, name)

    def _check_binding(self, bound: str) -> None:
        """Raise if a package cannot be bound to; that of somebody else is known to be published."""
        try:
            provider = self._catalog.typed(bound, packages.TYPE)
        except NotFound as error:
            raise Rejected("Binding references a package that does not exist.") from error
        except WrongCollection as error:
            raise Conflict("Cannot bind to a resource that is not a package.") from error
        if packages.binding(provider.body) is not None:
            raise Rejected("Cannot bind to another package binding.")
