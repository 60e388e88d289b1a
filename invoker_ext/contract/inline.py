"""Where inline functions are evaluated, and which of them can do without Node.js. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final


@dataclass(slots=True, frozen=True)
class Evaluator:
    """Containers of a composition's own, of each namespace, in which its inline functions are evaluated.

    Attributes:
        kind: Of theirs: the composition's, `nodejs:20`.
        passes_key: Functions get the API key of who invokes it.
    """

    kind: str
    passes_key: bool


HOST_NAMES: Final = frozenset({
    "require", "process", "Buffer", "global", "module", "exports", "__dirname", "__filename", "setTimeout",
    "setInterval", "setImmediate", "clearTimeout", "clearInterval", "clearImmediate", "fetch", "URL",
    "URLSearchParams", "TextEncoder", "TextDecoder", "crypto", "Intl", "structuredClone", "AbortController",
    "AbortSignal", "Blob", "Headers", "Request", "Response", "FormData", "WebSocket", "EventTarget", "Event",
    "MessageChannel", "BroadcastChannel", "ReadableStream", "WritableStream", "TransformStream", "WebAssembly",
    "navigator", "import",
})  # fmt: skip
"""What Node.js has and the language has not."""

_TOKENS: Final = re.compile(
    r"""
    //[^\n]* | /\*.*?(?:\*/|\Z)                         # comments; what never ends goes on to the end
    | '(?:[^'\\\n]|\\.)*'? | "(?:[^"\\\n]|\\.)*"?       # texts; those with `${}` count as code
    | \?\.\s*[\w$]+ | (?<!\.)\.\s*[\w$]+                # members, but not what is spread: `...process`
    | (?P<name>[A-Za-z_$][\w$]*)(?P<key>\s*:(?!:))?     # names; before a colon they are keys
    """,
    re.VERBOSE | re.DOTALL,
)


def host_name_in(code: str) -> str | None:
    """Return the first thing of Node.js that a function's text seems to use; None: it can do without.

    A name that the function declares itself, or that stands in a template or a regular expression, is taken for such a
    use; one that is made up at run time, or stands before the colon of a `?:`, is not seen.
    """
    for token in _TOKENS.finditer(code):
        if token["name"] in HOST_NAMES and token["key"] is None:
            return token["name"]
    return None
