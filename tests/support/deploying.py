"""Deploys actions and workflows that stand in a test, and runs them, over the REST API."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any, Final

import requests

from tests.support.waiting import wait_until

KEY: Final = (
    "23bc46b1-71f6-4ed5-8c54-816aa4f8c502",
    "123zO3xZCLrMN6v2BKK1dXYFpXlPkccOFqm12CdAsMgRU4VrNZ9lyGVCGuMDGIwP",
)
TIMEOUT_S: Final = 28


class Deployer:
    """A namespace of a live server.

    Args:
        url: Of the server: `http://HOST:PORT`.
        api_key: `uuid:key`; None: the guest's.
        timeout_s: Of each request.
    """

    def __init__(self, url: str, api_key: str | None = None, *, timeout_s: float = TIMEOUT_S) -> None:
        self.url = url
        self._timeout_s = timeout_s
        self._deployed: dict[str, object] = {}
        self._session = requests.Session()
        uuid, _, key = (api_key or ":".join(KEY)).partition(":")
        self._session.auth = (uuid, key)

    def close(self) -> None:
        """Let go of the connections."""
        self._session.close()

    def call(self, method: str, path: str, **more: Any) -> requests.Response:
        """Send a request below the namespace."""
        return self._session.request(method, f"{self.url}/api/v1/namespaces/_/{path}", timeout=self._timeout_s, **more)

    def put(self, name: str, code: str, kind: str = "python:3", **body: Any) -> requests.Response:
        """Create or replace an action and return the answer, whatever it is."""
        body = {"exec": {"kind": kind, "code": textwrap.dedent(code)}, **body}
        return self.call("PUT", f"actions/{name}?overwrite=true", json=body)

    def action(self, name: str, code: str, **body: Any) -> None:
        """Deploy an action; once is enough for the same code."""
        if self._deployed.get(name) != (code, body):
            self.put(name, code, **body).raise_for_status()
            self._deployed[name] = (code, body)

    def workflow(self, text: str, name: str = "flow", **actions: str) -> None:
        """Deploy a workflow and the actions, by their names, that it needs."""
        for one, code in actions.items():
            self.action(one, code)
        reply = self.put(name, text, kind="dataflow:1")
        assert reply.status_code == 200, reply.text

    def invoke(self, name: str = "flow", arguments: Mapping[str, Any] | None = None) -> requests.Response:
        """Invoke and wait; the answer is the result alone."""
        return self.call("POST", f"actions/{name}?blocking=true&result=true", json=dict(arguments or {}))

    def run(self, name: str = "flow", /, **arguments: Any) -> Any:
        """Invoke, wait, and return the result of a success."""
        reply = self.invoke(name, arguments)
        assert reply.status_code == 200, (reply.status_code, reply.text)
        return reply.json()

    def fail(self, name: str = "flow", /, status: int = 502, **arguments: Any) -> Any:
        """Invoke, wait, and return the `error` of a failure."""
        reply = self.invoke(name, arguments)
        assert reply.status_code == status, (reply.status_code, reply.text)
        return reply.json()["error"]

    def record(self, activation_id: str) -> dict[str, Any]:
        """Return an activation's record."""
        reply = self.call("GET", f"activations/{activation_id}")
        reply.raise_for_status()
        found: dict[str, Any] = reply.json()
        return found

    def firings(self, name: str = "flow", /, **arguments: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """Invoke, wait, and return the record of the run and those of its firings."""
        reply = self.call("POST", f"actions/{name}?blocking=true", json=arguments)
        run = self.record(reply.headers["X-Openwhisk-Activation-Id"])
        return run, [self.finished(one) for one in run["logs"]]

    def finished(self, activation_id: str, within_s: float = 20.0) -> dict[str, Any]:
        """Wait for the record of an activation that was not waited for."""
        wait_until(lambda: self.call("GET", f"activations/{activation_id}").status_code == 200, within_s)
        return self.record(activation_id)
