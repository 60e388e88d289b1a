"""What the annotations of an action say, for controller and invoker alike."""

from __future__ import annotations


def truthy(value: object) -> bool:
    """Return whether stock takes a JSON value for true: an empty list or object counts as true."""
    return isinstance(value, list | dict) or bool(value)
