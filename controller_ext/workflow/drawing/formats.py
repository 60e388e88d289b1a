"""Writes a workflow for other programs: Mermaid and Graphviz' dot."""

from __future__ import annotations

import json
from typing import Final

from controller_ext.workflow.definition import Definition
from controller_ext.workflow.drawing.picture import LinkKind, NodeKind, Picture
from invoker_ext.contract.graph import Graph

_MERMAID_SHAPES: Final = {
    NodeKind.PARAMETERS: ("([", "])"),
    NodeKind.STEP: ("[", "]"),
    NodeKind.MANY: ("[[", "]]"),
    NodeKind.RESULT: ("([", "])"),
}
_MERMAID_ARROWS: Final = {
    LinkKind.PLAIN: "-->",
    LinkKind.MANY: "==>",
    LinkKind.STREAM: "--o",
    LinkKind.MAYBE: "-.->",
}
_DOT_SHAPES: Final = {
    NodeKind.PARAMETERS: 'shape=box, style="rounded,dotted"',
    NodeKind.STEP: "shape=box",
    NodeKind.MANY: "shape=box, peripheries=2",
    NodeKind.RESULT: 'shape=box, style="rounded,dotted"',
}
_DOT_LINES: Final = {
    LinkKind.PLAIN: "solid",
    LinkKind.MANY: "bold",
    LinkKind.STREAM: "dotted",
    LinkKind.MAYBE: "dashed",
}


def mermaid(workflow: Graph | Definition) -> str:
    """Return a Mermaid flow chart, as Markdown viewers draw it."""
    picture = Picture.of(workflow)
    lines = ["flowchart TD"]
    for at, node in enumerate(picture.nodes):
        opening, closing = _MERMAID_SHAPES[node.kind]
        shown = (node.title, *(line for line in node.lines if "←" not in line))
        lines.append(f'  n{at}{opening}"{"<br/>".join(map(_entities, shown))}"{closing}')
    for link in picture.links:
        lines.append(f'  n{link.source} {_MERMAID_ARROWS[link.kind]}|"{_entities(link.label)}"| n{link.target}')
    return "\n".join(lines) + "\n"


def dot(workflow: Graph | Definition) -> str:
    """Return a Graphviz graph."""
    picture = Picture.of(workflow)
    lines = ["digraph workflow {", '  node [fontname="sans-serif"];', '  edge [fontname="sans-serif", fontsize=11];']
    for at, node in enumerate(picture.nodes):
        label = "\n".join((node.title, *(line for line in node.lines if "←" not in line)))
        lines.append(f"  n{at} [label={_quoted(label)}, {_DOT_SHAPES[node.kind]}];")
    for link in picture.links:
        lines.append(
            f"  n{link.source} -> n{link.target} [label={_quoted(link.label)}, style={_DOT_LINES[link.kind]}];"
        )
    return "\n".join([*lines, "}"]) + "\n"


def _entities(text: str) -> str:
    """Write everything that Mermaid could take for its own as a character's number."""
    return "".join(char if char.isalnum() or char in " ._-←↻▸,/$" else f"#{ord(char)};" for char in text)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
