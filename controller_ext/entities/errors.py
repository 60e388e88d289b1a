"""Why a request for an entity is refused.

The texts are those of OpenWhisk's `ErrorResponse.scala`; `api/errors.py` gives each its status.
"""

from __future__ import annotations

from collections.abc import Iterable

from action_runtime.wire.errors import Blame, DataflowError


class Refused(DataflowError):
    """The caller's request cannot be served; the text is for the caller."""

    code = "refused"
    blame = Blame.CALLER


class Rejected(Refused):
    """A value in the request is not allowed."""

    code = "rejected"


class Malformed(Rejected):
    """The body cannot be read as what the route expects.

    Args:
        detail: What is wrong with it.
    """

    code = "malformed"

    def __init__(self, detail: str) -> None:
        super().__init__(f"The request content was malformed:\n{detail}")


class MalformedQuery(Rejected):
    """A query parameter cannot be read."""

    code = "malformed-query"

    def __init__(self, name: str, detail: str) -> None:
        super().__init__(f"The query parameter '{name}' was malformed:\n{detail}")


class ParametersNotAllowed(Rejected):
    """The request gives a parameter that is final or reserved."""

    code = "parameters-not-allowed"

    def __init__(self) -> None:
        super().__init__("Request defines parameters that are not allowed (e.g., reserved properties).")


class NotFound(Refused):
    """There is no such entity."""

    code = "not-found"

    def __init__(self, text: str = "The requested resource does not exist.") -> None:
        super().__init__(text)


class Conflict(Refused):
    """The request does not fit what is stored."""

    code = "conflict"


class WrongCollection(Conflict):
    """The name is taken by an entity of another type."""

    code = "wrong-collection"

    def __init__(self) -> None:
        super().__init__("Resource by this name exists but is not in this collection.")


class Forbidden(Refused):
    """The key does not give the right.

    Args:
        resources: `namespace/name` of everything that is out of reach.
    """

    code = "forbidden"

    def __init__(self, resources: Iterable[str]) -> None:
        names = ", ".join(sorted(resources))
        super().__init__(f"The supplied authentication is not authorized to access '{names}'.")


class KindForbidden(Refused):
    """The namespace may not use this kind of runtime."""

    code = "kind-forbidden"

    def __init__(self, kind: str) -> None:
        super().__init__(f"The supplied authentication is not authorized to access actions of kind '{kind}'.")


class TooLarge(Refused):
    """Part of the request is above its bound.

    Args:
        field: `Request`, `exec`, `parameters` or `annotations`.
        size_bytes: What it has.
        allowed_bytes: What it may have.
    """

    code = "too-large"

    def __init__(self, field: str, size_bytes: int, allowed_bytes: int) -> None:
        super().__init__(f"{field} larger than allowed: {size_bytes} > {allowed_bytes} bytes.")


class KeyReused(Refused):
    """An idempotency key came again with another body."""

    code = "key-reused"

    def __init__(self) -> None:
        super().__init__(
            "This Idempotency-Key was used for a request with another body. Send the same body, or use a new key."
        )
