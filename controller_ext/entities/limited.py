"""What stock looks at first in the body of any PUT, whatever the entity is: code, parameters, annotations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from controller_ext.entities import code, parameters
from controller_ext.entities.errors import Malformed, TooLarge
from controller_ext.entities.limits import SystemLimits
from controller_ext.entities.parameters import Parameters
from controller_ext.entities.runtimes import Manifest


@dataclass(slots=True, frozen=True, kw_only=True)
class Limited:
    """The body of a PUT of which this much was read; None: nothing about it.

    Attributes:
        body: All of it.
    """

    body: dict[str, Any]
    exec: dict[str, Any] | None
    parameters: Parameters | None
    annotations: Parameters | None


def read(value: object, manifest: Manifest, namespace: str, system: SystemLimits) -> Limited:
    """Read the body of a PUT.

    Args:
        value: Any JSON value.
        manifest: Which kinds there are.
        namespace: The caller's.
        system: Limits of the caller's namespace.

    Raises:
        Malformed: It is no object, or one of these members is none.
        Rejected: The kind of the code is deprecated.
        TooLarge: Code, parameters or annotations are above their bound.
    """
    if not isinstance(value, dict):
        raise Malformed("Object expected in field 'exec'")
    limited = Limited(
        body=value,
        exec=None if value.get("exec") is None else code.parse(value["exec"], manifest, namespace),
        parameters=parameters.parse_optional(value.get("parameters")),
        annotations=parameters.parse_optional(value.get("annotations")),
    )
    _check_sizes(limited, system)
    return limited


def _check_sizes(limited: Limited, system: SystemLimits) -> None:
    size = 0 if limited.exec is None else code.size_bytes(limited.exec)
    if size > system.exec_bytes:
        raise TooLarge("exec", size, system.exec_bytes)
    for field, array in (("parameters", limited.parameters), ("annotations", limited.annotations)):
        size = parameters.size_bytes(array or [])
        if size > system.parameter_bytes:
            raise TooLarge(field, size, system.parameter_bytes)
