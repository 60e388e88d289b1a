"""Who asks: HTTP Basic with the namespace's uuid and key."""

from __future__ import annotations

import base64
import binascii
import hmac
import re
import threading
from typing import Any, Final

from controller_ext.api.errors import Unauthenticated
from invoker_ext.contract.messages import Identity
from invoker_ext.store import EntityStore

_NONE: Final = "The resource requires authentication, which was not supplied with the request"
_WRONG: Final = "The supplied authentication is invalid"
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}")
_KEY_CHARS: Final = 64
_KEPT: Final = 4096
_DECOY: Final = "0" * _KEY_CHARS


class Authenticator:
    """Knows callers by their Authorization header.

    Headers that were right once are kept as long as no entity changes, wrong ones never: guessing costs its full price.

    Args:
        store: Where subjects are.
    """

    def __init__(self, store: EntityStore) -> None:
        self._store = store
        self._known: dict[str, Identity] = {}
        self._version: object = None
        self._guard = threading.Lock()  # guards _known and _version

    def identify(self, header: str | None) -> Identity:
        """Return who sent a header.

        Raises:
            Unauthenticated: Nobody, or nobody that is known.
            StoreUnavailable: Subjects cannot be read.
        """
        if header is None:
            raise Unauthenticated(_NONE)
        version = self._store.version()
        if version == self._version:
            known = self._known.get(header)
            if known is not None:
                return known
        identity = self._look_up(header)
        with self._guard:
            if version != self._version or len(self._known) >= _KEPT:
                self._known = {}
                self._version = version
            self._known[header] = identity
        return identity

    def _look_up(self, header: str) -> Identity:
        scheme, _, encoded = header.partition(" ")
        if scheme.lower() != "basic":
            raise Unauthenticated(_NONE)
        uuid, key = _decode(encoded)
        subject = self._store.subject_by_uuid(uuid.lower()) if _UUID.fullmatch(uuid) else None
        # Compare in any case: how long an answer takes must not tell which part was wrong.
        right = hmac.compare_digest((subject["key"] if subject else _DECOY).encode(), key.encode())
        if subject is None or not right or len(key) != _KEY_CHARS or subject["blocked"]:
            raise Unauthenticated(_WRONG)
        return identity_of(subject)


def _decode(encoded: str) -> tuple[str, str]:
    try:
        text = base64.b64decode(encoded.strip(), validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise Unauthenticated(_WRONG) from error
    uuid, _, key = text.partition(":")
    return uuid, key


def identity_of(subject: dict[str, Any]) -> Identity:
    """Return what the store knows of a namespace as whom runs belong to."""
    return Identity(
        subject=subject["subject"],
        namespace=subject["namespace"],
        uuid=subject["uuid"],
        api_key=f"{subject['uuid']}:{subject['key']}",
        limits=subject["limits"],
    )
