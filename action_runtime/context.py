"""What an action may know of the activation it runs in. The environment is the truth, as in the stock runtime."""

from __future__ import annotations

import os
import time


def _text(name: str) -> str:
    return os.environ.get(f"__OW_{name}", "")


class Context:
    """The running activation; in each field the text is empty where the platform gave none."""

    __slots__ = ()

    @property
    def activation_id(self) -> str:
        """32 hexadecimal digits."""
        return _text("ACTIVATION_ID")

    @property
    def namespace(self) -> str:
        """In whose name the action runs."""
        return _text("NAMESPACE")

    @property
    def action_name(self) -> str:
        """Full name, with a leading slash."""
        return _text("ACTION_NAME")

    @property
    def action_version(self) -> str:
        """`0.0.3`."""
        return _text("ACTION_VERSION")

    @property
    def transaction_id(self) -> str:
        """Names the request that caused the activation."""
        return _text("TRANSACTION_ID")

    @property
    def api_host(self) -> str:
        """URL of the platform's API."""
        return _text("API_HOST")

    @property
    def api_key(self) -> str:
        """Key of the namespace; empty unless the action is annotated `provide-api-key`."""
        return _text("API_KEY")

    @property
    def deadline_ms(self) -> int | None:
        """When the platform ends the activation: milliseconds of Unix time; None if it did not say."""
        text = _text("DEADLINE")
        return int(text) if text.isdecimal() else None

    @property
    def remaining_s(self) -> float | None:
        """Seconds until the deadline, never below 0; None if there is no deadline."""
        deadline = self.deadline_ms
        return None if deadline is None else max(0.0, deadline / 1000 - time.time())

    def __repr__(self) -> str:
        return f"<context of {self.action_name or 'no action'}, activation {self.activation_id or 'none'}>"


context = Context()
