"""The JavaScript by which an author writes a composition."""

from __future__ import annotations

import json
from typing import Any, Final

from tests.support.composer.trees import Tree

_ARGUMENTS: Final = {
    "if": ("test", "consequent", "alternate"),
    "if_nosave": ("test", "consequent", "alternate"),
    "while": ("test", "body"),
    "while_nosave": ("test", "body"),
    "dowhile": ("body", "test"),
    "dowhile_nosave": ("body", "test"),
    "try": ("body", "handler"),
    "finally": ("body", "finalizer"),
}
_VALUES: Final = {"let": "declarations", "repeat": "count", "retry": "count", "literal": "value", "value": "value"}


def module(ast: Tree) -> str:
    """Return a file for Composer's `compose`."""
    return f"const composer = require('openwhisk-composer')\nmodule.exports = {_written(ast)}\n"


def _written(tree: Tree) -> str:
    kind = tree["type"]
    if kind == "action":
        return f"composer.action({_text(tree['name'])})"
    if kind == "function":
        # As a text: the library takes a function, too, but not every text that `function` nodes may have is one.
        return f"composer.function({_text(tree['function']['exec']['code'])})"
    arguments = [_written(tree[name]) for name in _ARGUMENTS.get(kind, ())]
    if kind in _VALUES:
        arguments.append(_text(tree[_VALUES[kind]]))
    arguments += [_written(one) for one in tree.get("components", ())]
    return f"composer.{kind}({', '.join(arguments)})"


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
