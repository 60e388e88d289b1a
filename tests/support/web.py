"""Web actions of an API with everything behind it faked."""

from __future__ import annotations

import json
from typing import Any, Final

from werkzeug.test import TestResponse

from controller_ext.runs.ports import Ended
from invoker_ext.contract.messages import ActivationMessage
from invoker_ext.contract.records import Activation
from tests.support.api import Api

WEB: Final = "/api/v1/web/guest"
ID: Final = "X-Openwhisk-Activation-Id"
ORIGIN: Final = "Access-Control-Allow-Origin"
HTML: Final = "text/html; charset=UTF-8"


def ended(message: ActivationMessage, result: Any, status: int = 0) -> Ended:
    """Return how a run ended."""
    record = Activation(
        activation_id=message.activation_id,
        namespace=message.user.namespace,
        name="a",
        subject=message.user.subject,
        version="0.0.1",
        start_ms=1,
        end_ms=2,
        duration_ms=1,
        status=status,
        result=None if result is None else json.dumps(result).encode(),
        annotations=(),
    )
    return Ended(record)


def export(api: Api, name: str = "a", **more: Any) -> None:
    """Write a web action; annotations are named without their dashes."""
    body = {key: more.pop(key) for key in ("parameters", "exec") if key in more}
    marks = {"web_export": True, **more}
    annotations = [{"key": key.replace("_", "-"), "value": value} for key, value in marks.items()]
    code = {"kind": "python:3", "code": "def main(a):\n  return a\n"}
    reply = api.put(f"actions/{name}", {"exec": code, "annotations": annotations, **body})
    assert reply.status_code == 200, reply.data


def answering(api: Api, result: Any, status: int = 0) -> None:
    """Have every run end like this."""
    api.balancer.respond = lambda message: ended(message, result, status)


def get(api: Api, path: str, method: str = "GET", auth: str | None = None, **more: Any) -> TestResponse:
    """Send a request for `PACKAGE/ACTION…` of the guest's."""
    return api.call(method, f"{WEB}/{path}", auth=auth, **more)


def error_of(reply: TestResponse) -> tuple[int, str]:
    """Return status and text of a refusal."""
    document = reply.get_json()
    assert document["code"] == reply.headers["X-Request-ID"]
    return reply.status_code, document["error"]


def given_to(api: Api) -> Any:
    """Return what the last run got."""
    return json.loads(api.balancer.messages[-1].content or b"")
