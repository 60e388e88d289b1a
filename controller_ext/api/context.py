"""What every request under a namespace starts with."""

from __future__ import annotations

import re
import secrets
from typing import Final

from flask import g, request

from controller_ext.entities.errors import Forbidden
from controller_ext.entities.names import Name, check_entity, check_namespace
from invoker_ext.contract.messages import Identity

_TRANSID: Final = re.compile(r"[\x21-\x7e]{1,256}")
_SYSTEM_PREFIX: Final = "sid_"
RIGHTS = {"GET": "READ", "PUT": "PUT", "DELETE": "DELETE", "POST": "ACTIVATE"}


def transaction_id(given: str | None) -> str:
    """Return the id of a request: the one that its header names, if that may name one, else a new one."""
    if given is None or given.startswith(_SYSTEM_PREFIX) or not _TRANSID.fullmatch(given):
        return secrets.token_hex(16)
    return given


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


def own_name(segment: str, name: str) -> Name:
    """Return the name of a trigger or rule, which live in no package and are for their namespace alone.

    Raises:
        Rejected: It cannot be a name.
        Forbidden: It is somebody else's, or the key lacks the right.
    """
    checked = entity_name(name)
    return Name(own_namespace(segment, checked), None, checked)


def entity_name(segment: str) -> str:
    """Return a name of the path; raises Rejected if it cannot be one."""
    return check_entity(segment)
