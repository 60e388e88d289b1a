"""Draws a workflow as an SVG image that needs nothing else and suits light and dark pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from xml.sax.saxutils import escape

from controller_ext.workflow.definition import Definition
from controller_ext.workflow.drawing.layout import Cell, Layout, lay_out
from controller_ext.workflow.drawing.picture import Link, Node, NodeKind, Picture
from invoker_ext.contract.graph import Graph

# All in px.
_CHAR: Final = 7.3
_LINE: Final = 17.0
_PAD: Final = 12.0
_GAP_X: Final = 36.0
_GAP_Y: Final = 56.0
_MARGIN: Final = 20.0
_BEND: Final = 14.0

_STYLE: Final = """\
svg{--line:#5b6b7f;--ink:#1d2733;--soft:#5b6b7f;--box:#f3f7fc;--end:#f1f1ee;--many:#0b7285;--maybe:#b35c00;--stream:#5f3dc4}
@media(prefers-color-scheme:dark){svg{--line:#8fa3ba;--ink:#e8eef5;--soft:#a3b3c5;--box:#1c2733;--end:#26272a;\
--many:#3bc9db;--maybe:#ffa94d;--stream:#b197fc}}
text{font:12px ui-monospace,Menlo,Consolas,monospace;fill:var(--soft)}
.title{font-weight:bold;fill:var(--ink)}
rect{fill:var(--box);stroke:var(--line)}
.parameters rect,.result rect{fill:var(--end)}
path{fill:none;stroke:var(--line);stroke-width:1.4}
.many path{stroke:var(--many);stroke-width:2.4}
.maybe path{stroke:var(--maybe);stroke-dasharray:6 4}
.stream path{stroke:var(--stream);stroke-width:2;stroke-dasharray:1.5 3.5;stroke-linecap:round}
.tip{fill:var(--line);stroke:none!important}
.many .tip{fill:var(--many)}.maybe .tip{fill:var(--maybe)}.stream .tip{fill:var(--stream)}
"""


@dataclass(slots=True, frozen=True)
class _Row:
    """A layer: its upper edge and its height."""

    top: float
    height: float


def svg(workflow: Graph | Definition) -> str:
    """Return the image. Each link has its label as a tooltip; boxes list what they take."""
    picture = Picture.of(workflow)
    widths = [max(map(len, node.text)) * _CHAR + 2 * _PAD for node in picture.nodes]
    layout = lay_out(picture, widths, _GAP_X, _BEND)
    rows = _rows(picture, layout)
    width = layout.width + 2 * _MARGIN
    height = (rows[-1].top + rows[-1].height if rows else 0.0) + _MARGIN
    links = [_link(link, layout, rows, _port(link, picture, layout)) for link in picture.links]
    boxes = [_box(node, cell, rows[cell.layer]) for node, cell in zip(picture.nodes, layout.nodes, strict=True)]
    size = f'width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" role="img" {size}>\n<style>\n{_STYLE}</style>'
    return "\n".join([head, *links, *boxes, "</svg>"]) + "\n"


def _rows(picture: Picture, layout: Layout) -> list[_Row]:
    rows: list[_Row] = []
    top = _MARGIN
    for layer in layout.layers:
        lines = max((len(picture.nodes[cell.node].text) for cell in layer if cell.node is not None), default=1)
        rows.append(_Row(top, lines * _LINE + 2 * _PAD - 6))
        top += rows[-1].height + _GAP_Y
    return rows


def _height(node: Node) -> float:
    return len(node.text) * _LINE + 2 * _PAD - 6


def _box(node: Node, cell: Cell, row: _Row) -> str:
    left, height = cell.left + _MARGIN, _height(node)
    radius = 5 if node.kind in (NodeKind.STEP, NodeKind.MANY) else 14
    frame = f'width="{cell.width:.1f}" height="{height:.1f}" rx="{radius}"'
    parts = [f'<g class="{node.kind.value}">']
    if node.kind is NodeKind.MANY:  # a second sheet behind the first: it fires many times
        parts.append(f'<rect x="{left + 5:.1f}" y="{row.top + 5:.1f}" {frame}/>')
    parts.append(f'<rect x="{left:.1f}" y="{row.top:.1f}" {frame}/>')
    for number, line in enumerate(node.text):
        y = row.top + _PAD + _LINE * (number + 0.6)
        kind = ' class="title"' if number == 0 else ""
        parts.append(f'<text{kind} x="{left + _PAD:.1f}" y="{y:.1f}">{escape(line)}</text>')
    return "\n".join([*parts, "</g>"])


def _port(link: Link, picture: Picture, layout: Layout) -> float:
    """Return where a link arrives at its target: links share the upper edge, in the order of where they come from."""
    into = [other for other in picture.links if other.target == link.target]
    into.sort(key=lambda other: layout.route(other.source, other.target)[-2].center)
    cell = layout.nodes[link.target]
    return cell.left + cell.width * (into.index(link) + 1) / (len(into) + 1) + _MARGIN


def _link(link: Link, layout: Layout, rows: Sequence[_Row], port: float) -> str:
    route = layout.route(link.source, link.target)
    x, y = route[0].center + _MARGIN, rows[route[0].layer].top
    path = [f"M{x:.1f} {y:.1f}V{rows[route[0].layer].top + rows[route[0].layer].height:.1f}"]
    y += rows[route[0].layer].height
    for cell in route[1:]:
        last = cell is route[-1]
        to_x, to_y = (port if last else cell.center + _MARGIN), rows[cell.layer].top - (6 if last else 0)
        bend = (to_y - y) * 0.55
        path.append(f"C{x:.1f} {y + bend:.1f} {to_x:.1f} {to_y - bend:.1f} {to_x:.1f} {to_y:.1f}")
        x, y = to_x, to_y
        if not last:
            y += rows[cell.layer].height
            path.append(f"V{y:.1f}")
    tip = f'<path class="tip" d="M{x - 4:.1f} {y - 2:.1f}h8l-4 8z"/>'
    label = f"<title>{escape(link.label)}</title>"
    return f'<g class="{link.kind.value}">{label}<path d="{"".join(path)}"/>{tip}</g>'
