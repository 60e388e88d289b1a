"""An invoker without containers: takes runs from the local bus and ends each with its own content as the result."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path

from invoker_ext.bus import Message
from invoker_ext.buses.local import LocalBus
from invoker_ext.contract.messages import ActivationMessage, Completion
from invoker_ext.contract.records import Activation
from invoker_ext.door.hello import Role

INSTANCE = {
    "instance": 0,
    "instanceType": "invoker",
    "userMemory": f"{1024 * 1024 * 1024} B",
    "tags": ["dataflow"],
    "dedicatedNamespaces": [],
    "uniqueName": "fake",
}


def a_record(message: ActivationMessage, result: bytes | None = None, status: int = 0) -> Activation:
    """Return the record of a run that took 5 ms."""
    return Activation(
        activation_id=message.activation_id,
        namespace=message.user.namespace,
        name=message.action.rpartition("/")[2],
        subject=message.user.subject,
        version=message.version,
        start_ms=1_700_000_000_000,
        end_ms=1_700_000_000_005,
        duration_ms=5,
        status=status,
        result=result if result is not None else message.content or b"{}",
        annotations=({"key": "limits", "value": {"memory": 256, "timeout": 60000, "logs": 10, "concurrency": 1}},),
        cause=message.cause,
        size=2,
    )


class FakeInvoker:
    """Lives on one loop.

    Attributes:
        messages: All that came, repeated ones too.
        answering: False: runs are kept, but not ended until `answer_all`.
        keeping: False: messages are not even committed.
    """

    def __init__(self, bus_socket: Path, token: str) -> None:
        self.bus = LocalBus(bus_socket, token=token, role=Role.INVOKER)
        self.messages: list[ActivationMessage] = []
        self.answering = True
        self.keeping = True
        self.respond: Callable[[ActivationMessage], Activation] = a_record
        self._ended: set[str] = set()
        self._open: dict[str, ActivationMessage] = {}

    async def start(self) -> None:
        """Connect, take runs, ping once."""
        await self.bus.start()
        self.bus.subscribe("invoker0", self._take)
        self.ping()

    def ping(self, enabled: bool = True) -> None:
        """Send one ping."""
        self.bus.publish("health", Message(json.dumps({"name": INSTANCE, "isEnabled": enabled}).encode()))

    def answer_all(self) -> None:
        """End everything that is open."""
        for message in list(self._open.values()):
            self._answer(message)

    async def close(self) -> None:
        """Disconnect."""
        await self.bus.close()

    def _take(self, delivered: Message) -> None:
        message = ActivationMessage.decode(delivered.payload, delivered.headers.get("c", 0))
        self.messages.append(message)
        if not self.keeping:
            return
        self.bus.commit("invoker0", delivered.offset)
        if message.activation_id in self._ended:
            return
        self._open[message.activation_id] = message
        if self.answering:
            self._answer(message)

    def _answer(self, message: ActivationMessage) -> None:
        self._ended.add(message.activation_id)
        del self._open[message.activation_id]
        headers, payload = Completion(message.transid, self.respond(message)).encode(INSTANCE)
        self.bus.publish(f"completed{message.controller}", Message(payload, headers))


async def _serve(bus_socket: Path, token: str) -> None:
    invoker = FakeInvoker(bus_socket, token)
    await invoker.start()
    while True:
        invoker.ping()
        await asyncio.sleep(1.0)


if __name__ == "__main__":
    import uvloop

    uvloop.run(_serve(Path(sys.argv[1]), sys.argv[2]))
