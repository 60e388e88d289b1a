"""Requests made from the document that a live server serves: right and wrong ones, none of them its undoing."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings, strategies as st
from schemathesis.core.result import Ok

from tests.support.api import GUEST
from tests.support.conformance import Conformance
from tests.support.deploying import Deployer
from tests.support.server import ROLES, Server, serving

BUDGET_S: Final = 45.0
"""Of sending, all operations together; what is generated later is not sent."""
EXAMPLES: Final = 12
"""Of each operation, right ones and as many wrong ones."""
OWN: Final = {"namespace": "_"}
KNOWN: Final = {**OWN, "packageName": "pkg", "actionName": "hello", "triggerName": "t", "ruleName": "r"}
PLACES: Final[Sequence[Mapping[str, str]]] = ({}, OWN, KNOWN, KNOWN)
HELLO: Final = "def main(args):\n    return {'hello': args.get('name', 'world')}\n"
MODES: Final = (schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE)


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as one:
        yield one


@pytest.fixture
def live(server: Server) -> Iterator[Deployer]:
    client = server.client()
    client.action("hello", HELLO)
    assert client.call("PUT", "packages/pkg", json={}).status_code == 200
    client.action("pkg/hello", HELLO)
    yield client
    client.close()


class Sender:
    """Sends cases to a server and notes what is wrong with its answers."""

    def __init__(self, live: Deployer, document: dict[str, Any]) -> None:
        self._live = live
        self._conformance = Conformance(document)
        self._end = time.monotonic() + BUDGET_S
        self.sent = 0
        self.wrong: list[str] = []

    def send(self, case: schemathesis.Case[Any], known: Mapping[str, str]) -> None:
        """Send a case.

        Args:
            case: As generated.
            known: What to put in its path, so that it gets beyond 403 and 404.
        """
        if time.monotonic() > self._end:
            return
        case.path_parameters.update({name: known[name] for name in case.path_parameters if name in known})
        reply = case.call(base_url=f"{self._live.url}/api/v1", headers={"Authorization": GUEST}, timeout=15)
        self.sent += 1
        target = str(reply.request.url).removeprefix(self._live.url)
        content_type = next(iter(reply.headers.get("content-type", [])), None)
        problems = self._conformance.problems(case.method, target, reply.status_code, content_type, reply.content)
        if reply.status_code >= 500 and reply.status_code != 502:  # an action may fail
            problems.append(f"status {reply.status_code}")
        if problems:
            self.wrong.append(f"{case.method} {target} {case.body!r:.200}: {problems}: {reply.content[:200]!r}")


@pytest.mark.timeout(90)
def test_no_request_made_from_the_document_is_answered_by_what_it_does_not_say(server: Server, live: Deployer):
    before = {role: server.process(role) for role in ROLES}
    document = requests.get(f"{server.url}/api/v1/api-docs", timeout=15).json()
    sender = Sender(live, document)
    for found in schemathesis.openapi.from_dict(document).get_all_operations():
        assert isinstance(found, Ok), found
        operation = found.ok()
        for mode in MODES:
            if mode is schemathesis.GenerationMode.NEGATIVE and not operation.definition.raw.get("parameters"):
                continue  # nothing in it can be wrong

            @settings(max_examples=EXAMPLES, database=None, suppress_health_check=list(HealthCheck))
            @given(case=operation.as_strategy(generation_mode=mode), known=st.sampled_from(PLACES))
            def send(case: schemathesis.Case[Any], known: Mapping[str, str]) -> None:
                sender.send(case, known)

            send()
    assert sender.wrong == []
    assert sender.sent > 100
    assert {role: server.process(role) for role in ROLES} == before
    live.action("after", HELLO)
    assert live.run("after", name="after") == {"hello": "after"}
