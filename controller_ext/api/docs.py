"""The document that describes the API, and the page that shows it; neither needs a key."""

from __future__ import annotations

import json
from typing import Final

from flask import Blueprint, Response

from controller_ext.api import replies
from controller_ext.api.info import API
from controller_ext.api.openapi import document, page
from controller_ext.api.services import Services
from controller_ext.entities.runtimes import NATIVE, Manifest

_PAGE: Final = f"docs/index.html?url={API}/api-docs"
_MOVED: Final = f'The request, and all future requests should be repeated using <a href="{_PAGE}">this URI</a>.'


def make(services: Services) -> Blueprint:
    """Return the routes."""
    blueprint = Blueprint("docs", __name__)
    described = document.make(API, _kinds(services.settings.manifest))
    as_json = json.dumps(described, separators=(",", ":")).encode()
    as_page = page.render(described)

    @blueprint.get("/api-docs")
    @blueprint.get("/api-docs/")
    def _document() -> Response:
        return replies.json_bytes(as_json)

    @blueprint.get("/docs")
    def _moved() -> Response:
        reply = replies.html(_MOVED, 308)
        reply.headers["Location"] = _PAGE
        return reply

    @blueprint.get("/docs/index.html")
    def _page() -> Response:
        return replies.html(as_page)

    return blueprint


def _kinds(manifest: Manifest) -> list[str]:
    return [NATIVE, *(one["kind"] for runtimes in manifest.document().values() for one in runtimes)]
