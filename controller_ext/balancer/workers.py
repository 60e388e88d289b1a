"""The socket on which the balancer serves the workers."""

from __future__ import annotations

from typing import Any, Protocol

from action_runtime.wire.codec import encode
from action_runtime.wire.errors import DataflowError, ProtocolViolation
from action_runtime.wire.frames import Frame, FrameKind
from controller_ext.balancer.dispatcher import Dispatcher
from controller_ext.balancer.wire import Invoke, Limits, ended_head
from invoker_ext.door.errors import UnknownCall
from invoker_ext.door.framed import AdmittedProtocol


class Hears(Protocol):
    """Who passes on what workers have to tell."""

    def wrote(self, doc_id: str) -> None:
        """An entity was written."""

    def event(self, payload: bytes) -> None:
        """One of stock's user events."""


class WorkerConnection(AdmittedProtocol):
    """One connection of a worker; a `dispatcher.Waiter`."""

    def __init__(
        self,
        dispatcher: Dispatcher,
        connections: set[WorkerConnection],
        token: str,
        hears: Hears,
    ) -> None:
        """Serve a connection.

        Args:
            dispatcher: Takes invocations.
            connections: All there are; this one is added.
            token: The installation's secret.
            hears: Told of what is for others than invokers.
        """
        super().__init__(token)
        self._dispatcher = dispatcher
        self._hears = hears
        self._connections = connections
        connections.add(self)

    def on_call(self, frame: Frame) -> None:
        """Take an INVOKE or a CALL."""
        if frame.kind is FrameKind.INVOKE:
            self._dispatcher.invoke(self, Invoke.read(frame))
        elif frame.kind is FrameKind.CALL:
            self._answer(frame.meta)
        else:
            raise ProtocolViolation(f"{frame.kind.name} is not for the balancer")

    def on_lost(self) -> None:
        """Give up the worker's wait."""
        self._connections.discard(self)
        self._dispatcher.detach(self)

    def accepted(self, activation_id: str) -> None:
        """See `dispatcher.Waiter`."""
        self.send(encode(FrameKind.ACCEPTED, {"i": activation_id}))

    def ended(self, headers: dict[str, Any], payload: bytes | memoryview) -> None:
        """See `dispatcher.Waiter`; no copy of the payload."""
        self.send(ended_head(headers, len(payload)), payload)

    def rejected(self, activation_id: str, code: str, text: str) -> None:
        """See `dispatcher.Waiter`."""
        self.send(encode(FrameKind.REJECTED, {"i": activation_id, "code": code, "error": text}))

    def _answer(self, call: dict[str, Any]) -> None:
        number = call.get("call")
        try:
            answer = {"ok": True, **self._call(call)}
        except DataflowError as error:
            answer = {"ok": False, "code": error.code, "error": str(error), "retryable": error.retryable}
        self.send(encode(FrameKind.REPLY, {**answer, "call": number}))

    def _call(self, call: dict[str, Any]) -> dict[str, Any]:
        match call.get("op"):
            case "charge":
                self._dispatcher.charge(_limits(call.get("limits")))
                return {}
            case "charge_fire":
                self._dispatcher.charge_fire(_fires(call.get("limits")))
                return {}
            case "invokers":
                return {"invokers": self._dispatcher.fleet.states()}
            case "doors":
                return {"doors": self._dispatcher.fleet.doors()}
            case "in_flight":
                return {"count": self._dispatcher.in_flight()}
            case "wrote":
                self._hears.wrote(str(call.get("id")))
                return {}
            case "event":
                self._hears.event(str(call.get("event")).encode())
                return {}
            case op:
                raise UnknownCall(op)


def _limits(values: object) -> Limits:
    match values:
        case [str(namespace), int(per_minute), int(concurrent), str(name), str(subject)]:
            return Limits(namespace, per_minute, concurrent, name, subject)
        case _:
            raise ProtocolViolation("the limits of a charge are malformed")


def _fires(values: object) -> Limits:
    match values:
        case [str(namespace), int(per_minute), str(name), str(subject)]:
            return Limits(namespace, per_minute, 0, name, subject)
        case _:
            raise ProtocolViolation("the limits of a fire are malformed")
