"""A program of Composer's primitive combinators → a region.

The functions that Composer itself puts into programs are known by their text, and become helpers of the engine.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from controller_ext.workflow.composition import in_python
from controller_ext.workflow.composition.recovery import MARK, NotLowered
from invoker_ext.contract.inline import host_name_in
from invoker_ext.contract.regions import Helper, Region, RegionKind

MAX_NODES: Final = 10_000
MAX_DEPTH: Final = 150

Component = Callable[[str], Region]
"""The name of an action, as written → a region that runs it, or fails as stock does."""

_HELPERS: Final[Mapping[str, Helper]] = {
    "4944a613585748e817f11b54e24dc5160e67de5ac1de3d7a52dc28a6dcaf46da": Helper.SAVE,
    "8c903649d6aa408d00857bfc5e4e2d7b77b13d886f5ab16586bba50a83f5ff98": Helper.LOAD,
    "665cadd2e963d69fd04f6260a1e5ecf869aa6012649352deee5403da53e6a69c": Helper.COUNTDOWN,
    "b053903a19681d3b43263c1aaf624d1983d4d356600e8094a94d1c002fd8c3a1": Helper.NEST,
    "4c0d83531adf179f0450b91587e9a9552eae7807d7ca7b3d15a353b6eddf349c": Helper.TAKE_PARAMS,
    "ea82d7d13635bc828797c850e9f82c738dd4d2c2897538ee1fe6daa2c689fe5d": Helper.WRAP,
    "331112fb779266022da88500b666bfd1b254e3b7c9167451a70e60df2d1f2728": Helper.PACK,
    "ad057aa384d9f3418f4221c06b787db83b62846f824a6699f588b45069f1157b": Helper.UNNEST,
    "663ec208f0bb61f7f28b94c69bad46ef3b1c62793d98134d0373132c2e71d27e": Helper.AGAIN,
    "c1ca13dfe29abcbfe3c0314f7694978c5f116d18bdc12cfce3c91e6dce375fce": Helper.TAKE_RESULT,
    "e5c7d3d94a4e93fa5bf294c7462497bb9490e396826fa9ca751f89ba8b37700c": Helper.OVERLAY,
    "a384c73c282ccca0c568bf563ea1e8a09981337115390b727dd33defc96815d3": Helper.VALUE,
}
"""SHA-256 of the source text of each, the same in all versions that are known."""
_PARTS: Final[Mapping[str, tuple[RegionKind, tuple[str, ...]]]] = {
    "if_nosave": (RegionKind.IF, ("test", "consequent", "alternate")),
    "while_nosave": (RegionKind.WHILE, ("test", "body")),
    "dowhile_nosave": (RegionKind.DO_WHILE, ("body", "test")),
    "try": (RegionKind.TRY, ("body", "handler")),
    "finally": (RegionKind.FINALLY, ("body", "finalizer")),
}
"""Combinators whose parts have names."""
_OPTIONAL: Final = frozenset({"alternate"})
_LISTS: Final[Mapping[str, RegionKind]] = {
    "sequence": RegionKind.SEQUENCE,
    "mask": RegionKind.MASK,
    "async": RegionKind.ASYNC,
    "parallel": RegionKind.PARALLEL,
    "map": RegionKind.MAP,
}
"""Combinators that have a list of parts."""


def lower(program: Mapping[str, Any], component: Component, *, in_node: bool = False) -> Region:
    """Return the region of a program.

    Args:
        program: The root of the tree.
        component: Knows the actions.
        in_node: Its functions are evaluated in Node.js.

    Raises:
        NotLowered: It is not one that can run here.
    """
    python = bool(program.get(MARK))
    region = _Lowering(component, python, in_node).region(program, "", 0)
    if python:
        in_python.check_lets(region)
    return region


class _Lowering:
    def __init__(self, component: Component, python: bool, in_node: bool) -> None:
        self._component = component
        self._in_node = in_node
        self._python = python
        self._nodes = 0

    def region(self, node: Any, where: str, depth: int) -> Region:
        """Return the region of a node; `where` names it if it has no path of its own."""
        self._nodes += 1
        if self._nodes > MAX_NODES or depth > MAX_DEPTH:
            raise NotLowered(f"it has more than {MAX_NODES} combinators, or nests them deeper than {MAX_DEPTH}")
        if not isinstance(node, dict):
            raise NotLowered(f"root{where} is no combinator")
        path = node.get("path")
        where = path if isinstance(path, str) else where
        kind = node.get("type")
        region = self._region(kind if isinstance(kind, str) else "", node, where, depth)
        path = path if isinstance(path, str) else region.path
        if (region.path, region.python) == (path, self._python):
            return region
        return replace(region, path=path, python=self._python)

    def _region(self, written: str, node: dict[str, Any], where: str, depth: int) -> Region:
        kind = in_python.KINDS.get(written, written if written == "function" else "") if self._python else written
        if kind in _LISTS:
            return Region(kind=_LISTS[kind], parts=self._components(node, where, depth))
        if kind in _PARTS:
            made, names = _PARTS[kind]
            parts = tuple(self._part(node, name, where, depth) for name in names)
            return Region(kind=made, parts=parts)
        match kind:
            case "action":
                name = node.get("name")
                if not isinstance(name, str):
                    raise NotLowered(f"the action root{where} has no name")
                return self._component(name)
            case "function":
                return _function(node, where, self._python, self._in_node)
            case "let":
                declarations = node.get("declarations")
                if not isinstance(declarations, dict):
                    raise NotLowered(f"`let` root{where} has no declarations")
                cells = tuple((name, json.dumps(value)) for name, value in declarations.items())
                return Region(kind=RegionKind.LET, cells=cells, parts=self._components(node, where, depth))
            case "dynamic":
                return Region(kind=RegionKind.DYNAMIC)
            case _:
                raise NotLowered(f"root{where} is `{written}`, which is no combinator that is known")

    def _components(self, node: dict[str, Any], where: str, depth: int) -> tuple[Region, ...]:
        components = node.get("components")
        if not isinstance(components, list):
            raise NotLowered(f"root{where} has no list of components")
        return tuple(self.region(one, f"{where}[{index}]", depth + 1) for index, one in enumerate(components))

    def _part(self, node: dict[str, Any], name: str, where: str, depth: int) -> Region:
        part = node.get(name)
        if part is None and name in _OPTIONAL:
            return Region(kind=RegionKind.SEQUENCE)
        return self.region(part, f"{where}.{name}", depth + 1)


def _function(node: dict[str, Any], where: str, python: bool, in_node: bool) -> Region:
    function = node.get("function")
    exec_ = function.get("exec") if isinstance(function, dict) else None
    code = exec_.get("code") if isinstance(exec_, dict) else None
    if not isinstance(code, str) or not isinstance(exec_, dict):
        raise NotLowered(f"the function root{where} has no code")
    if python:
        return in_python.function(exec_, where)
    if str(exec_.get("kind", "")).startswith("python"):
        raise NotLowered(f"the function root{where} is Python; inline functions are evaluated as JavaScript")
    needed = None if in_node else host_name_in(code)
    if needed is not None:
        raise NotLowered(f"the function root{where} uses `{needed}`, which is there in containers of Node.js alone")
    helper = _HELPERS.get(hashlib.sha256(code.encode("utf-8", "surrogatepass")).hexdigest())
    return Region(kind=RegionKind.FUNCTION, code=code, helper=helper)
