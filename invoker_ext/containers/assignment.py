"""A job on its way through the pool: where it is, and what streams into it."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from invoker_ext.containers.events import Need
from invoker_ext.containers.job import Failure, Job, Warmth
from invoker_ext.sink.datum import Stored

if TYPE_CHECKING:
    from invoker_ext.containers.container import Container


@dataclass(slots=True, frozen=True)
class StreamEnd:
    """Comes after the last part of a streamed input."""

    error: str | None


@dataclass(slots=True, eq=False)
class Assignment:
    """A job, from submit until its listener has heard the last of it.

    Attributes:
        ticket: Its number in the pool; also its firing number on its container's session.
        job: What to do.
        need: What container it needs.
        container: Who does it; None while it waits.
        warmth: How that container was had.
        init_s: How long its code took to load; None: it was loaded.
        began: Monotonic seconds at which RUN was sent; None: not yet.
        returned: The function has returned.
        streams: Parts of streamed inputs that the container cannot take yet, with one reference each.
        ended: Streamed inputs whose end the container knows of.
    """

    ticket: int
    job: Job
    need: Need
    container: Container | None = None
    warmth: Warmth = Warmth.WARM
    init_s: float | None = None
    began: float | None = None
    returned: bool = False
    streams: dict[str, deque[Stored | StreamEnd]] = field(default_factory=dict)
    ended: frozenset[str] = frozenset()

    def queue_part(self, name: str, part: Stored | StreamEnd) -> None:
        """Keep a part until the container can take it."""
        if not isinstance(part, StreamEnd):
            part.retain()
        self.streams.setdefault(name, deque()).append(part)

    def drop_streams(self) -> None:
        """Let go of all parts that were not taken."""
        streams, self.streams = self.streams, {}
        for parts in streams.values():
            for part in parts:
                if not isinstance(part, StreamEnd):
                    part.release()

    def fail(self, failure: Failure, detail: Any, at: float, lines: list[str], *, truncated: bool) -> None:
        """Tell the listener that this attempt is over without a result."""
        self.drop_streams()
        listener = self.job.listener
        listener.failed(failure, detail, self.began is not None, at)
        listener.logs(lines, truncated)


def run_environment(job: Job, timeout_s: float) -> dict[str, str]:
    """Return the members of the stock `/run` body beside `value`, with the deadline from now."""
    return {**job.env, "deadline": str(round((time.time() + timeout_s) * 1000))}


def init_value(job: Job, timeout_s: float) -> dict[str, Any]:
    """Return the stock `/init` value without `code`."""
    env = dict(job.init_env)
    for name, value in run_environment(job, timeout_s).items():
        env[f"__OW_{name.upper()}"] = value
    return {
        "name": job.call.name.rpartition("/")[2],
        "main": job.code.get("main") or "main",
        "binary": bool(job.code.get("binary", False)),
        "env": env,
    }
