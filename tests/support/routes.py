"""Which routes an application serves."""

from __future__ import annotations

import re
from typing import Final

from flask import Flask

_NONE: Final = frozenset({"HEAD", "OPTIONS"})
"""Flask adds them to its routes; only those of web actions answer them."""
_STUB: Final = re.compile(r"\._inner$")
"""Endpoints that only say that there is nothing."""


def served(app: Flask) -> list[tuple[str, str]]:
    """Return method and path of all routes, `x` standing for each variable."""
    return [
        (method, re.sub(r"<[^>]*>", "x", rule.rule))
        for rule in app.url_map.iter_rules()
        if not _STUB.search(rule.endpoint)
        for method in sorted((rule.methods or set()) - (frozenset() if rule.endpoint.startswith("web.") else _NONE))
    ]
