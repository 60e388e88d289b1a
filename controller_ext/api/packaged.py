"""Packaged actions by the namespace that lists show for them: `namespaces/guest%2Fpack/actions/NAME`.

Stock takes a namespace of two segments for namespace and package, and its clients send back what a list told them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, Final

from controller_ext.api.info import API

_SENT: Final = re.compile(rf"{API}/namespaces/[^/?]+%2F[^/?]+/actions/[^/?]+(?:\?|$)", re.IGNORECASE)
_DECODED: Final = re.compile(rf"({API}/namespaces/[^/]+)/([^/]+)/actions/([^/]+)")


class PackagedNames:
    """A WSGI application before that of the API, which knows such actions by `namespaces/guest/actions/pack/NAME`."""

    def __init__(self, app: Callable[..., Iterable[bytes]]) -> None:
        self._app = app

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Serve a request under the path that the API knows."""
        if _SENT.match(environ.get("RAW_URI", "")) and (decoded := _DECODED.fullmatch(environ["PATH_INFO"])):
            namespace, package, name = decoded.groups()
            environ["PATH_INFO"] = f"{namespace}/actions/{package}/{name}"
        return self._app(environ, start_response)
