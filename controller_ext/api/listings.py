"""Lists of entities: window and count, the same for all collections."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from flask import Blueprint, Response

from controller_ext.api import queries, replies
from controller_ext.api.context import own_namespace
from controller_ext.api.services import Services
from controller_ext.entities.documents import shown
from controller_ext.entities.errors import NotFound
from invoker_ext.store import Document


def reply(
    collection: str, load: Callable[[], Sequence[Document]], summary: Callable[[dict[str, Any]], dict[str, Any]]
) -> Response:
    """Return the window that the query asks for, or the count.

    Args:
        collection: What the texts call the items.
        load: Reads all of them, newest first; called once the query is known to be good.
        summary: Stored document → item.
    """
    skip, limit = queries.window(collection)
    count = queries.flag("count")
    documents = load()
    if count:
        return replies.json_object({collection: max(0, len(documents) - skip)})
    return replies.json_object([summary(one.body) for one in documents[skip : skip + limit]])


def make(services: Services) -> Blueprint:
    """Return the lists of triggers and rules, which clients ask for whenever they show a namespace.

    None can be made yet, so each that is asked for by its name is one that does not exist.
    """
    blueprint = Blueprint("listings", __name__)

    def add(collection: str) -> None:
        def listing(namespace: str) -> Response:
            own = own_namespace(namespace)
            return reply(collection, lambda: services.catalog.store.list(collection[:-1], own), shown)

        for path in (f"/<namespace>/{collection}", f"/<namespace>/{collection}/"):
            blueprint.add_url_rule(path, collection, listing, methods=["GET"])
        path = f"/<namespace>/{collection}/<name>"
        blueprint.add_url_rule(path, f"{collection}-missing", _missing, methods=["GET", "POST", "DELETE"])

    add("triggers")
    add("rules")
    return blueprint


def _missing(namespace: str, name: str) -> Response:
    own_namespace(namespace, name)
    raise NotFound
