"""Why a change of an API is refused; the texts are those of OpenWhisk's route management."""

from __future__ import annotations

from controller_ext.entities.errors import NotFound, Rejected


class CreationRefused(Rejected):
    """The API would not be a good one; nothing was stored.

    Args:
        reason: What is wrong with it.
    """

    code = "api-creation-refused"

    def __init__(self, reason: str) -> None:
        super().__init__(f"API creation failure: {reason}")


class DeletionRefused(NotFound):
    """There is no such API, path or operation to delete.

    Args:
        reason: What is missing.
    """

    code = "api-deletion-refused"

    def __init__(self, reason: str) -> None:
        super().__init__(f"API deletion failure: {reason}")
