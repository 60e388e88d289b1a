"""Builders of messages."""

from __future__ import annotations

import secrets
from typing import Any

from invoker_ext.contract.messages import ActivationMessage, Identity


def a_user(**limits: Any) -> Identity:
    """Return the guest, with limits of its own if any are given."""
    uuid = "23bc46b1-71f6-4ed5-8c54-816aa4f8c502"
    return Identity(subject="guest", namespace="guest", uuid=uuid, api_key=f"{uuid}:key", limits=limits)


def a_message(action: str = "guest/hello", content: bytes | None = b"{}", **fields: Any) -> ActivationMessage:
    """Return an invocation with a new activation id."""
    values: dict[str, Any] = {
        "transid": ["tid", 1_700_000_000_000],
        "version": "0.0.1",
        "revision": None,
        "user": a_user(),
        "activation_id": secrets.token_hex(16),
        "controller": "0",
        "blocking": True,
        "locked_args": {},
    }
    return ActivationMessage(action=action, content=content, **{**values, **fields})
