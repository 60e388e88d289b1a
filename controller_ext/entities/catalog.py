"""Finds actions by name, through packages and bindings, and says who may use them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from controller_ext.entities import packages, parameters
from controller_ext.entities.errors import Conflict, Forbidden, NotFound, Refused, WrongCollection
from controller_ext.entities.names import Name
from controller_ext.entities.parameters import Parameters
from invoker_ext.contract.messages import Identity
from invoker_ext.store import Document, EntityStore

READ, PUT, DELETE, ACTIVATE = "READ", "PUT", "DELETE", "ACTIVATE"
"""Rights of a key."""


@dataclass(slots=True, frozen=True)
class Located:
    """An action, and what stands between its name and its document.

    Attributes:
        action: The document; its id is the provider's.
        packages: Package (or provider, then binding), lowest first.
        binding: Id of the binding it was named through.
        parameters: Of package < binding < action.
    """

    action: Document
    packages: tuple[Document, ...]
    binding: str | None
    parameters: Parameters

    @property
    def reads(self) -> tuple[tuple[str, str | None], ...]:
        """Return `(id, revision)` of every document that this was made from."""
        return tuple((one.id, one.revision) for one in (*self.packages, self.action))


class Catalog:
    """Reads entities for the callers of the API.

    Args:
        store: Where they are.
    """

    def __init__(self, store: EntityStore) -> None:
        self.store = store

    def typed(self, doc_id: str, entity_type: str) -> Document:
        """Return an entity of a type.

        Raises:
            NotFound: There is none of this name.
            WrongCollection: It is of another type.
        """
        document = self.store.get(doc_id)
        if document is None:
            raise NotFound
        if document.body["entityType"] != entity_type:
            raise WrongCollection
        return document

    def to_replace(self, doc_id: str, entity_type: str, *, overwrite: bool) -> Document | None:
        """Return the entity that a PUT replaces, None if it creates one.

        Raises:
            WrongCollection: The name is that of an entity of another type.
            Conflict: The entity exists and is not to be overwritten.
        """
        document = self.store.get(doc_id)
        if document is None:
            return None
        if document.body["entityType"] != entity_type:
            raise WrongCollection
        if not overwrite:
            raise Conflict("resource already exists")
        return document

    def package(self, package_id: str) -> tuple[Document, ...]:
        """Return a package as one document; a binding as its provider and itself.

        Raises:
            NotFound: It does not exist, or what it is bound to does not.
            WrongCollection: It is no package.
        """
        package = self.typed(package_id, packages.TYPE)
        bound = packages.binding(package.body)
        if bound is None:
            return (package,)
        return (self.typed(bound, packages.TYPE), package)

    def action(self, name: Name) -> Located:
        """Return an action.

        Raises:
            NotFound: It, its package or the package's provider does not exist.
            WrongCollection: The name is that of something else.
        """
        layers: tuple[Document, ...] = ()
        if name.package_id is not None:
            layers = self.package(name.package_id)
        home = layers[0].id if layers else name.namespace
        action = self.typed(f"{home}/{name.name}", "action")
        merged = parameters.merge(*(one.body["parameters"] for one in (*layers, action)))
        binding = layers[1].id if len(layers) > 1 else None
        return Located(action, layers, binding, merged)

    def authorize(self, user: Identity, right: str, name: Name) -> None:
        """Check that a key gives a right to an action.

        Raises:
            Forbidden: It does not.
            NotFound: The user's own package does not exist.
            WrongCollection: The user's own package is none.
        """
        if right not in user.rights:
            raise Forbidden([str(name)])
        if right in (PUT, DELETE):
            if name.namespace != user.namespace:
                raise Forbidden([str(name)])
            if name.package_id is not None:
                self.typed(name.package_id, packages.TYPE)
            return
        self._authorize(user.namespace, name)

    def reachable(self, namespace: str, name: Name) -> bool:
        """Return whether callers of a namespace may activate an action, as far as its package tells.

        True where something on the way is missing: that shows when it is looked up.
        """
        try:
            self._authorize(namespace, name)
        except Forbidden:
            return False
        except (NotFound, WrongCollection):
            return True
        return True

    def on_the_way(self, name: Name) -> dict[str, str | None]:
        """Return `{id: revision}` of what tells whether an action may be used: its package, and that one's provider.

        The revision is None where nothing is; read it before the right is checked, so that it is never newer.
        """
        found: dict[str, str | None] = {}
        doc_id = name.package_id
        while doc_id is not None and doc_id not in found:
            document = self.store.get(doc_id)
            found[doc_id] = None if document is None else document.revision
            body = {} if document is None else document.body
            doc_id = packages.binding(body) if body.get("entityType") == packages.TYPE else None
        return found

    def authorize_all(self, user: Identity, right: str, names: Iterable[Name]) -> None:
        """Check that a key gives a right to all of some actions.

        Raises:
            Forbidden: Names all that are out of reach.
            NotFound: A package of the user's own does not exist.
            WrongCollection: A package of the user's own is none.
        """
        refused: set[str] = set()
        for name in dict.fromkeys(names):
            try:
                self.authorize(user, right, name)
            except Forbidden:
                refused.add(str(name))
        if refused:
            raise Forbidden(refused)

    def authorize_package(self, user: Identity, right: str, package_id: str) -> None:
        """Check that a key gives a right to a package.

        Raises:
            Forbidden: It does not.
            NotFound: The user's own package does not exist, and is to be read.
            WrongCollection: The user's own package is none, and is to be read.
        """
        if right not in user.rights:
            raise Forbidden([package_id])
        if right == READ:
            self._authorize_package(user.namespace, package_id, package_id)
        elif package_id.partition("/")[0] != user.namespace:
            raise Forbidden([package_id])

    def _authorize(self, namespace: str, name: Name) -> None:
        if name.package_id is not None:
            self._authorize_package(namespace, name.package_id, str(name))
        elif name.namespace != namespace:
            raise Forbidden([str(name)])

    def _authorize_package(self, namespace: str, package_id: str, resource: str) -> None:
        own = package_id.partition("/")[0] == namespace
        try:
            package = self.typed(package_id, packages.TYPE)
        except Refused as error:
            if own:
                raise
            # Whether a foreign package exists is nobody else's business.
            raise Forbidden([resource]) from error
        bound = packages.binding(package.body)
        if not own:
            if bound is not None or not package.body["publish"]:
                raise Forbidden([resource])
        elif bound is not None and bound.partition("/")[0] != namespace:
            provider = self.store.get(bound)
            if provider is not None and not provider.body.get("publish"):
                raise Forbidden([resource])
