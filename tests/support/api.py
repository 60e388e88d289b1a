"""An API with everything behind it faked, for tests."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from controller_ext.api.app import create_app
from controller_ext.api.services import ApiSettings, Services
from controller_ext.entities.catalog import Catalog
from controller_ext.entities.limits import SystemLimits
from controller_ext.runs.accept import Acceptor
from controller_ext.runs.control_flow import ControlFlow
from controller_ext.runs.repeats import Repeats
from invoker_ext.store import ActivationStore, EntityStore
from invoker_ext.stores.couchdb import Place
from invoker_ext.stores.sqlite import SqliteActivations, SqliteEntities, SqliteKeys
from invoker_ext.stores.subjects import GUEST_KEY, SYSTEM_KEY, seed_subjects
from tests.support import outcomes
from tests.support.conformance import Conformance, conformance
from tests.support.fake_balancer import FakeBalancer, FakeControlFlow

NS = "/api/v1/namespaces/_"


def basic(api_key: str) -> str:
    """Return the Authorization header of a key."""
    return "Basic " + base64.b64encode(api_key.encode()).decode()


CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Headers": "Authorization, Origin, X-Requested-With, Content-Type, Accept, User-Agent",
    "Access-Control-Allow-Methods": "GET, DELETE, POST, PUT, HEAD",
}
"""Headers of all answers of the API but those of web actions."""
GUEST = basic(GUEST_KEY)
SYSTEM = basic(SYSTEM_KEY)


@dataclass
class Api:
    """An application and what is behind it."""

    app: Flask
    client: FlaskClient
    services: Services
    entities: EntityStore
    activations: ActivationStore
    keys: SqliteKeys
    balancer: FakeBalancer
    control_flow: FakeControlFlow

    def __repr__(self) -> str:
        return "Api()"

    def call(self, method: str, path: str, body: Any = None, auth: str | None = GUEST, **headers: str) -> TestResponse:
        """Send a request; paths that do not start with `/` are below the caller's namespace.

        Args:
            body: JSON value; bytes are sent as they are; None: no body.
        """
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if auth is not None:
            sent["Authorization"] = auth
        data = None
        if body is not None:
            sent.setdefault("Content-Type", "application/json")
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
        target = path if path.startswith("/") else f"{NS}/{path}"
        reply = self.client.open(target, method=method, data=data, headers=sent)
        self.hold(method, target, reply)
        return reply

    def hold(self, method: str, target: str, reply: TestResponse) -> None:
        """Fail if an answer is not as the document that the API serves says."""
        described = self.described()
        outcomes.note(described.outcome(method, target, reply.status_code))
        problems = described.problems(method, target, reply.status_code, reply.headers.get("Content-Type"), reply.data)
        assert not problems, f"{method} {target}: {problems}: {reply.data[:300]!r}"
        transid = reply.headers.get("X-Request-ID")
        assert transid, f"{method} {target}: no X-Request-ID"
        if target.startswith("/api/v1/namespaces"):
            assert CORS.items() <= dict(reply.headers).items(), f"{method} {target}: no CORS headers"
            if reply.status_code >= 400 and method != "HEAD" and "code" in (told := reply.get_json()):
                assert told["code"] == transid

    def described(self) -> Conformance:
        """Return what holds answers against the document that the API serves."""
        return conformance(self.client.get("/api/v1/api-docs").data)

    def put(self, path: str, body: Any, **more: Any) -> TestResponse:
        """Write an entity, replacing what is there."""
        return self.call("PUT", f"{path}?overwrite=true", body, **more)

    def action(self, name: str, code: str = "def main(a):\n  return a\n", **body: Any) -> TestResponse:
        """Write a Python action of the guest's."""
        return self.put(f"actions/{name}", {"exec": {"kind": "python:3", "code": code}, **body})

    def compose(self) -> Api:
        """Have sequences by control flow and compositions run; else they are only noted. Returns itself."""
        prepare = self.services.acceptor.component
        self.control_flow.real = ControlFlow(self.balancer, prepare, self.activations, threads=4)
        return self

    def close(self) -> None:
        """Wait for what still runs, then let go of the stores."""
        if self.control_flow.real is not None:
            self.control_flow.real.close()
        self.balancer.finish()
        self.entities.close()
        self.activations.close()
        self.keys.close()


def make_api(
    folder: Path, limits: SystemLimits | None = None, place: Place | None = None, *, broker: bool = False
) -> Api:
    """Return an API on empty stores with the stock users.

    Args:
        folder: For its files.
        limits: Of the system.
        place: Of its databases in CouchDB; None: they are SQLite, in the folder.
        broker: Messages go through Kafka.
    """
    entities: EntityStore
    activations: ActivationStore
    if place is None:
        entities = SqliteEntities(folder / "entities.db")
        activations = SqliteActivations(folder / "activations.db")
    else:
        place.set_up()
        entities, activations = place.entities(folder / "store.mark"), place.activations()
    keys = SqliteKeys(folder / "keys.db", ttl_ms=86_400_000, most=100)
    seed_subjects(entities)
    settings = ApiSettings(limits=limits or SystemLimits())
    balancer = FakeBalancer(entities, activations)
    catalog = Catalog(entities)
    acceptor = Acceptor(catalog, settings.manifest, settings.limits, balancer, broker=broker)
    control_flow = FakeControlFlow(acceptor.component)
    services = Services(
        settings=settings,
        catalog=catalog,
        activations=activations,
        acceptor=acceptor,
        balancer=balancer,
        control_flow=control_flow,
        door=balancer,
        repeats=Repeats(keys, activations, balancer.settle),
    )
    app = create_app(services)
    return Api(app, app.test_client(), services, entities, activations, keys, balancer, control_flow)


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the way to each value inside a JSON value: names and numbers, from outside in."""
    yield at
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from places(inner, (*at, key))
