"""The message of a run whose owner is lost, for its next one. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from controller_ext.balancer.wire import Invoke
from invoker_ext.bus import Message
from invoker_ext.contract.messages import ActivationMessage

DROP: Final = {"drop": True}
"""Header of a copy for the owner that was lost: should it come back, it lets go of the run."""


def under_next_epoch(invoke: Invoke) -> Invoke:
    """Return an invocation as it goes to another owner; raises ValueError if it is no ActivationMessage."""
    message = ActivationMessage.decode(invoke.payload, invoke.headers.get("c", 0))
    message = replace(message, epoch=message.epoch + 1)
    headers = {**invoke.headers, **message.headers(), "e": message.epoch}
    return replace(invoke, payload=message.encode(), headers=headers)


def farewell(invoke: Invoke) -> Message:
    """Return what the owner that was lost is told."""
    return Message(invoke.payload, {**invoke.headers, **DROP})
