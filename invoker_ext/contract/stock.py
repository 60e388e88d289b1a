"""Pings, cache invalidations and events of stock's `Message.scala`. Pure.

Each type reads and writes stock's JSON; members that it does not know are dropped, members that may be missing are left
out when they are.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

RUNS_TAG: Final = "dataflow"
"""Among the tags of an invoker that takes runs, not only plain actions."""
_SIZE: Final = re.compile(r" ?(\d+) ?(GB|MB|KB|B|G|M|K)", re.IGNORECASE)
_UNITS: Final = {"B": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


def size_bytes(text: str) -> int:
    """Read a ByteSize (`"1024 MB"`, `"1073741824 B"`); raises ValueError."""
    found = _SIZE.fullmatch(text)
    if found is None:
        raise ValueError(f"no size: {text!r}")
    return int(found[1]) * _UNITS[found[2][0].upper()]


@dataclass(slots=True, frozen=True, kw_only=True)
class InvokerId:
    """Stock's InvokerInstanceId.

    Attributes:
        instance: Its index.
        memory_bytes: For actions.
        tags: What it says of itself.
        namespaces: To which it is dedicated; none: to all.
        unique_name: Of its host.
        displayed_name: For people.
        busy_bytes: Of its memory; stock's schedulers use it.
    """

    instance: int
    memory_bytes: int
    tags: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ()
    unique_name: str | None = None
    displayed_name: str | None = None
    busy_bytes: int | None = None

    @property
    def takes_runs(self) -> bool:
        """Whether it is one of ours."""
        return RUNS_TAG in self.tags

    def to_json(self) -> dict[str, Any]:
        """Return stock's shape; sizes in bytes, as stock writes what it was configured with."""
        document: dict[str, Any] = {
            "instance": self.instance,
            "instanceType": "invoker",
            "userMemory": f"{self.memory_bytes} B",
            "tags": list(self.tags),
            "dedicatedNamespaces": list(self.namespaces),
        }
        if self.unique_name is not None:
            document["uniqueName"] = self.unique_name
        if self.displayed_name is not None:
            document["displayedName"] = self.displayed_name
        if self.busy_bytes is not None:
            document["busyMemory"] = f"{self.busy_bytes} B"
        return document

    @staticmethod
    def from_json(document: dict[str, Any]) -> InvokerId:
        """Read stock's shape, of any version; raises KeyError, TypeError or ValueError."""
        instance = document["instance"]
        if type(instance) is not int or instance < 0 or document["instanceType"] != "invoker":
            raise ValueError("no invoker")
        busy = document.get("busyMemory")
        return InvokerId(
            instance=instance,
            memory_bytes=size_bytes(document["userMemory"]),
            tags=tuple(document.get("tags") or ()),
            namespaces=tuple(document.get("dedicatedNamespaces") or ()),
            unique_name=document.get("uniqueName"),
            displayed_name=document.get("displayedName"),
            busy_bytes=None if busy is None else size_bytes(busy),
        )


@dataclass(slots=True, frozen=True)
class PingMessage:
    """An invoker is there, and takes work or not."""

    invoker: InvokerId
    enabled: bool = True

    def encode(self) -> bytes:
        """Return the JSON."""
        return orjson.dumps({"name": self.invoker.to_json(), "isEnabled": self.enabled})

    @staticmethod
    def decode(payload: bytes | memoryview) -> PingMessage:
        """Read the JSON; raises ValueError."""
        document = json_object(payload)
        try:
            return PingMessage(InvokerId.from_json(document["name"]), document.get("isEnabled") is not False)
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a ping: {error!r}") from error


@dataclass(slots=True, frozen=True)
class CacheInvalidation:
    """An entity was changed.

    Attributes:
        main_id: Of its document.
        instance: Who changed it: `controller` and its id.
        secondary_id: Of keys of subjects.
    """

    main_id: str
    instance: str
    secondary_id: str | None = None

    def encode(self) -> bytes:
        """Return the JSON."""
        key = {"mainId": self.main_id}
        if self.secondary_id is not None:
            key["secondaryId"] = self.secondary_id
        return orjson.dumps({"key": key, "instanceId": self.instance})

    @staticmethod
    def decode(payload: bytes | memoryview) -> CacheInvalidation:
        """Read the JSON; raises ValueError."""
        document = json_object(payload)
        try:
            key = document["key"]
            return CacheInvalidation(key["mainId"], document["instanceId"], key.get("secondaryId"))
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a cache invalidation: {error!r}") from error


@dataclass(slots=True, frozen=True, kw_only=True)
class Event:
    """Something that an operator counts.

    Attributes:
        source: `invoker0`, `controller0`.
        kind: `Activation` or `Metric`.
        body: As stock has it.
        subject: Who.
        namespace: Where.
        uuid: Of the namespace.
        at_ms: Epoch milliseconds.
    """

    source: str
    kind: str
    body: dict[str, Any] = field(hash=False)
    subject: str
    namespace: str
    uuid: str
    at_ms: int

    def encode(self) -> bytes:
        """Return the JSON."""
        return orjson.dumps(
            {
                "source": self.source,
                "subject": self.subject,
                "namespace": self.namespace,
                "userId": self.uuid,
                "eventType": self.kind,
                "timestamp": self.at_ms,
                "body": self.body,
            }
        )

    @staticmethod
    def decode(payload: bytes | memoryview) -> Event:
        """Read the JSON; raises ValueError."""
        document = json_object(payload)
        try:
            return Event(
                source=document["source"],
                kind=document["eventType"],
                body=dict(document["body"]),
                subject=document["subject"],
                namespace=document["namespace"],
                uuid=document["userId"],
                at_ms=document["timestamp"],
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"not an event: {error!r}") from error


def json_object(payload: bytes | memoryview) -> dict[str, Any]:
    """Read a message that is a JSON object; raises ValueError."""
    document = json.loads(bytes(payload))
    if not isinstance(document, dict):
        raise ValueError("not a JSON object")
    return document
