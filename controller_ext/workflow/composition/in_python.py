"""What programs of Composer for Python have in place of JavaScript's.

Its combinators are a subset under other names. Its functions are Python, which is not evaluated: those that it puts
into programs itself are known by their text, and are helpers of the engine. What a helper does not do stands in
JavaScript that keeps Python's rules.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final

from controller_ext.workflow.composition.recovery import NotLowered
from invoker_ext.contract.regions import Helper, Region, RegionKind

KINDS: Final[Mapping[str, str]] = {
    "sequence": "sequence",
    "action": "action",
    "let": "let",
    "mask": "mask",
    "when_nosave": "if_nosave",
    "loop_nosave": "while_nosave",
    "doloop_nosave": "dowhile_nosave",
    "do": "try",
    "ensure": "finally",
    "asynchronous": "async",
}
"""Its combinators, and Composer's names of them. It has code for no others."""
_OF: Final = (
    "const of = (one, key) => { if (one === null || typeof one !== 'object' || Array.isArray(one) || "
    "!Object.hasOwn(one, key)) throw new Error(`KeyError: ${key}`); return one[key] }; "
)
_MISSING: Final = "() => {{ throw new Error('KeyError: {}') }}"
_HELPERS: Final[Mapping[str, tuple[Helper, str]]] = {
    "1f3eed0cdf2ae8209da95c57974e2f3c6632172b041b58ec5c4b6f6105f36d2c": (Helper.SAVE, "() => {}"),
    "5ecff8a50731283c1bdb136293231c4cf489d473a8892d8826f7216882baf11e": (Helper.LOAD, _MISSING.format("params")),
    "46cf3de2ca7896cf336184d675bb5834a3c351a649f3625ad91977189edda939": (Helper.PACK, _MISSING.format("params")),
    "6b5a88f4fbdc4f3b3a832d20833f2153d64395798a0b47348313ebc7c8dab41b": (Helper.VALUE, _MISSING.format("value")),
    "9081cf3dca82c8e78d7660a2eba434216063210a2677731d5c61c7c764b5c284": (Helper.COUNTDOWN, _MISSING.format("count")),
    "fd4af10c7eee54b27a244c53e29a9f2fab753d0e8f3d3702d71a1c714da51f1e": (Helper.NEST, "params => ({params})"),
    "612496dccab5eac701a87d825ce21a5be6e9fccd178fc299069caab5d1c87e11": (Helper.WRAP, "result => ({result})"),
    "39974d302767c0ff39f820fb9ccff8746e04ca880694eaf8760c72f8393e3448": (
        Helper.UNNEST,
        f"p => {{ {_OF}return {{params: of(p, 'params'), result: of(of(p, 'result'), 'result')}} }}",
    ),
    "104ca416cfdde9eb795a8a277a06248b8a8e0e85511ca473f922ffae5111453b": (
        Helper.TAKE_PARAMS,
        f"p => {{ {_OF}return of(p, 'params') ?? undefined }}",
    ),
    "a63061bebe35e6e69c85f1f41d193560ca56be39799d92691fb1fe4f5595597c": (
        Helper.TAKE_RESULT,
        f"p => {{ {_OF}return of(p, 'result') ?? undefined }}",
    ),
    "d983877c852d100c45ff51aa01490673810ea48ef5cc5e0d51520253c009a12e": (
        Helper.AGAIN,
        f"p => {{ {_OF}const result = of(p, 'result'), left = count; count -= 1; if (result === null || "
        "!['object', 'string'].includes(typeof result)) throw new Error('TypeError'); "
        "const found = typeof result === 'string' || Array.isArray(result) ? result.includes('error') : "
        "Object.hasOwn(result, 'error'); return found && left > 0 }",
    ),
}
"""SHA-256 of the source of each without white space → what does it, and what does it where that cannot."""
_COUNTS: Final = frozenset({Helper.COUNTDOWN, Helper.AGAIN})
_LOOPS: Final = frozenset({RegionKind.WHILE, RegionKind.DO_WHILE})


def function(exec_: Mapping[str, Any], where: str) -> Region:
    """Return the region of a function.

    Args:
        exec_: Its kind and code.
        where: Names its node.

    Raises:
        NotLowered: It is none that Composer for Python has put there.
    """
    code = exec_.get("code")
    text = "".join(code.split()) if isinstance(code, str) and exec_.get("kind") == "python:3" else ""
    known = _HELPERS.get(hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest())
    if known is None:
        raise NotLowered(f"the function root{where} is Python, and inline functions are JavaScript: make it an action")
    helper, rest = known
    return Region(kind=RegionKind.FUNCTION, code=rest, helper=helper)


def check_lets(region: Region) -> None:
    """Refuse a counter that a loop declares again and again: in Python it goes on from where it was.

    Raises:
        NotLowered: There is one.
    """
    stack = [(region, False)]
    while stack:
        one, looped = stack.pop()
        if looped and one.kind is RegionKind.LET and any(name == "count" for name, _ in one.cells) and _counts(one):
            raise NotLowered(
                f"the variable `count` of root{one.path or ''} is declared inside a loop, where Composer for Python "
                "counts on from the round before: put what counts into a composition of its own"
            )
        inside = looped or one.kind in _LOOPS
        stack.extend((part, inside) for part in one.parts)


def _counts(region: Region) -> bool:
    return region.helper in _COUNTS or any(map(_counts, region.parts))
