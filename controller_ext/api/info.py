"""Documents that need no key: what this server is and how its invokers are."""

from __future__ import annotations

from typing import Final

from flask import Blueprint, Response

from controller_ext.api import metrics, replies
from controller_ext.api.services import Services
from controller_ext.entities import limits

API: Final = "/api/v1"
OPEN: Final = frozenset(
    {API, f"{API}/", f"{API}/api-docs", f"{API}/api-docs/", f"{API}/docs", f"{API}/docs/index.html"}
)
"""Paths of the API that need no key."""


def make(services: Services) -> Blueprint:
    """Return the routes."""
    blueprint = Blueprint("info", __name__)
    settings = services.settings
    balancer = services.balancer
    root = {
        "description": "OpenWhisk",
        "support": {
            "github": "https://github.com/apache/openwhisk/issues",
            "slack": "http://slack.openwhisk.org",
        },
        "api_paths": [API],
        "limits": limits.root_document(settings.limits),
        "runtimes": settings.manifest.document(),
    }
    api = {
        "description": "OpenWhisk API",
        "api_version": "1.0.0",
        "api_version_path": "v1",
        "build": settings.build,
        "buildno": settings.build_number,
        "swagger_paths": {"ui": "/docs", "api-docs": "/api-docs"},
    }

    @blueprint.get("/")
    def _root() -> Response:
        return replies.json_object(root)

    @blueprint.get(API)
    @blueprint.get(f"{API}/")
    def _api() -> Response:
        return replies.json_object(api)

    @blueprint.get("/metrics")
    def _metrics() -> Response:
        return metrics.reply(balancer, services.door)

    @blueprint.get("/ping")
    def _ping() -> Response:
        return replies.text("pong")

    @blueprint.get("/invokers")
    def _invokers() -> Response:
        return replies.json_object(dict(balancer.invokers()))

    @blueprint.get("/invokers/healthy/count")
    def _healthy() -> Response:
        return replies.json_object(_count_healthy(services)[0])

    @blueprint.get("/invokers/ready")
    def _ready() -> Response:
        healthy, total = _count_healthy(services)
        if healthy and healthy == total:
            return replies.json_object({"healthy": f"{healthy}/{total}"})
        return replies.json_object({"unhealthy": f"{total - healthy}/{total}"}, 500)

    @blueprint.get("/activation/count")
    def _in_flight() -> Response:
        return replies.json_object(balancer.in_flight())

    return blueprint


def _count_healthy(services: Services) -> tuple[int, int]:
    """Return how many invokers are healthy, and how many are known."""
    states = list(services.balancer.invokers().values())
    return states.count("up"), len(states)
