"""A control flow over a scripted balancer, for tests of sequences and compositions."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from controller_ext.runs.control_flow import ControlFlow
from controller_ext.runs.ports import (
    Accepted,
    ConductorRun,
    Ended,
    Gap,
    Needs,
    OnlyStock,
    Prepared,
    SequenceRun,
    Throttled,
)
from invoker_ext.contract.messages import ActivationMessage, Identity
from invoker_ext.contract.records import Activation
from invoker_ext.store import StoreUnavailable
from tests.support.fake_invoker import a_record
from tests.support.messages import a_message

NOW_MS = 1_700_000_000_500


class ScriptedBalancer:
    """Ends each run with what `respond` says."""

    def __init__(self) -> None:
        self.messages: list[ActivationMessage] = []
        self.waits: list[float | None] = []
        self.respond: Callable[[ActivationMessage], Accepted | Ended] = lambda message: Ended(a_record(message))
        self.throttled = False

    def invoke(
        self, message: ActivationMessage, needs: Needs, *, wait_s: float | None, repeated: bool = False
    ) -> Accepted | Ended:
        self.messages.append(message)
        self.waits.append(wait_s)
        return self.respond(message)

    def charge(self, user: Identity) -> None:
        if self.throttled:
            raise Throttled("Too many requests in the last minute (count: 1, allowed: 0).")

    def charge_fire(self, user: Identity) -> None:
        raise AssertionError("control flow fires no trigger")

    def invokers(self) -> Mapping[str, str]:
        return {}

    def in_flight(self) -> int:
        return 0


class Records:
    """Keeps what is written, while it is not away."""

    def __init__(self) -> None:
        self.written: list[Activation] = []
        self.away = False

    def put_many(self, records: Sequence[Activation]) -> None:
        if self.away:
            raise StoreUnavailable("away")
        self.written += records


class Bench:
    """A control flow whose components are named in `sequences` or `conductors`, or are plain actions.

    Attributes:
        sequences: Name → its components.
        fallbacks: Name → components of a sequence that no invoker takes.
        conductors: Name → what each of its runs results in, by what it gets.
        missing: Names of which there is no action.
        stepwise: Name → how it was last asked for.
    """

    def __init__(self) -> None:
        self.balancer = ScriptedBalancer()
        self.records = Records()
        self.sequences: dict[str, tuple[str, ...]] = {}
        self.fallbacks: dict[str, tuple[str, ...]] = {}
        self.conductors: dict[str, Callable[[dict[str, Any]], object]] = {}
        self.missing: dict[str, Gap] = {}
        self.stepwise: dict[str, bool] = {}
        self.balancer.respond = self.respond
        self.flow = ControlFlow(
            self.balancer,
            self.prepare,
            self.records,  # type: ignore[arg-type]
            threads=1,
            now_ms=lambda: NOW_MS,
        )

    def prepare(self, name: str, content: bytes | None, parent: ActivationMessage, *, stepwise: bool) -> Prepared | Gap:
        self.stepwise[name] = stepwise
        if name in self.missing:
            return self.missing[name]
        message = a_message(name, content, cause=parent.activation_id)
        nested = self.sequences.get(name)
        composed: SequenceRun | ConductorRun | None = None
        if nested is not None:
            composed = SequenceRun(message=message, components=nested)
        elif name in self.conductors:
            composed = self.conductor(name, message)
        components = self.fallbacks.get(name)
        fallback = None if components is None else SequenceRun(message=message, components=components)
        return Prepared(message, Needs(memory_mb=256, timeout_s=60.0), composed, fallback)

    def conductor(self, name: str, message: ActivationMessage, **more: Any) -> ConductorRun:
        """Return a composition; runs of its conductor result in what `conductors` says."""
        return ConductorRun(message=message, **{"defaults": {}, "needs": Needs(memory_mb=128, timeout_s=7.0), **more})

    def respond(self, message: ActivationMessage) -> Accepted | Ended:
        """End a run: of a conductor as it says, of anything else with what it was given."""
        if message.action in self.fallbacks:
            raise OnlyStock("only stock")
        script = self.conductors.get(message.action)
        if script is None:
            return Ended(a_record(message))
        result = script(json.loads(message.content or b"{}"))
        status = 1 if isinstance(result, dict) and "error" in result else 0
        return Ended(a_record(message, result=json.dumps(result).encode(), status=status))

    def compose(self, script: Callable[[dict[str, Any]], object], content: bytes = b"{}", **more: Any) -> Activation:
        """Run a conductor `guest/c` and return the record of the composition."""
        self.conductors["guest/c"] = script
        ended = self.flow.run(self.conductor("guest/c", a_message("guest/c", content), **more), wait_s=5.0)
        assert isinstance(ended, Ended)
        return ended.activation

    def run(self, *components: str, content: bytes = b'{"n":1}') -> Activation:
        """Run a sequence `guest/seq` and return its record."""
        sequence = SequenceRun(message=a_message("guest/seq", content), components=components)
        ended = self.flow.run(sequence, wait_s=5.0)
        assert isinstance(ended, Ended)
        return ended.activation


def annotations_of(record: Activation) -> dict[str, Any]:
    """Return the annotations of a record, in their order."""
    return {one["key"]: one["value"] for one in record.annotations}
