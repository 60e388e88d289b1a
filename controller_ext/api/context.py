"""What every request under a namespace starts with."""

from __future__ import annotations

from flask import g, request

from controller_ext.entities.errors import Forbidden
from controller_ext.entities.names import check_entity, check_namespace
from invoker_ext.contract.messages import Identity

RIGHTS = {"GET": "READ", "PUT": "PUT", "DELETE": "DELETE", "POST": "ACTIVATE"}


def caller() -> Identity:
    """Return who asks."""
    user: Identity = g.user
    return user


def namespace_of(segment: str) -> str:
    """Return the namespace of the path; raises Rejected if it cannot be one."""
    return check_namespace(segment, caller().namespace)


def own_namespace(segment: str, *names: str) -> str:
    """Return the namespace of the path, which must be the caller's.

    Args:
        segment: Of the path.
        names: What of it is asked for, for the text.

    Raises:
        Rejected: It cannot be a namespace.
        Forbidden: It is somebody else's, or the key lacks the right.
    """
    user = caller()
    namespace = namespace_of(segment)
    if namespace != user.namespace or RIGHTS[request.method] not in user.rights:
        raise Forbidden(["/".join((namespace, *names))])
    return namespace


def entity_name(segment: str) -> str:
    """Return a name of the path; raises Rejected if it cannot be one."""
    return check_entity(segment)
