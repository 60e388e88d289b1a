"""A job that only loads an action's code, ahead of the step that will run it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from invoker_ext.containers.job import Failure, Job, Report, Timing, Warmth
from invoker_ext.contract.graph import ActionCall
from invoker_ext.contract.messages import Identity
from invoker_ext.sink.datum import Stored


class _Nobody:
    """Hears of a job that never runs."""

    def began(self, timing: Timing, warmth: Warmth, container: str) -> None:
        """See Listener."""

    def emitted(self, output: str, index: int, how: str, value: Stored) -> None:
        """See Listener."""
        value.release()

    def answered(self, report: Report, at: float) -> None:
        """See Listener."""

    def returned(self, report: Report, at: float) -> None:
        """See Listener."""

    def taken(self, name: str, count: int) -> None:
        """See Listener."""

    def logs(self, lines: Sequence[str], truncated: bool) -> None:
        """See Listener."""

    def drained(self, at: float, refusal: str | None = None) -> None:
        """See Listener."""

    def failed(self, failure: Failure, detail: Any, began: bool, at: float) -> None:
        """See Listener."""


def hint_job(call: ActionCall, code: Mapping[str, Any], user: Identity) -> Job:
    """Return a job with which a container can be initialised.

    Deviates: code loaded ahead sees neither an activation's id nor the API key while it loads, for there is no
    activation yet; both come with RUN. An action whose code cannot be loaded like that costs one container, and is
    loaded again, with all of them, for its first job.
    """
    return Job(
        call=call,
        code=code,
        user=user,
        activation_id="",
        env={"namespace": user.namespace, "action_name": f"/{call.name}", "action_version": call.version},
        init_env={},
        inputs=(),
        wants={},
        plain=False,
        timeout_s=call.timeout_ms / 1000,
        run="",
        listener=_Nobody(),
        queued=0.0,
    )
