"""From what is told of a built-in package or action to its document, as if a client had sent it."""

from __future__ import annotations

from typing import Any

from controller_ext.builtins.packages import KIND, NAMESPACE, BuiltinAction, BuiltinPackage
from controller_ext.entities import actions, limited, packages
from controller_ext.entities.limits import SystemLimits
from controller_ext.entities.names import Name
from controller_ext.entities.runtimes import STOCK


def document(
    package: BuiltinPackage, action: BuiltinAction | None, code: str | None, old: dict[str, Any] | None, now_ms: int
) -> dict[str, Any]:
    """Return what is stored.

    Args:
        package: It, or that of the action.
        action: None: the package.
        code: Of the action.
        old: What is to be replaced; its version goes up.
        now_ms: Epoch milliseconds.
    """
    limits = SystemLimits()
    told = action or package
    put: dict[str, Any] = {"parameters": _pairs(told.defaults), "annotations": _pairs(told.about)}
    if action is None:
        parsed = packages.parse(limited.read({**put, "publish": True}, STOCK, NAMESPACE, limits), NAMESPACE)
        made = packages.create(parsed, Name(NAMESPACE, None, package.name), now_ms)
        return made if old is None else packages.update(parsed, old, now_ms)
    put["exec"] = {"kind": KIND, "code": code}
    wanted = actions.parse(limited.read(put, STOCK, NAMESPACE, limits), limits)
    made = actions.create(wanted, Name(NAMESPACE, package.name, action.name), now_ms, limits)
    if old is None:
        return made
    # Not an update: what an earlier version annotated must not stay.
    return {**made, "version": actions.update(wanted, old, now_ms)["version"]}


def _pairs(values: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": value} for key, value in values.items()]
