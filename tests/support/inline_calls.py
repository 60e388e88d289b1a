"""Builders for inline functions that are evaluated in containers."""

from __future__ import annotations

from typing import Any

from invoker_ext.containers.fleet import Fleet
from invoker_ext.contract.messages import Identity
from invoker_ext.inline.home import REVISION, Home
from tests.support.containers import GUEST, a_call


def home(fleet: Fleet, name: str = "guest/flow", user: Identity = GUEST, **limits: Any) -> Home:
    """Return whose containers evaluate functions: those of a composition of the newest node that the fleet has.

    Args:
        fleet: Of the containers.
        name: Of the composition.
        user: Who invokes it.
        limits: Of the composition; other fields of its call.
    """
    kind = next(one for one in fleet.kinds if one.startswith("nodejs"))
    action = a_call(name, **{"kind": kind, "revision": REVISION, **limits})
    environment = {"namespace": user.namespace, "action_name": f"/{name}", "activation_id": "a" * 32}
    return Home(action, user, "r" * 32, environment)
