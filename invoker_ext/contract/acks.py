"""What an invoker says of an activation to its controller, as stock does. Pure.

`transid` is passed on verbatim: a stock controller knows its health tests by it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any, Final

import orjson

from invoker_ext.contract.messages import ActivationMessage, Completion
from invoker_ext.contract.records import Activation
from invoker_ext.contract.stock import json_object

_HEALTH_TEST: Final = "whisk.system/invokerHealthTestAction"
_SYSTEM_ERROR: Final = 3

RESULT: Final = "result"
"""Header `ack` of a message that frees no slot."""
OVER: Final = "over"
"""Header `ack` of a message without a result: it came before, or the store has it."""
KEPT: Final = "kept"
"""Header `ack` of a message that only says that the owner of a run has it in its journal, with its parameters."""

Published = tuple[dict[str, Any], bytes]
"""Headers and payload of a message."""


@dataclass(slots=True, frozen=True, kw_only=True)
class Ack:
    """What an invoker says of an activation: its result, that it is over, or both.

    Attributes:
        transid: Of the message, verbatim.
        activation_id: Of the activation.
        response: Its record as JSON; None: the store has it, or it comes by itself.
        has_response: The message is about the result, be it only by saying that the store has it.
        instance: Who says that the activation is over, as JSON; None: nobody yet.
        system_error: It failed through no fault of the action; None: not said.
    """

    transid: list[Any]
    activation_id: str
    response: dict[str, Any] | None = None
    has_response: bool = False
    instance: dict[str, Any] | None = None
    system_error: bool | None = None

    def encode(self) -> bytes:
        """Return the JSON: stock's ResultMessage, CompletionMessage or CombinedCompletionAndResultMessage."""
        document: dict[str, Any] = {"transid": self.transid}
        if self.has_response:
            document["response"] = self.activation_id if self.response is None else self.response
        else:
            document["activationId"] = self.activation_id
        if self.system_error is not None:
            document["isSystemError"] = self.system_error
        if self.instance is not None:
            document["instance"] = self.instance
        return orjson.dumps(document)

    @staticmethod
    def decode(payload: bytes | memoryview) -> Ack:
        """Read the JSON, told apart as stock does by what is there; raises ValueError."""
        document = json_object(payload)
        try:
            response = document.get("response")
            if response is None:
                activation_id = document["activationId"]
            else:
                activation_id = response if isinstance(response, str) else response["activationId"]
            if not isinstance(activation_id, str) or (response is None and document.get("instance") is None):
                raise ValueError("neither a result nor an end")
            return Ack(
                transid=document["transid"],
                activation_id=activation_id,
                response=response if isinstance(response, dict) else None,
                has_response=response is not None,
                instance=document.get("instance"),
                system_error=document.get("isSystemError"),
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"not an acknowledgement: {error!r}") from error

    def completion(self) -> Completion | None:
        """Return the result as our own invokers tell it; None: it is not in here. Raises ValueError."""
        if self.response is None:
            return None
        response = self.response.get("response")
        if not isinstance(response, dict):
            raise ValueError("a record without a response")
        result = json.dumps(response["result"]).encode() if "result" in response else None
        return Completion(self.transid, Activation.from_fields(self.response, result))


def is_health_test(message: ActivationMessage) -> bool:
    """Return whether a controller asks by this message only whether the invoker works."""
    return message.action.startswith(_HEALTH_TEST)


def healthy(message: ActivationMessage, instance: dict[str, Any], *, system_error: bool) -> Published:
    """Return the answer to a health test."""
    ack = Ack(
        transid=message.transid,
        activation_id=message.activation_id,
        instance=instance,
        system_error=system_error,
    )
    return {}, ack.encode()


def result_of(completion: Completion, bound: int | None = None) -> Published | None:
    """Return what tells the result of an activation and nothing of its end; None: the store alone has the result.

    Args:
        completion: Its end, or what of it is known when its logs are not collected yet.
        bound: Bytes of a message; a longer one names the activation only, and who waits reads the store. None: none.
    """
    record = completion.activation
    if completion.stock_blocking is None:
        return _result(completion, bound)
    if record.place is not None and record.result is None:
        return None
    return _result(_told(completion), bound)


def whole_of(completion: Completion, instance: dict[str, Any]) -> Published:
    """Return what tells a controller of ours result and end at once."""
    record = completion.activation
    if completion.stock_blocking is None:
        return completion.encode(instance)
    if record.place is not None and record.result is None:
        return end_of(completion, instance)  # the store alone has the result
    return _told(completion).encode(instance)


def end_of(completion: Completion, instance: dict[str, Any]) -> Published:
    """Return what tells that an activation is over whose result is told."""
    headers, payload = _headed(OVER, completion.activation, _over(completion, instance))
    return (headers | {"e": completion.epoch} if completion.epoch else headers), payload


def acknowledgements(
    completion: Completion, *, blocking: bool, instance: dict[str, Any], bound: int
) -> list[Published]:
    """Return what stock's invoker says of a plain action, in order: its `AcknowledgementMessage`s.

    Args:
        completion: Its end.
        blocking: Somebody waits for the result.
        instance: Who says it.
        bound: Bytes of a message; a longer one names the activation only, and who waits reads the store.
    """
    record = completion.activation
    system_error = record.status == _SYSTEM_ERROR
    limits = record.annotation("limits")
    ran = limits is not None and not system_error
    over = _over(completion, instance)
    if not blocking:
        # Nobody waits: the end alone, by a combined message with an id where stock never came to run anything.
        return [_headed(OVER, record, over if ran else replace(over, has_response=True))]
    if record.place is not None and record.result is None:
        return [_headed(OVER, record, replace(over, has_response=True))]  # the store alone has it
    if ran and limits is not None and limits.get("logs", 0) > 0:
        return [_result(_told(completion), bound), end_of(completion, instance)]
    headers, payload = _told(completion).encode(instance)
    if len(payload) > bound:
        return [_headed(OVER, record, replace(over, has_response=True))]
    return [(headers, payload)]


def _told(completion: Completion) -> Completion:
    """Return what a controller is told of the end of a plain action."""
    record = replace(completion.activation, logs=(), place=None, dataflow=None, unstored=False)
    return Completion(completion.transid, record)


def _result(completion: Completion, bound: int | None) -> Published:
    headers, payload = completion.encode_result()
    if bound is not None and len(payload) > bound:
        record = completion.activation
        ack = Ack(transid=completion.transid, activation_id=record.activation_id, has_response=True)
        return _headed(RESULT, record, ack)
    return {**headers, "ack": RESULT}, payload


def _over(completion: Completion, instance: dict[str, Any]) -> Ack:
    record = completion.activation
    return Ack(
        transid=completion.transid,
        activation_id=record.activation_id,
        instance=instance,
        system_error=record.status == _SYSTEM_ERROR,
    )


def _headed(what: str, record: Activation, ack: Ack) -> Published:
    return {"id": record.activation_id, "status": record.status, "ack": what}, ack.encode()
