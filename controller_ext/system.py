"""What the settings of a controller make of the system: its limits, and which kinds there are."""

from __future__ import annotations

from controller_ext.entities.limits import Range, SystemLimits
from controller_ext.entities.runtimes import Manifest, manifest_of
from controller_ext.settings import IN_NODE, Settings
from invoker_ext.contract.kinds import read as read_kinds


def limits_of(settings: Settings) -> SystemLimits:
    """Return the limits of the system."""
    return SystemLimits(
        concurrency=Range(1, 1, settings.action_concurrency),
        workflow_bytes=settings.workflow_payload_bytes,
        invocations_per_minute=settings.invocations_per_minute,
        concurrent_invocations=settings.concurrent_invocations,
        fires_per_minute=settings.fires_per_minute,
    )


def kinds_of(settings: Settings) -> Manifest:
    """Return the kinds, and whether Node.js evaluates inline functions."""
    return manifest_of(read_kinds(settings.kinds), evaluating=settings.inline_functions == IN_NODE)
