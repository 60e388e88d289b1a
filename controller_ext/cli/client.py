"""A small client of the REST API, for the console script alone; its errors say what to do."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Final
from urllib.parse import quote

import requests

from action_runtime.wire.errors import Blame, DataflowError
from controller_ext.cli.options import Endpoint

TIMEOUT_S: Final = 75.0
"""Above the server's longest blocking wait of 60 s."""
POLL_S: Final = 0.25
"""Between two looks for the end of a run that outlasts the blocking wait; REST has no way to be told."""


class ServerUnreachable(DataflowError):
    """Nobody answers at the address, or the answer broke off."""

    code = "server-unreachable"
    blame = Blame.CALLER
    retryable = True

    def __init__(self, url: str, cause: str) -> None:
        super().__init__(
            f"no OpenWhisk server answers at {url} ({cause}).\n"
            "Start one with `dataflower standalone`, or name another with --apihost."
            + (f"\nIf it does not speak TLS: --apihost http://{url.removeprefix('https://')}" if "SSL" in cause else "")
        )


class RequestRefused(DataflowError):
    """The server answered with an error."""

    code = "request-refused"
    blame = Blame.CALLER

    def __init__(self, status: int, text: str, hint: str = "") -> None:
        super().__init__(f"the server refused (HTTP {status}): {text}{hint}")
        self.status = status


class RunStillGoing(DataflowError):
    """A run did not end within the time that the caller was ready to wait."""

    code = "run-still-going"
    blame = Blame.CALLER
    retryable = True

    def __init__(self, activation_id: str, wait_s: float) -> None:
        super().__init__(
            f"run {activation_id} has not ended after {wait_s:g} s; it goes on.\n"
            f"Follow it with `dataflower trace --follow {activation_id}`."
        )


def action_path(name: str) -> str:
    """Return the path of an action below `/api/v1/`.

    Args:
        name: `[PACKAGE/]NAME` of the key's own namespace, or `/NAMESPACE/[PACKAGE/]NAME`.
    """
    namespace = "_"
    if name.startswith("/"):
        namespace, _, name = name[1:].partition("/")
    return f"namespaces/{quote(namespace, safe='')}/actions/{quote(name)}"


class Client:
    """One connection to one server with one key. Methods block, each at most TIMEOUT_S where nothing else is said."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self._session = requests.Session()
        user, _, key = endpoint.auth.partition(":")
        self._session.auth = (user, key)
        # A proxy of the environment is not for a server of this machine.
        self._session.trust_env = not endpoint.url.startswith(("http://127.", "http://localhost"))

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._session.close()

    def action(self, name: str) -> dict[str, Any]:
        """Return an action with its code; raises RequestRefused if there is none."""
        return self._object("GET", action_path(name), query={"code": "true"})

    def put_action(self, name: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Create or replace an action."""
        return self._object("PUT", action_path(name), query={"overwrite": "true"}, body=body)

    def invoke(self, name: str, parameters: Mapping[str, Any], wait_s: float = 60.0) -> dict[str, Any]:
        """Run an action to its end.

        Args:
            name: As for `action_path`.
            parameters: A JSON object.
            wait_s: How long to wait for the end in all.

        Returns:
            The run's record, whether it went well or not.

        Raises:
            RunStillGoing: It has not ended in time.
        """
        deadline = time.monotonic() + wait_s
        path = action_path(name)
        reply = self._send("POST", path, query={"blocking": "true"}, body=parameters)
        document = self._decode(reply, good=(200, 202, 500, 502))
        if "response" in document:
            return document
        if "activationId" not in document:
            raise RequestRefused(reply.status_code, str(document.get("error", document)))
        return self.wait_for(document["activationId"], deadline - time.monotonic())

    def activation(self, activation_id: str) -> dict[str, Any] | None:
        """Return a record, or None while there is none."""
        return self._optional(f"namespaces/_/activations/{activation_id}")

    def wait_for(self, activation_id: str, wait_s: float) -> dict[str, Any]:
        """Return the record of a run once it has ended; raises RunStillGoing."""
        deadline = time.monotonic() + wait_s
        pause = threading.Event()
        while (record := self.activation(activation_id)) is None:
            if time.monotonic() > deadline:
                raise RunStillGoing(activation_id, wait_s)
            pause.wait(POLL_S)
        return record

    def trace(self, activation_id: str) -> dict[str, Any] | None:
        """Return what is known of a run, running or ended; None: this server does not know it, or has no such route."""
        return self._optional(f"namespaces/_/activations/{activation_id}/trace")

    def cancel(self, activation_id: str) -> dict[str, Any]:
        """End a run; raises RequestRefused (409: it had ended before, 404: there is none)."""
        return self._object("POST", f"namespaces/_/activations/{activation_id}/cancel")

    def _optional(self, path: str) -> dict[str, Any] | None:
        reply = self._send("GET", path)
        return None if reply.status_code == 404 else self._decode(reply)

    def _object(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        return self._decode(self._send(method, path, query, body))

    def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> requests.Response:
        url = f"{self.endpoint.url}/api/v1/{path}"
        try:
            return self._session.request(method, url, params=query, json=body, timeout=TIMEOUT_S)
        except requests.ConnectionError as error:
            raise ServerUnreachable(self.endpoint.url, _reason(error)) from error
        except requests.Timeout as error:
            raise ServerUnreachable(self.endpoint.url, f"silent for {TIMEOUT_S:g} s") from error
        except requests.RequestException as error:
            raise ServerUnreachable(self.endpoint.url, str(error)) from error

    def _decode(self, reply: requests.Response, good: tuple[int, ...] = (200, 202)) -> dict[str, Any]:
        try:
            document = reply.json()
        except ValueError as error:
            raise RequestRefused(reply.status_code, "the answer is no JSON", _HOST_HINT) from error
        if not isinstance(document, dict):
            raise RequestRefused(reply.status_code, "the answer is no JSON object", _HOST_HINT)
        refused = "error" in document and "code" in document
        if reply.status_code in good and not refused:
            return document
        hint = _AUTH_HINT if reply.status_code == 401 else ""
        raise RequestRefused(reply.status_code, str(document.get("error", document)), hint)


_AUTH_HINT: Final = "\nName the key of the namespace with --auth, or in ~/.wskprops."
_HOST_HINT: Final = "\nIs this the address of an OpenWhisk server? Name another with --apihost."


def _reason(error: requests.ConnectionError) -> str:
    """Return the innermost cause: that is what a person understands."""
    cause: BaseException = error
    while (inner := cause.__cause__ or cause.__context__) is not None:
        cause = inner
    return getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
