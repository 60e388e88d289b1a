"""A balancer, an invoker and its door in one object, for tests of the API. Runs plain actions and sequences."""

from __future__ import annotations

import hashlib
import json
import secrets
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from controller_ext import json_text
from controller_ext.runs.control_flow import ControlFlow
from controller_ext.runs.ports import Accepted, Cancelled, ConductorRun, DataGone, Ended, Needs, Prepare, SequenceRun
from invoker_ext.contract.graph import ActionCall, Fault, Graph, Region, Step, WorkflowCall
from invoker_ext.contract.messages import ActivationMessage, Identity, Spool
from invoker_ext.contract.records import Activation
from invoker_ext.dataflow.events import Outcome
from invoker_ext.owner.run_record import refusal_record
from invoker_ext.store import ActivationStore, EntityStore
from tests.support import fake_action


@dataclass
class FakeBalancer:
    """Runs what it is given at once, in the caller's thread or one of its own.

    Attributes:
        messages: Everything it was asked to run.
        charged: Users of refused invocations.
        fired: Users of fires.
        refuse_fire: Raised by the next fires.
        refuse: Raised by the next calls instead of running anything.
        respond: Makes the end of an invocation instead of running it.
        pending: Records that are written when somebody settles.
        large: Results to be pulled.
        running: Runs that can be cancelled and traced, and the namespace of each.
        begun: Ids of the firings of each of them.
        live: Those of their firings that are at work.
        states: Of invokers.
        under_way: How many activations it says are.
        held: What each invoker says it holds.
        spooled: What was put, by name.
    """

    entities: EntityStore
    records: ActivationStore
    messages: list[ActivationMessage] = field(default_factory=list)
    memory_mb: list[int] = field(default_factory=list)
    charged: list[Identity] = field(default_factory=list)
    fired: list[Identity] = field(default_factory=list)
    refuse_fire: Exception | None = None
    refuse: Exception | None = None
    respond: Callable[[ActivationMessage], Accepted | Ended] | None = None
    pending: list[Activation] = field(default_factory=list)
    large: dict[str, bytes] = field(default_factory=dict)
    running: dict[str, str] = field(default_factory=dict)
    begun: list[str] = field(default_factory=list)
    live: list[dict[str, Any]] = field(default_factory=list)
    states: dict[str, str] = field(default_factory=dict)
    under_way: int = 0
    held: list[dict[str, Any]] = field(default_factory=list)
    spooled: dict[str, dict[str, bytes]] = field(default_factory=dict)
    threads: list[threading.Thread] = field(default_factory=list)
    door: str = "/door"

    def invoke(
        self, message: ActivationMessage, needs: Needs, *, wait_s: float | None, repeated: bool = False
    ) -> Accepted | Ended:
        if self.refuse is not None:
            raise self.refuse
        self.messages.append(message)
        self.memory_mb.append(needs.memory_mb)
        if self.respond is not None:
            return self.respond(message)
        ended: list[Activation] = []
        thread = threading.Thread(target=lambda: ended.append(self._run(message)), daemon=True)
        thread.start()
        self.threads.append(thread)
        if wait_s is None:
            return Accepted(message.activation_id)
        thread.join(wait_s)
        return Ended(ended[0]) if ended else Accepted(message.activation_id)

    def charge(self, user: Identity) -> None:
        self.charged.append(user)
        if self.refuse is not None:
            raise self.refuse

    def charge_fire(self, user: Identity) -> None:
        self.fired.append(user)
        if self.refuse_fire is not None:
            raise self.refuse_fire

    def invokers(self) -> Mapping[str, str]:
        return self.states

    def in_flight(self) -> int:
        return self.under_way

    def finish(self) -> None:
        """Wait for everything that runs."""
        for thread in self.threads:
            thread.join(10)

    def settle(self) -> None:
        for thread in self.threads:
            thread.join(1)
        pending, self.pending = self.pending, []
        self.records.put_many(pending)

    def cancel(self, namespace: str, activation_id: str) -> Cancelled:
        return Cancelled.CANCELLED if self.running.get(activation_id) == namespace else Cancelled.UNKNOWN

    def trace(self, namespace: str, activation_id: str) -> dict[str, Any] | None:
        if self.running.get(activation_id) != namespace:
            return None
        return {"ids": self.begun, "live": self.live, "ended": False}

    def usage(self) -> list[dict[str, Any]]:
        return self.held

    def pull(self, door: str, name: str, size_bytes: int) -> Iterator[bytes]:
        if name not in self.large:
            raise DataGone("the result is no longer there")
        data = self.large[name]
        assert len(data) == size_bytes
        for at in range(0, len(data), 1 << 16):
            yield data[at : at + (1 << 16)]

    def put(self, members: Mapping[str, bytes]) -> Spool:
        name = f"{len(self.spooled):032x}"
        self.spooled[name] = dict(members)
        text = b"".join(members.values())
        return Spool("fake", name, len(text), hashlib.sha256(text).hexdigest(), {})

    def put_text(self, content: bytes) -> Spool:
        name = f"{len(self.spooled):032x}"
        self.spooled[name] = json_text.split(content)
        return Spool("fake", name, len(content), hashlib.sha256(content).hexdigest(), None)

    # -- running -----------------------------------------------------------------------------------

    def _run(self, message: ActivationMessage) -> Activation:
        args = json.loads(message.content or b"{}")
        if message.refusal is not None:
            result = json.dumps({"error": message.refusal}).encode()
            record = refusal_record(message, result, Outcome.APPLICATION_ERROR, int(time.time() * 1000))
            self.pending.append(record)
            return record
        if message.graph is None:
            caused = {} if message.cause is None else {"causedBy": "sequence"}
            record = self._action(message, self._call(message), args, message.activation_id, message.cause, caused)
        else:
            document = self.entities.graph(message.graph)
            assert document is not None
            record = self._sequence(message, Graph.from_json(document), args, message.activation_id, message.cause)
        return record

    def _call(self, message: ActivationMessage) -> ActionCall:
        document = self.entities.get(message.action)
        assert document is not None
        limits = document.body["limits"]
        return ActionCall(
            name=message.action,
            version=message.version,
            revision=message.revision,
            kind=document.body["exec"]["kind"],
            memory_mb=limits["memory"],
            timeout_ms=limits["timeout"],
            logs_mb=limits["logs"],
            binding=message.binding,
            init_names=message.init_args,
        )

    def _action(
        self,
        message: ActivationMessage,
        call: ActionCall,
        args: Any,
        activation_id: str,
        cause: str | None,
        extra: Mapping[str, Any],
    ) -> Activation:
        document = self.entities.get(call.name)
        assert document is not None
        started = int(time.time() * 1000)
        env = {
            "__OW_ACTION_NAME": f"/{call.name}",
            "__OW_ACTION_VERSION": call.version,
            "__OW_ACTIVATION_ID": activation_id,
            "__OW_API_HOST": "http://172.17.0.1:3233",
            "__OW_DEADLINE": "1",
            "__OW_NAMESPACE": message.user.namespace,
            "__OW_TRANSACTION_ID": message.transid[0],
            # What the proxy of stock images adds.
            "__OW_EXECUTION_ENV": "openwhisk/action-python-v3.11",
            "__OW_PROXY_VERSION": "1.17.1",
            "__OW_WAIT_FOR_ACK": "1",
        }
        annotations = {one["key"]: one["value"] for one in document.body["annotations"]}
        if annotations.get("provide-api-key", True):
            env["__OW_API_KEY"] = message.user.api_key
        if isinstance(args, dict):
            env.update({name: str(args.pop(name)) for name in call.init_names if name in args})
        with tempfile.TemporaryDirectory() as folder:
            exec_ = document.body["exec"]
            outcome = fake_action.run(exec_, args, env, call.timeout_ms, str(Path(folder) / "out"))
        limits = {"concurrency": 1, "logs": call.logs_mb, "memory": call.memory_mb, "timeout": call.timeout_ms}
        marks: dict[str, Any] = {**extra, "path": call.name, "waitTime": 1, "kind": call.kind}
        marks |= {"timeout": outcome.timeout, "limits": limits}
        if call.binding is not None:
            marks["binding"] = call.binding
        record = self._record(message, call.name, activation_id, started, marks)
        record = replace(
            record,
            version=call.version,
            status=outcome.status,
            result=json.dumps(outcome.result).encode(),
            size=outcome.size,
            logs=outcome.logs,
            cause=cause,
        )
        self.pending.append(record)
        return record

    def _sequence(
        self, message: ActivationMessage, graph: Graph, args: Any, activation_id: str, cause: str | None
    ) -> Activation:
        started = int(time.time() * 1000)
        logs: list[str] = []
        memory = [0]
        record = Activation(
            activation_id=activation_id,
            namespace=message.user.namespace,
            name="",
            subject=message.user.subject,
            version="",
            start_ms=started,
            end_ms=started,
            duration_ms=0,
            status=0,
            result=json.dumps(args).encode(),
            annotations=(),
        )
        total = 0
        for step in graph.steps:
            last = self._component(message, step, json.loads(record.result or b"{}"), activation_id, memory)
            if last is None:
                assert isinstance(step.call, Fault)
                error = json.dumps({"error": step.call.error}).encode()
                record = replace(record, status=step.call.status, result=error, size=None)
                break
            logs.append(last.activation_id)
            total += last.duration_ms or 0
            record = replace(record, status=last.status, result=last.result, size=last.size)
            if last.status:
                break
        marks: dict[str, Any] = {"topmost": cause is None, "path": message.action, "waitTime": 1, "kind": "sequence"}
        marks["limits"] = {"concurrency": 1, "logs": 10, "memory": memory[0], "timeout": 60000}
        if cause is not None:
            marks["causedBy"] = "sequence"
        frame = self._record(message, message.action, activation_id, started, marks)
        record = replace(
            frame,
            status=record.status,
            result=record.result,
            size=record.size,
            logs=tuple(logs),
            duration_ms=total,
            cause=cause,
        )
        self.pending.append(record)
        return record

    def _component(
        self, message: ActivationMessage, step: Step, args: Any, cause: str, memory: list[int]
    ) -> Activation | None:
        match step.call:
            case WorkflowCall(name, version, graph):
                inner = replace(message, action=name, version=version)
                record = self._sequence(inner, graph, args, secrets.token_hex(16), cause)
                memory[0] = max(memory[0], record.annotation("limits")["memory"])
                return record
            case ActionCall(refusal=str(refusal)):
                refused = replace(
                    message,
                    activation_id=secrets.token_hex(16),
                    action=step.call.name,
                    version=step.call.version,
                    cause=cause,
                    graph=None,
                    refusal=refusal,
                )
                return self._run(refused)
            case ActionCall():
                memory[0] = max(memory[0], step.call.memory_mb)
                defaults = json.loads(step.call.parameters)
                merged = {**defaults, **args} if isinstance(args, dict) else args
                extra = {"causedBy": "sequence"}
                return self._action(message, step.call, merged, secrets.token_hex(16), cause, extra)
            case Fault() | Region():
                return None

    def _record(
        self, message: ActivationMessage, name: str, activation_id: str, started: int, marks: Mapping[str, Any]
    ) -> Activation:
        ended = int(time.time() * 1000)
        return Activation(
            activation_id=activation_id,
            namespace=message.user.namespace,
            name=name.rpartition("/")[2],
            subject=message.user.subject,
            version=message.version,
            start_ms=started,
            end_ms=ended,
            duration_ms=ended - started,
            status=0,
            result=None,
            annotations=tuple({"key": key, "value": value} for key, value in marks.items()),
        )


@dataclass
class FakeControlFlow:
    """Notes the sequences and compositions it is asked to run, and runs none.

    Attributes:
        real: Runs them after all.
    """

    prepare: Prepare
    sequences: list[SequenceRun] = field(default_factory=list)
    compositions: list[ConductorRun] = field(default_factory=list)
    real: ControlFlow | None = None

    def run(self, composed: SequenceRun | ConductorRun, *, wait_s: float | None) -> Accepted | Ended:
        if isinstance(composed, SequenceRun):
            self.sequences.append(composed)
        else:
            self.compositions.append(composed)
        if self.real is not None:
            return self.real.run(composed, wait_s=wait_s)
        return Accepted(composed.message.activation_id)
