"""The page for readers: the document as one HTML file without scripts, styles or pictures from elsewhere."""

from __future__ import annotations

import json
from collections.abc import Iterator
from html import escape
from typing import Any, Final

from controller_ext.api.openapi.document import OUTSIDE
from controller_ext.api.openapi.operations import METHODS

TITLE: Final = "Swagger UI"
"""Clients know the page by this title."""
_STYLE: Final = (
    "body{font:15px/1.5 sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "summary{cursor:pointer}code,pre{font:13px/1.4 monospace}pre{background:#f4f4f4;padding:.6rem;overflow:auto}"
    "td,th{text-align:left;padding:.1rem 1rem .1rem 0;vertical-align:top}b{display:inline-block;width:5rem}"
)


def render(document: dict[str, Any]) -> str:
    """Return the page of a document."""
    return "".join(_page(document))


def _page(document: dict[str, Any]) -> Iterator[str]:
    base = document["basePath"]
    yield f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{TITLE}</title>'
    yield f"<style>{_STYLE}</style></head><body><h1>{escape(document['info']['title'])}</h1>"
    yield f'<p>The same as <a href="{escape(base)}/api-docs">JSON</a>. Keys go by HTTP Basic.</p>'
    for prefix, paths in ((base, document["paths"]), ("", document[OUTSIDE])):
        yield f"<h2>{escape(prefix or 'Above the API')}</h2>"
        for path, of in paths.items():
            shared = of.get("parameters", [])
            for method, operation in of.items():
                if method in METHODS:
                    yield from _operation(document, method.upper(), path, operation, shared)
    yield "<h2>Bodies</h2>"
    for name, schema in document["definitions"].items():
        yield f'<details id="{escape(name)}"><summary><code>{escape(name)}</code></summary>{_json(schema)}</details>'
    yield "</body></html>"


def _operation(
    document: dict[str, Any], method: str, path: str, operation: dict[str, Any], shared: list[Any]
) -> Iterator[str]:
    yield f"<details><summary><b>{method}</b><code>{escape(path)}</code> {escape(operation['summary'])}</summary>"
    yield "<table>"
    for given in (*shared, *operation.get("parameters", [])):
        one = _resolved(document, given)
        told = one.get("description") or _kind(one.get("schema", {})) or escape(one.get("type", ""))
        yield f"<tr><td><code>{escape(one['name'])}</code><td>{escape(one['in'])}<td>{told}"
    for status, given in operation["responses"].items():
        one = _resolved(document, given)
        yield f"<tr><td>{escape(status)}<td>{escape(one['description'])}<td>{_kind(one.get('schema', {}))}"
    yield "</table></details>"


def _resolved(document: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in given:
        return given
    _, section, name = given["$ref"].split("/")
    found: dict[str, Any] = document[section][name]
    return found


def _kind(schema: dict[str, Any]) -> str:
    """Return what a schema is called, as HTML."""
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f'<a href="#{name}">{name}</a>'
    if schema.get("type") == "array":
        return f"array of {_kind(schema['items'])}"
    return escape(schema.get("type", ""))


def _json(schema: dict[str, Any]) -> str:
    return f"<pre>{escape(json.dumps(schema, indent=2))}</pre>"
