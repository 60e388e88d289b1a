"""Limits of the system, of a namespace and of an action."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from controller_ext.entities.errors import Malformed, Rejected

MIB: Final = 1 << 20


@dataclass(slots=True, frozen=True)
class Range:
    """Least, usual and greatest value."""

    least: int
    usual: int
    most: int

    def narrowed(self, least: object, most: object) -> Range:
        """Return the range with bounds of a namespace in place of the system's."""
        return replace(
            self,
            least=least if isinstance(least, int) else self.least,
            most=most if isinstance(most, int) else self.most,
        )


@dataclass(slots=True, frozen=True, kw_only=True)
class SystemLimits:
    """What the server allows; a namespace may have limits of its own, in the names of `GET …/limits`.

    Source: openwhisk-rest.md §1.4, §2.7, §2.8.

    Attributes:
        timeout_ms, memory_mb, logs_mb, concurrency: Of an action.
        parameter_bytes: Of parameters, and of annotations.
        exec_bytes: Of an action's code.
        request_bytes: Of the body of an invocation.
        workflow_bytes: Of the body of an invocation of a native workflow.
        sequence_length: Actions in a sequence.
        invocations_per_minute, concurrent_invocations, fires_per_minute: Of a namespace.
    """

    timeout_ms: Range = field(default=Range(100, 60_000, 300_000))
    memory_mb: Range = field(default=Range(128, 256, 512))
    logs_mb: Range = field(default=Range(0, 10, 10))
    concurrency: Range = field(default=Range(1, 1, 1))
    parameter_bytes: int = MIB
    exec_bytes: int = 48 * MIB
    request_bytes: int = MIB
    workflow_bytes: int = 64 * MIB
    sequence_length: int = 50
    invocations_per_minute: int = 60
    concurrent_invocations: int = 30
    fires_per_minute: int = 60

    def of(self, namespace: Mapping[str, Any]) -> SystemLimits:
        """Return the limits of a namespace.

        Args:
            namespace: Its limits document; may be empty.
        """
        if not namespace:
            return self
        get = namespace.get
        return replace(
            self,
            timeout_ms=self.timeout_ms.narrowed(get("minActionTimeout"), get("maxActionTimeout")),
            memory_mb=self.memory_mb.narrowed(get("minActionMemory"), get("maxActionMemory")),
            logs_mb=self.logs_mb.narrowed(get("minActionLogs"), get("maxActionLogs")),
            concurrency=self.concurrency.narrowed(get("minActionConcurrency"), get("maxActionConcurrency")),
            invocations_per_minute=get("invocationsPerMinute", self.invocations_per_minute),
            concurrent_invocations=get("concurrentInvocations", self.concurrent_invocations),
            fires_per_minute=get("firesPerMinute", self.fires_per_minute),
        )


@dataclass(slots=True, frozen=True)
class _Field:
    """How one limit of an action is called."""

    key: str
    word: str
    sentence: str
    attribute: str


_FIELDS: Final = (
    _Field("timeout", "time", "duration {} milliseconds {} allowed threshold of {} milliseconds", "timeout_ms"),
    _Field("memory", "memory", "memory size {} MB {} allowed threshold of {} MB", "memory_mb"),
    _Field("logs", "log", "log size {} MB {} allowed threshold of {} MB", "logs_mb"),
    _Field("concurrency", "concurrency", "concurrency {} {} allowed threshold of {}", "concurrency"),
)
_WHOLE_WORDS: Final = {"concurrency": "intra concurrency"}


def parse(value: object) -> dict[str, int]:
    """Read the member `limits` of an action's body; what it does not name is left out.

    Raises:
        Malformed: It is no object, or a limit is no whole number.
    """
    if not isinstance(value, dict):
        raise Malformed("no valid json object passed")
    limits: dict[str, int] = {}
    for one in _FIELDS:
        if value.get(one.key) is not None:
            limits[one.key] = _whole(value[one.key], one.word)
    if value.get("instances") is not None:
        limits["instances"] = _whole(value["instances"], "concurrency")
    return limits


def _whole(value: object, word: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Malformed(f"{word} limit malformed")
    if value != value // 1 or abs(value) == float("inf"):
        raise Malformed(f"requirement failed: {_WHOLE_WORDS.get(word, word)} limit must be whole number")
    return int(value)


def check(limits: Mapping[str, int], system: SystemLimits) -> None:
    """Raise Rejected, with the first limit that is out of its range."""
    for one in _FIELDS:
        if one.key not in limits:
            continue
        value, allowed = limits[one.key], getattr(system, one.attribute)
        if value > allowed.most:
            raise Rejected("requirement failed: " + one.sentence.format(value, "exceeds", allowed.most))
        if value < allowed.least:
            raise Rejected("requirement failed: " + one.sentence.format(value, "below", allowed.least))
    if limits.get("instances", 0) > system.concurrent_invocations:
        raise Rejected(
            "Max action instance concurrency must not exceed your namespace concurrency of"
            f" {system.concurrent_invocations}."
        )


def usual(system: SystemLimits) -> dict[str, int]:
    """Return the limits of an action that names none."""
    return {one.key: getattr(system, one.attribute).usual for one in _FIELDS}


def namespace_document(system: SystemLimits, own: Mapping[str, Any]) -> dict[str, Any]:
    """Return the answer of `GET /namespaces/NS/limits`.

    Args:
        system: Already narrowed to the namespace.
        own: The namespace's own limits document; further members of it are shown as they are.
    """
    return {
        **own,
        "invocationsPerMinute": system.invocations_per_minute,
        "concurrentInvocations": system.concurrent_invocations,
        "firesPerMinute": system.fires_per_minute,
        "minActionMemory": system.memory_mb.least,
        "maxActionMemory": system.memory_mb.most,
        "minActionLogs": system.logs_mb.least,
        "maxActionLogs": system.logs_mb.most,
        "minActionTimeout": system.timeout_ms.least,
        "maxActionTimeout": system.timeout_ms.most,
        "minActionConcurrency": system.concurrency.least,
        "maxActionConcurrency": system.concurrency.most,
        "maxParameterSize": f"{system.parameter_bytes} B",
        "maxActionInstances": system.concurrent_invocations,
    }


def root_document(system: SystemLimits) -> dict[str, int]:
    """Return the member `limits` of `GET /`: milliseconds and bytes."""
    document = {
        "actions_per_minute": system.invocations_per_minute,
        "triggers_per_minute": system.fires_per_minute,
        "concurrent_actions": system.concurrent_invocations,
        "sequence_length": system.sequence_length,
    }
    for word, allowed, unit in (
        ("duration", system.timeout_ms, 1),
        ("memory", system.memory_mb, MIB),
        ("logs", system.logs_mb, MIB),
    ):
        for prefix in ("default_", ""):
            document[f"{prefix}min_action_{word}"] = allowed.least * unit
            document[f"{prefix}max_action_{word}"] = allowed.most * unit
    return document
