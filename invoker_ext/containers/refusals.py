"""Jobs that end before any container was asked for."""

from __future__ import annotations

import time
from typing import Final

from invoker_ext.containers.assignment import Assignment
from invoker_ext.containers.driver import Driver, UnknownKind
from invoker_ext.containers.job import Failure, Job
from invoker_ext.containers.logs import format_line

_BLACKBOX: Final = "blackbox"
_NO_IMAGES: Final = "This server starts actions as processes and runs no images. Give the action one of its kinds: {}."


def refuse(job: Job, reason: str) -> None:
    """End a job for which there can be no container."""
    job.listener.failed(Failure.NOT_STARTED, reason, False, time.monotonic())
    job.listener.logs([], False)


def refuse_kind(job: Job, error: UnknownKind) -> None:
    """End a job whose kind no runtime here runs; an image, as stock ends one that it cannot pull."""
    if error.kind != _BLACKBOX:
        job.listener.failed(Failure.KIND_MISSING, str(error), False, time.monotonic())
        job.listener.logs([], False)
        return
    job.listener.failed(Failure.IMAGE_NOT_PULLED, job.code.get("image"), False, time.monotonic())
    job.listener.logs([format_line(time.time_ns(), "stderr", _NO_IMAGES.format(", ".join(error.known)))], False)


def refuse_unstarted(assignment: Assignment, driver: Driver, failure: Failure, reason: str) -> None:
    """End a job for which no container came up: perhaps because its runtime was removed from the host."""
    job = assignment.job
    try:
        driver.runtime_of(job.call.kind, job.code.get("image"))
    except UnknownKind as error:
        assignment.drop_streams()
        refuse_kind(job, error)
    else:
        assignment.fail(failure, reason, time.monotonic(), [], truncated=False)
