"""Controllers and invokers as processes of their own, on a real Kafka and a CouchDB."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.support.couchdb import CouchServer
from tests.support.deployment import Deployment
from tests.support.kafka import Kafka


@pytest.fixture
def deploy(kafka_broker: Kafka, couch_server: CouchServer) -> Iterator[Callable[..., Deployment]]:
    """Makes deployments, their databases made; keyword arguments are variables of all processes."""
    made: list[Deployment] = []

    def factory(**environ: str) -> Deployment:
        made.append(Deployment(kafka_broker.url, couch_server.url, environ))
        made[-1].initialise()
        return made[-1]

    yield factory
    for one in made:
        one.remove()
