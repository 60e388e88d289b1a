"""Namespaces and their limits."""

from __future__ import annotations

from flask import Blueprint, Response

from controller_ext.api import replies
from controller_ext.api.context import caller, own_namespace
from controller_ext.api.services import Services
from controller_ext.entities import limits
from controller_ext.entities.errors import Rejected


def make(services: Services) -> Blueprint:
    """Return the routes."""
    blueprint = Blueprint("namespaces", __name__)
    system = services.settings.limits

    @blueprint.get("")
    @blueprint.get("/")
    def _list() -> Response:
        return replies.json_object([caller().namespace])

    @blueprint.get("/<namespace>/limits")
    @blueprint.get("/<namespace>/limits/")
    def _limits(namespace: str) -> Response:
        own_namespace(namespace)
        own = caller().limits
        return replies.json_object(limits.namespace_document(system.of(own), own))

    @blueprint.get("/<namespace>/limits/<path:rest>")
    def _inner(namespace: str, rest: str) -> Response:
        raise Rejected("Inner entity level routes for limits are not yet implemented.")

    return blueprint
