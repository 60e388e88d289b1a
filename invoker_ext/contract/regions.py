"""Control regions: what a step of a graph may run instead of one call, when what comes next depends on values.

A region is a tree. Its leaves call something or evaluate an inline function, everything else says what runs after what.
It has no record of its own: the calls in it are firings of the step's run. Data flow through it as in a sequence: the
object that one part results in is all that the next one gets.

*Cells* are variables that functions read and write. A region of kind LET holds them while its parts run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from invoker_ext.contract.graph import ActionCall, Fault, WorkflowCall

    Call: TypeAlias = ActionCall | WorkflowCall | Fault


class RegionKind(Enum):
    """What a region does with its parts; (n): how many it has, (*): any number."""

    CALL = "call"
    """Run `call`. (0)"""
    DYNAMIC = "dynamic"
    """Run the action that the value names: `{"type": "action", "name", "params"}`. (0)"""
    FUNCTION = "function"
    """Evaluate `code`, JavaScript that is a function of the value, or do what `helper` says. (0)"""
    RAISE = "raise"
    """Fail with `error`. (0)"""
    SEQUENCE = "sequence"
    """One after the other, up to the first error. (*)"""
    LET = "let"
    """As SEQUENCE, with `cells`. (*)"""
    MASK = "mask"
    """As SEQUENCE; the nearest LET around it that is not hidden is. (*)"""
    IF = "if"
    """Test, then, else: by the truth of the member `value` of what the test results in. (3)"""
    WHILE = "while"
    """Test, body: the body runs as long as the test says so. (2)"""
    DO_WHILE = "dowhile"
    """Body, test. (2)"""
    TRY = "try"
    """Body, handler: an error of the body is what the handler gets. (2)"""
    FINALLY = "finally"
    """Body, finalizer: which gets whatever the body comes to. (2)"""
    PARALLEL = "parallel"
    """All at once, each with copies of value and cells; results in `{"value": [...]}`. (*)"""
    MAP = "map"
    """As SEQUENCE, at once for each element of the member `value`; results in `{"value": [...]}`. (*)"""
    ASYNC = "async"
    """As SEQUENCE, as a run of its own that nobody waits for: the root of that is a RESUME. (*)"""
    RESUME = "resume"
    """As SEQUENCE; what it is given says which cells are around it. (*)"""
    REPEAT = "repeat"
    """The part runs again with its result as long as `condition` holds for it, `most` times in all. (1)"""


PARTS: dict[RegionKind, int] = {
    RegionKind.CALL: 0,
    RegionKind.DYNAMIC: 0,
    RegionKind.FUNCTION: 0,
    RegionKind.RAISE: 0,
    RegionKind.IF: 3,
    RegionKind.WHILE: 2,
    RegionKind.DO_WHILE: 2,
    RegionKind.TRY: 2,
    RegionKind.FINALLY: 2,
    RegionKind.REPEAT: 1,
}
"""How many parts; of a kind that is not here, any number."""


class Helper(Enum):
    """Functions that Composer puts into programs: done without an evaluator, on data that nobody reads.

    `params`, `count` and `value` are cells.
    """

    SAVE = "save"
    """params := the value."""
    LOAD = "load"
    """params."""
    PACK = "pack"
    """`{params, result: the value}`."""
    WRAP = "wrap"
    """`{result: the value}`."""
    UNNEST = "unnest"
    """`{params, result: {result}}` → `{params, result}`."""
    COUNTDOWN = "countdown"
    """Whether count was above 0; counts down."""
    NEST = "nest"
    """`{params: the value}`."""
    TAKE_PARAMS = "params"
    """The member `params`."""
    TAKE_RESULT = "result"
    """The member `result`."""
    AGAIN = "again"
    """Whether the member `result` is an error, and count was above 0; counts down if it is one."""
    OVERLAY = "overlay"
    """Members of the member `result` over those of `params`."""
    VALUE = "value"
    """value."""


@dataclass(slots=True, frozen=True, kw_only=True)
class Region:
    """A node of the tree.

    Attributes:
        kind: What it does.
        parts: In the order that the kind tells.
        path: Where its author wrote it, as `[1].body`; names its firings and stands in error texts.
        call: Of a CALL.
        code: Of a FUNCTION; empty if it is only a helper.
        helper: What a FUNCTION does if the cells it needs are in view.
        cells: Of a LET: name and JSON text of each.
        error: Of a RAISE.
        condition: Of a REPEAT: CEL over `value`.
        most: Of a REPEAT; ≥ 1.
        python: It goes by Python's rules: a test takes for true what Python does, and must have the member `value`; any
            `error` that is left at the end is one. Of all regions of a tree, or of none.
    """

    kind: RegionKind
    parts: tuple[Region, ...] = ()
    path: str | None = None
    call: Call | None = None
    code: str = ""
    helper: Helper | None = None
    cells: tuple[tuple[str, str], ...] = ()
    error: str = ""
    condition: str = ""
    most: int = 1
    python: bool = False

    def text_bytes(self) -> int:
        """Return about how much its functions and cells take."""
        own = 256 + len(self.code) + sum(len(text) for _, text in self.cells)
        return own + sum(part.text_bytes() for part in self.parts)

    @property
    def names_by_data(self) -> bool:
        """Whether some part of it names an action only when it runs."""
        return self.kind is RegionKind.DYNAMIC or any(part.names_by_data for part in self.parts)

    def calls(self) -> Iterator[Call]:
        """Yield every call in it."""
        stack = [self]
        while stack:
            region = stack.pop()
            if region.call is not None:
                yield region.call
            stack.extend(reversed(region.parts))

    def with_calls(self, change: Callable[[Call], Call]) -> Region:
        """Return it with every call replaced."""
        if self.call is not None:
            return replace(self, call=change(self.call))
        return replace(self, parts=tuple(part.with_calls(change) for part in self.parts)) if self.parts else self


def region_to_json(region: Region, call_to_json: Callable[[Call], dict[str, Any]]) -> dict[str, Any]:
    """Return the stored form; members that say nothing are left out."""
    document: dict[str, Any] = {"region": region.kind.value}
    if region.parts:
        document["parts"] = [region_to_json(part, call_to_json) for part in region.parts]
    if region.path is not None:
        document["path"] = region.path
    if region.call is not None:
        document["call"] = call_to_json(region.call)
    if region.helper is not None:
        document["helper"] = region.helper.value
    if region.kind is RegionKind.LET:
        document["cells"] = [list(cell) for cell in region.cells]
    if region.kind is RegionKind.REPEAT:
        document |= {"condition": region.condition, "most": region.most}
    if region.python:
        document["python"] = True
    for name, text in (("code", region.code), ("error", region.error)):
        if text:
            document[name] = text
    return document


def region_from_json(document: dict[str, Any], call_from_json: Callable[[dict[str, Any]], Call]) -> Region:
    """Read the stored form.

    Raises:
        ValueError: It is none.
    """
    helper = document.get("helper")
    region = Region(
        kind=RegionKind(document["region"]),
        parts=tuple(region_from_json(part, call_from_json) for part in document.get("parts", ())),
        path=document.get("path"),
        call=call_from_json(document["call"]) if "call" in document else None,
        code=document.get("code", ""),
        helper=None if helper is None else Helper(helper),
        cells=tuple((name, text) for name, text in document.get("cells", ())),
        error=document.get("error", ""),
        condition=document.get("condition", ""),
        most=document.get("most", 1),
        python=document.get("python", False),
    )
    if len(region.parts) != PARTS.get(region.kind, len(region.parts)):
        raise ValueError(f"a region of kind {region.kind.value} has {len(region.parts)} parts")
    return region
