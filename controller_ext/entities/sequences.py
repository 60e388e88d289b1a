"""What a sequence must hold to before it is stored."""

from __future__ import annotations

from collections.abc import Sequence

from controller_ext.entities.catalog import READ, Catalog
from controller_ext.entities.errors import NotFound, Rejected, WrongCollection
from controller_ext.entities.names import Name
from controller_ext.entities.runtimes import SEQUENCE
from controller_ext.workflow.sequence import Component, check_components
from invoker_ext.contract.messages import Identity


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

    def lookup(full: str) -> Component | None:
        if full == str(name):
            return Component(full, ())  # itself, stored or not
        try:
            action = catalog.action(Name.split(full)).action
        except (NotFound, WrongCollection):
            return None
        exec_ = action.body["exec"]
        return Component(action.id, tuple(exec_["components"]) if exec_["kind"] == SEQUENCE else None)

    catalog.authorize_all(user, READ, [Name.split(one[1:]) for one in components])
    wrong = check_components(str(name), components, lookup, most)
    if wrong is not None:
        raise Rejected(wrong)
