"""A drawing as text for other programs: Mermaid, Graphviz' dot, and SVG."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final
from xml.sax.saxutils import escape

from controller_ext.cli.drawing import Arrow, ArrowKind, Box, BoxKind, Drawing

_MERMAID_ARROW: Final = {
    ArrowKind.PLAIN: "-->",
    ArrowKind.MANY: "==>",
    ArrowKind.STREAM: "-->",
    ArrowKind.MAYBE: "-.->",
}
_DOT_STYLE: Final = {
    ArrowKind.PLAIN: "solid",
    ArrowKind.MANY: "bold",
    ArrowKind.STREAM: "tapered",
    ArrowKind.MAYBE: "dashed",
}


def mermaid(drawing: Drawing) -> str:
    """Return a Mermaid flow chart, as Markdown viewers draw it."""
    ids = {box.name: f"s{number}" for number, box in enumerate(drawing.boxes)}
    lines = ["flowchart TD"]
    for box in drawing.boxes:
        text = "<br/>".join(_mermaid_text(line) for line in (box.name, box.action, *box.notes) if line)
        left, right = ("[", "]") if box.kind is BoxKind.STEP else ("([", "])")
        lines.append(f'  {ids[box.name]}{left}"{text}"{right}')
    for arrow in drawing.arrows:
        label = f'|"{_mermaid_text(arrow.label)}"|' if arrow.label else ""
        lines.append(f"  {ids[arrow.source]} {_MERMAID_ARROW[arrow.kind]}{label} {ids[arrow.target]}")
    return "\n".join(lines) + "\n"


def dot(drawing: Drawing) -> str:
    """Return a Graphviz graph."""
    lines = [f"digraph {_quoted(drawing.title)} {{", '  node [shape=box, style=rounded, fontname="sans-serif"];']
    for box in drawing.boxes:
        label = "\n".join(line for line in (box.name, box.action, *box.notes) if line)
        shape = "" if box.kind is BoxKind.STEP else ", shape=plaintext"
        lines.append(f"  {_quoted(box.name)} [label={_quoted(label)}{shape}];")
    for arrow in drawing.arrows:
        ends = f"{_quoted(arrow.source)} -> {_quoted(arrow.target)}"
        lines.append(f"  {ends} [label={_quoted(arrow.label)}, style={_DOT_STYLE[arrow.kind]}];")
    return "\n".join([*lines, "}"]) + "\n"


def _mermaid_text(text: str) -> str:
    return escape(text, {'"': "#quot;"}).replace("&lt;", "#lt;").replace("&gt;", "#gt;").replace("&amp;", "#amp;")


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


_CHAR: Final = 7.2
"""Width of a character of the 12 px monospace font, in px."""
_LINE: Final = 16.0
_GAP_X: Final = 48
_GAP_Y: Final = 72
_MARGIN: Final = 24
_DASH: Final = {
    ArrowKind.PLAIN: "",
    ArrowKind.MANY: ' stroke-width="2.5"',
    ArrowKind.STREAM: ' stroke-dasharray="2 3" stroke-width="2"',
    ArrowKind.MAYBE: ' stroke-dasharray="7 4"',
}


@dataclass(slots=True, frozen=True)
class _Place:
    """Where a box stands; px, y downwards."""

    box: Box
    lines: tuple[str, ...]
    left: float
    top: float
    width: float
    height: float

    @property
    def middle(self) -> float:
        return self.left + self.width / 2


def svg(drawing: Drawing) -> str:
    """Return an SVG image that needs nothing else."""
    places, width, height = _layout(drawing)
    body = [_arrow_svg(arrow, places, drawing) for arrow in drawing.arrows]
    body += [_box_svg(place) for place in places.values()]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" font-family="monospace" font-size="12">\n'
        f"<title>{escape(drawing.title)}</title>\n"
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" '
        'markerUnits="userSpaceOnUse" orient="auto"><path d="M0 0L8 4L0 8z" fill="#456"/></marker></defs>\n'
        '<rect width="100%" height="100%" fill="#fff"/>\n' + "\n".join(body) + "\n</svg>\n"
    )


def _layout(drawing: Drawing) -> tuple[dict[str, _Place], float, float]:
    rows: list[list[tuple[Box, tuple[str, ...], float, float]]] = []
    for layer in drawing.layers:
        row = []
        for box in layer:
            lines = tuple(line for line in (box.name, box.action, *box.notes) if line)
            row.append((box, lines, max(map(len, lines)) * _CHAR + 24, len(lines) * _LINE + 12))
        rows.append(row)
    widths = [sum(width for _, _, width, _ in row) + _GAP_X * (len(row) - 1) for row in rows]
    # An arrow's label stands beside its middle and may be wider than any box.
    labels = max((len(arrow.label) * _CHAR for arrow in drawing.arrows), default=0.0)
    full = max([*widths, labels * 2]) + 2 * _MARGIN
    places: dict[str, _Place] = {}
    top = float(_MARGIN)
    for row, row_width in zip(rows, widths, strict=True):
        left = (full - row_width) / 2
        for box, lines, width, height in row:
            places[box.name] = _Place(box, lines, left, top, width, height)
            left += width + _GAP_X
        top += max(height for _, _, _, height in row) + _GAP_Y
    return places, full, top - _GAP_Y + _MARGIN


def _box_svg(place: _Place) -> str:
    step = place.box.kind is BoxKind.STEP
    parts = [
        f'<rect x="{place.left:.1f}" y="{place.top:.1f}" width="{place.width:.1f}" height="{place.height:.1f}" '
        f'rx="{6 if step else place.height / 2:.0f}" fill="{"#eef5ff" if step else "#f4f4f4"}" stroke="#456"/>'
    ]
    for number, line in enumerate(place.lines):
        weight = ' font-weight="bold"' if number == 0 else ' fill="#567"'
        y = place.top + 6 + _LINE * (number + 0.75)
        parts.append(f'<text x="{place.middle:.1f}" y="{y:.1f}" text-anchor="middle"{weight}>{escape(line)}</text>')
    return "\n".join(parts)


def _arrow_svg(arrow: Arrow, places: dict[str, _Place], drawing: Drawing) -> str:
    source, target = places[arrow.source], places[arrow.target]
    siblings = drawing.into(arrow.target)
    # Several arrows into one box end side by side, and so do their labels.
    share = (siblings.index(arrow) + 1) / (len(siblings) + 1)
    x1, y1 = source.middle, source.top + source.height
    x2, y2 = target.left + target.width * share, target.top
    bend = (y2 - y1) / 2
    path = f"M{x1:.1f} {y1:.1f}C{x1:.1f} {y1 + bend:.1f} {x2:.1f} {y2 - bend:.1f} {x2:.1f} {y2:.1f}"
    text = f'<path d="{path}" fill="none" stroke="#456"{_DASH[arrow.kind]} marker-end="url(#tip)"/>'
    if arrow.label:
        y = y2 - 12 - _LINE * siblings.index(arrow)
        text += f'\n<text x="{(x1 + x2) / 2 + 6:.1f}" y="{y:.1f}" fill="#245">{escape(arrow.label)}</text>'
    return text


FORMATS: Final[Mapping[str, Callable[[Drawing], str]]] = {"mermaid": mermaid, "dot": dot, "svg": svg}
