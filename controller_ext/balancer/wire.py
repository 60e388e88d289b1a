"""Frames between workers and the balancer; one connection carries one call at a time.

After PEER_HELLO:

| frame | from | meta | payload |
| --- | --- | --- | --- |
| INVOKE | worker | see `Invoke` | the ActivationMessage, never looked at |
| ACCEPTED | balancer | `{"i": id}`: kept; the wait is over or there is none | |
| ENDED | balancer | `{"i", "id", "status", "at", "n"[, "large"]}` | the completion, as it came from the bus |
| ENDED | balancer | `{"i", "id", "status"}`: it is over, and the store has it or will | |
| REJECTED | balancer | `{"i", "code", "error"}` | |
| CALL | worker | `{"call": number, "op": "charge", "charge_fire", "invokers", "in_flight" or "wrote", …}` | |
| REPLY | balancer | `{"call", "ok", …}`, as at a peer door | |

A repeated INVOKE of an activation that is under way waits for its end, too; it is not started twice.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from action_runtime.wire.codec import encode_head
from action_runtime.wire.errors import ProtocolViolation
from action_runtime.wire.frames import Frame, FrameKind
from controller_ext.balancer.slots import Charge
from controller_ext.runs.ports import Ended
from invoker_ext.contract.records import Activation


@dataclass(slots=True, frozen=True)
class Limits:
    """What a namespace may do; see `Throttles.check`."""

    namespace: str
    """Its uuid."""
    per_minute: int
    concurrent: int
    name: str = ""
    """Of the namespace."""
    subject: str = ""
    """Who invokes."""


@dataclass(slots=True, frozen=True, kw_only=True)
class Invoke:
    """An INVOKE frame, read.

    Attributes:
        activation_id: Of the run.
        headers: For the bus.
        payload: For the bus.
        limits: Whose throttles it counts for.
        counted: False: a component, not throttled, only in flight.
        charge: What it costs its invoker.
        ends_s: How long after it was sent its end is awaited; None: as long as the setting for runs says.
        wait_s: How long the worker waits for the end; None: only until it is accepted.
        spool: Name of spooled parameters, removed with the run; None: none.
        stepwise: A sequence that its worker can run instead if no invoker takes runs.
    """

    activation_id: str
    headers: dict[str, Any]
    payload: bytes | memoryview
    limits: Limits
    counted: bool
    charge: Charge
    ends_s: float | None
    wait_s: float | None
    spool: str | None
    stepwise: bool = False

    @property
    def epoch(self) -> int:
        """Of the run: how often it was given to another owner."""
        epoch = self.headers.get("e", 0)
        return epoch if isinstance(epoch, int) else 0

    def encode(self) -> tuple[bytes, bytes | memoryview]:
        """Return head and payload of the frame."""
        limits, charge = self.limits, self.charge
        meta = {
            "i": self.activation_id,
            "h": self.headers,
            "l": [limits.namespace, limits.per_minute, limits.concurrent, limits.name, limits.subject, self.counted],
            "m": [charge.memory_mb, charge.home, charge.action, charge.concurrency, charge.pulled],
            "e": self.ends_s,
            "w": self.wait_s,
            "s": self.spool,
            "c": self.stepwise,
        }
        return encode_head(FrameKind.INVOKE, meta, len(self.payload)), self.payload

    @staticmethod
    def read(frame: Frame) -> Invoke:
        """Read the frame; raises ProtocolViolation."""
        meta = frame.meta
        try:
            *limits, counted = meta["l"]
            memory_mb, home, action, concurrency, pulled = meta["m"]
            return Invoke(
                activation_id=meta["i"],
                headers=meta["h"],
                payload=frame.payload,
                limits=Limits(*limits),
                counted=counted,
                charge=Charge(memory_mb=memory_mb, home=home, action=action, concurrency=concurrency, pulled=pulled),
                ends_s=meta["e"],
                wait_s=meta["w"],
                spool=meta["s"],
                stepwise=meta["c"],
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ProtocolViolation("an INVOKE is malformed") from error


def ended_head(headers: dict[str, Any], payload_bytes: int) -> bytes:
    """Return the head of an ENDED frame for a completion with these headers."""
    return encode_head(FrameKind.ENDED, {"i": headers["id"], **headers}, payload_bytes)


def read_ended(frame: Frame) -> Ended:
    """Read an ENDED frame; the result is taken over without being parsed.

    Raises:
        ProtocolViolation: Not a completion with a record.
    """
    try:
        at, length = frame.meta["at"], frame.meta["n"]
        payload = bytes(frame.payload)
        result = payload[at : at + length] if length else None
        # One parse of everything around the result.
        document = json.loads(payload[:at] + b"null" + payload[at + length :] if length else payload)
        large = frame.meta.get("large")
        return Ended(Activation.from_fields(document["response"], result), tuple(large) if large else None)
    except (KeyError, TypeError, ValueError) as error:
        raise ProtocolViolation("a completion carries no record") from error
