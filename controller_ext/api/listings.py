"""Lists of entities: window and count, the same for all collections."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from flask import Response

from controller_ext.api import queries, replies
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
