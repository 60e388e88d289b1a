"""What a message on topic `completed` says, whoever sent it: an invoker of ours with headers, or stock's. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from invoker_ext.bus import Message
from invoker_ext.contract.acks import KEPT, OVER, RESULT, Ack

_SYSTEM_ERROR: Final = 3


@dataclass(slots=True, frozen=True, kw_only=True)
class Told:
    """One message, read.

    Attributes:
        run: Activation id.
        over: The activation has ended: its slot is free.
        whole: The record is in `message`, and its headers say where the result stands.
        system_error: It failed through no fault of the action.
        message: For whoever waits.
        kept: It says no more than that the owner of the run has it.
        instance: Index of the invoker, where a message of stock says it.
        transid: Of a message without our headers.
    """

    run: str
    over: bool
    whole: bool
    system_error: bool
    message: Message
    kept: bool = False
    instance: int | None = None
    transid: Any = None

    @property
    def epoch(self) -> int:
        """Under which whoever says it has the run: less than the run's own is that of an owner that was lost."""
        epoch: int = self.message.headers.get("e", 0)
        return epoch


def told(message: Message) -> Told:
    """Read a message; raises ValueError."""
    headers = message.headers
    run = headers.get("id")
    if isinstance(run, str):
        what = headers.get("ack")
        return Told(
            run=run,
            over=what not in (RESULT, KEPT),
            whole="at" in headers,
            system_error=headers.get("status") == _SYSTEM_ERROR,
            message=message,
            kept=what == KEPT,
        )
    ack = Ack.decode(message.payload)
    over = ack.instance is not None
    completion = ack.completion()
    if completion is not None:
        # Once for those of stock: where the result stands, so that nobody further on parses it.
        found, payload = completion.encode({}) if over else completion.encode_result()
    else:
        found, payload = {"id": ack.activation_id, "status": _SYSTEM_ERROR if ack.system_error else 0}, b""
    extra: dict[str, Any] = {} if over else {"ack": RESULT}
    if completion is None and over:
        extra = {"ack": OVER}
    return Told(
        run=ack.activation_id,
        over=over,
        whole=completion is not None,
        system_error=ack.system_error is True,
        message=Message(payload, {**found, **extra}, message.offset),
        instance=_index(ack.instance),
        transid=ack.transid,
    )


def _index(instance: dict[str, Any] | None) -> int | None:
    index = instance.get("instance") if isinstance(instance, dict) else None
    return index if type(index) is int and index >= 0 else None
