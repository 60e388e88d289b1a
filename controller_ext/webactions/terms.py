"""What the annotations of a web action ask for: who may call it, how it gets its request, who answers OPTIONS."""

from __future__ import annotations

import hmac
import json
from dataclasses import dataclass
from typing import Any, Final

from controller_ext.entities import parameters
from controller_ext.entities.parameters import Parameters

_ORIGIN: Final = ("Access-Control-Allow-Origin", "*")
_METHODS: Final = ("Access-Control-Allow-Methods", "OPTIONS, GET, DELETE, POST, PUT, HEAD, PATCH")
_HEADERS: Final = "Authorization, Origin, X-Requested-With, Content-Type, Accept, User-Agent"


@dataclass(slots=True, frozen=True)
class Terms:
    """The annotations of a web action.

    Attributes:
        raw: It gets query and body as they were sent.
        own_options: It answers OPTIONS itself, and sets its CORS headers itself.
        secret: True: a key of any namespace is needed; a text: that in `X-Require-Whisk-Auth`; None: nothing;
            False: nobody may call it.
    """

    raw: bool
    own_options: bool
    secret: bool | str | None

    @staticmethod
    def of(annotations: Parameters) -> Terms | None:
        """Read them; None: it is no web action."""
        if parameters.value_of(annotations, "web-export") is not True:
            return None
        return Terms(
            raw=parameters.value_of(annotations, "raw-http") is True,
            own_options=parameters.value_of(annotations, "web-custom-options") is True,
            secret=_secret(annotations),
        )

    def allow(self, method: str, given: str | None, *, known: bool) -> bool:
        """Return whether a request may reach the action.

        Args:
            method: Of the request.
            given: Its header `X-Require-Whisk-Auth`.
            known: It came with a valid key.
        """
        if self.own_options and method == "OPTIONS":
            return True
        if isinstance(self.secret, str):
            return given is not None and hmac.compare_digest(self.secret.encode(), given.encode())
        return known if self.secret is True else self.secret is None

    def cors(self, asked: str | None) -> tuple[tuple[str, str], ...]:
        """Return the CORS headers of every answer.

        Args:
            asked: The request's `Access-Control-Request-Headers`.
        """
        if self.own_options:
            return ()
        return (_ORIGIN, _METHODS, ("Access-Control-Allow-Headers", _HEADERS if asked is None else asked))


def _secret(annotations: Parameters) -> bool | str | None:
    key = "require-whisk-auth"
    if not parameters.has(annotations, key):
        return None
    value: Any = parameters.value_of(annotations, key)
    if isinstance(value, bool):
        return True if value else None
    if isinstance(value, int | float):
        return json.dumps(value)
    return value if isinstance(value, str) else False
