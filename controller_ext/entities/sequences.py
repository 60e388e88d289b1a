"""What a sequence must hold to before it is stored."""

from __future__ import annotations

from collections.abc import Sequence

from controller_ext.entities.catalog import READ, Catalog
from controller_ext.entities.errors import NotFound, Rejected, WrongCollection
from controller_ext.entities.names import Name
from controller_ext.entities.runtimes import SEQUENCE
from invoker_ext.contract.messages import Identity

_TOO_MANY = "Too many actions in the sequence."
_ITSELF = "Sequence may not refer to itself."
_MISSING = "Sequence component does not exist."


def check(catalog: Catalog, user: Identity, name: Name, components: Sequence[str], most: int) -> None:
    """Check the components of a sequence.

    Args:
        catalog: Where they are looked up.
        user: Who stores it.
        name: What it will be called.
        components: `/namespace/[package/]name` of each.
        most: Bound of the components, and of the actions with inner sequences spelt out.

    Raises:
        Rejected: None or too many, one does not exist, or the sequence would contain itself.
        Forbidden: A component is out of the user's reach.
        NotFound: A package of the user's own does not exist.
        WrongCollection: A package of the user's own is none.
    """
    parsed = [Name.split(one[1:]) for one in components]
    catalog.authorize_all(user, READ, parsed)
    if not parsed:
        raise Rejected("No component specified for the sequence.")
    if len(parsed) > most:
        raise Rejected(_TOO_MANY)
    _Counter(catalog, str(name), most).count(parsed)


class _Counter:
    """Counts actions; an inner sequence is read once, however often it is named."""

    def __init__(self, catalog: Catalog, root: str, most: int) -> None:
        self._catalog = catalog
        self._root = root
        self._most = most
        self._known: dict[str, int] = {}
        self._open: set[str] = set()

    def count(self, components: Sequence[Name]) -> int:
        total = 0
        for name in components:
            total += self._one(name)
            if total > self._most:
                raise Rejected(_TOO_MANY)
        return total

    def _one(self, name: Name) -> int:
        if str(name) == self._root:
            raise Rejected(_ITSELF)
        try:
            action = self._catalog.action(name).action
        except (NotFound, WrongCollection) as error:
            raise Rejected(_MISSING) from error
        if action.id == self._root:
            raise Rejected(_ITSELF)
        if action.body["exec"]["kind"] != SEQUENCE:
            return 1
        if action.id not in self._known:
            if action.id in self._open:
                # Two writers at once can store a cycle that neither of them could see.
                raise Rejected(_ITSELF)
            self._open.add(action.id)
            inner = [Name.split(one[1:]) for one in action.body["exec"]["components"]]
            self._known[action.id] = self.count(inner)
            self._open.discard(action.id)
        return self._known[action.id]
