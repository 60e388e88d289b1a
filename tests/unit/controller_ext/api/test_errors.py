from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator

import pytest

import action_runtime
import controller_ext
import invoker_ext
from action_runtime.wire.errors import Blame, DataflowError
from controller_ext.api.errors import status_and_text, status_of_record
from controller_ext.entities.errors import Malformed
from controller_ext.runs.ports import NoInvoker, Throttled
from controller_ext.workflow.errors import DefinitionError, Finding, WorkflowBroken, WorkflowInvalid
from invoker_ext.store import RevisionConflict, StoreUnavailable


def every_error() -> Iterator[type[DataflowError]]:
    for package in (action_runtime, invoker_ext, controller_ext):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)
    waiting = [DataflowError]
    while waiting:
        kind = waiting.pop()
        waiting += kind.__subclasses__()
        yield kind


def test_codes_are_unique():
    codes: dict[str, type[DataflowError]] = {}
    for kind in every_error():
        if "code" in vars(kind):
            assert codes.setdefault(kind.code, kind) is kind


def test_every_error_has_a_status_that_tells_who_must_act():
    for kind in every_error():
        error = kind.__new__(kind)
        error.args = ("why",)
        if isinstance(error, DefinitionError):
            continue  # made below, with its findings
        status, text = status_and_text(error)
        assert (400 <= status < 500) == (kind.blame is Blame.CALLER), kind
        assert text


@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        (Malformed("x"), 400, "The request content was malformed:\nx"),
        (RevisionConflict("ns/a"), 409, "Concurrent modification to resource detected."),
        (
            WorkflowBroken("ns/wf", [Finding(("steps", "a"), "it is gone", 3)]),
            400,
            "The workflow '/ns/wf' cannot run:\nsteps.a (line 3): it is gone",
        ),
        (Throttled("Too many requests"), 429, "Too many requests"),
        (
            NoInvoker("none is up"),
            503,
            "The server is currently unavailable (because it is overloaded or down for maintenance).",
        ),
        (
            StoreUnavailable("/data/entities.db cannot be used"),
            503,
            "The server is currently unavailable (because it is overloaded or down for maintenance).",
        ),
        (DataflowError("secret"), 500, "There was an internal server error."),
    ],
)
def test_an_error_becomes_stocks_status_and_text(error: DataflowError, status: int, text: str):
    assert status_and_text(error) == (status, text)


def test_the_status_of_a_record_tells_success_from_faults_of_the_action_and_of_the_platform():
    assert [status_of_record(status) for status in range(4)] == [200, 502, 502, 500]


def test_an_invalid_workflow_tells_all_its_findings_with_their_paths():
    error = WorkflowInvalid([Finding(("steps", "a"), "no action", 3), Finding((), "no result")])
    status, text = status_and_text(error)
    assert status == 400
    assert "steps.a (line 3): no action" in text
    assert "workflow: no result" in text
