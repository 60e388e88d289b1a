"""Limits of the system, of a namespace and of an action."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from controller_ext.entities.errors import Malformed, Rejected

MIB: Final = 1 << 20
_SIZE: Final = re.compile(r"(\d{1,15}) ?(B|K|KB|M|MB|G|GB)", re.IGNORECASE | re.ASCII)
_UNITS: Final = {"B": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


def parse_size(text: object) -> int | None:
    """Return the bytes of a size as stock writes it (`1048576 B`, `1 MB`); None: it is not one."""
    match = _SIZE.fullmatch(text) if isinstance(text, str) else None
    return None if match is None else int(match[1]) * _UNITS[match[2][0].upper()]


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

    Source: the defaults of Apache OpenWhisk's `application.conf`.

    Attributes:
        timeout_ms, memory_mb, logs_mb, concurrency: Of an action.
        parameter_bytes: Of parameters, and of annotations.
        exec_bytes: Of an action's code.
        request_bytes: Of the body of an invocation.
        workflow_bytes: Of the body of an invocation of a native workflow.
        sequence_length: Actions in a sequence.
        invocations_per_minute, concurrent_invocations, fires_per_minute: Of a namespace.
        action_instances: Containers of one action; None: as many as activations may be in flight.
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
    action_instances: int | None = None

    @property
    def instances_most(self) -> int:
        """How many containers an action may ask for: never more than activations may be in flight."""
        most = self.concurrent_invocations
        return most if self.action_instances is None else min(most, self.action_instances)

    def of(self, namespace: Mapping[str, Any]) -> SystemLimits:
        """Return the limits of a namespace.

        Args:
            namespace: Its limits document; may be empty.
        """
        if not namespace:
            return self
        get = namespace.get
        parameter_bytes = parse_size(get("maxParameterSize"))
        return replace(
            self,
            timeout_ms=self.timeout_ms.narrowed(get("minActionTimeout"), get("maxActionTimeout")),
            memory_mb=self.memory_mb.narrowed(get("minActionMemory"), get("maxActionMemory")),
            logs_mb=self.logs_mb.narrowed(get("minActionLogs"), get("maxActionLogs")),
            concurrency=self.concurrency.narrowed(get("minActionConcurrency"), get("maxActionConcurrency")),
            invocations_per_minute=get("invocationsPerMinute", self.invocations_per_minute),
            concurrent_invocations=get("concurrentInvocations", self.concurrent_invocations),
            fires_per_minute=get("firesPerMinute", self.fires_per_minute),
            parameter_bytes=self.parameter_bytes if parameter_bytes is None else parameter_bytes,
            action_instances=get("maxActionInstances", self.action_instances),
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
        raise Malformed("Object expected in field 'timeout'")
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


def violation(limits: Mapping[str, int], system: SystemLimits) -> str | None:
    """Return the text about the first limit that is out of its range; None: all are within."""
    for one in _FIELDS:
        if one.key not in limits:
            continue
        value, allowed = limits[one.key], getattr(system, one.attribute)
        if value > allowed.most:
            return "requirement failed: " + one.sentence.format(value, "exceeds", allowed.most)
        if value < allowed.least:
            return "requirement failed: " + one.sentence.format(value, "below", allowed.least)
    return None


def check(limits: Mapping[str, int], system: SystemLimits) -> None:
    """Raise Rejected, with the first limit that is out of its range."""
    text = violation(limits, system)
    if text is not None:
        raise Rejected(text)
    if limits.get("instances", 0) > system.instances_most:
        raise Rejected(
            f"Max action instance concurrency must not exceed your namespace concurrency of {system.instances_most}."
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
        "maxActionInstances": system.instances_most,
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
