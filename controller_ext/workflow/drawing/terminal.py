"""Draws a workflow with box-drawing characters: layers of boxes, links routed between them on tracks of their own."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from controller_ext.workflow.definition import Definition
from controller_ext.workflow.drawing.layout import Cell, lay_out
from controller_ext.workflow.drawing.picture import Node, NodeKind, Picture
from invoker_ext.contract.graph import Graph

_GAP: Final = 3
_UP, _DOWN, _LEFT, _RIGHT = 1, 2, 4, 8
_LINES: Final = " ╵╷│╴┘┐┤╶└┌├─┴┬┼"
"""By the sum of directions that meet."""
_FRAMES: Final = {
    NodeKind.PARAMETERS: ("╭╮", "╰╯", "─", "│"),
    NodeKind.STEP: ("┌┐", "└┘", "─", "│"),
    NodeKind.MANY: ("╔╗", "╚╝", "═", "║"),
    NodeKind.RESULT: ("╭╮", "╰╯", "─", "│"),
}


def terminal(workflow: Graph | Definition) -> str:
    """Return the drawing, top to bottom in the direction of the data; lines end without blanks.

    Steps below an `each` have a double frame. A link that crosses another passes below it; where lines join they
    are of one source.
    """
    picture = Picture.of(workflow)
    widths = [max(map(len, node.text)) + 4 for node in picture.nodes]
    # Even widths would put the middle between two columns.
    layout = lay_out(picture, [width | 1 for width in widths], _GAP, 1)
    canvas = _Canvas()
    top = 0
    columns = _columns(layout.layers)
    for number, layer in enumerate(layout.layers):
        height = max((len(picture.nodes[cell.node].text) + 2 for cell in layer if cell.node is not None), default=1)
        for cell in layer:
            column = columns[id(cell)]
            bottom = top
            if cell.node is not None:
                bottom = top + canvas.box(picture.nodes[cell.node], column - int(cell.width) // 2, top, int(cell.width))
            if cell.below:
                canvas.vertical(column, bottom, top + height, id(cell))
                if cell.node is not None:
                    canvas.put(column, bottom - 1, "╤" if picture.nodes[cell.node].kind is NodeKind.MANY else "┬")
        top += height
        if number + 1 < len(layout.layers):
            top += canvas.wire(_nets(layer, columns), top)
    return canvas.text()


def _columns(layers: Iterable[Iterable[Cell]]) -> dict[int, int]:
    """Return the middle column of each cell, whole and without overlaps."""
    columns: dict[int, int] = {}
    for layer in layers:
        free = 0
        for cell in layer:
            half = int(cell.width) // 2
            columns[id(cell)] = column = max(round(cell.center), free + half)
            free = column + half + 1 + _GAP - (cell.node is None)
    return columns


@dataclass(slots=True, eq=False)
class _Net:
    """All that leaves one cell downwards.

    Attributes:
        name: Tells nets apart.
        column: Where it leaves.
        ports: Columns at which it arrives; True: at a box.
        track: Row of its horizontal line in the gap; -1: it runs straight down.
    """

    name: int
    column: int
    ports: dict[int, bool] = field(default_factory=dict)
    track: int = -1

    @property
    def ends(self) -> tuple[int, int]:
        """First and last column of its horizontal line."""
        return min(self.column, *self.ports), max(self.column, *self.ports)

    def meets(self, other: _Net) -> bool:
        """Return whether both cannot share a track."""
        return self.ends[0] <= other.ends[1] and other.ends[0] <= self.ends[1]


def _nets(layer: Iterable[Cell], columns: dict[int, int]) -> list[_Net]:
    """Return what runs from a layer to the next, ports and tracks chosen."""
    sources = [cell for cell in layer if cell.below]
    nets = [_Net(id(cell), columns[id(cell)]) for cell in sources]
    taken = {net.column: net for net in nets}
    arriving: dict[int, _Net] = {}
    for net, cell in zip(nets, sources, strict=True):
        for below in cell.below:
            if below.node is None:
                arriving[columns[id(below)]] = net
                net.ports[columns[id(below)]] = False
    for net, cell in zip(nets, sources, strict=True):
        for below in cell.below:
            if below.node is not None:
                middle, half = columns[id(below)], int(below.width) // 2 - 1
                column = _port(net, range(middle - half, middle + half + 1), middle, taken, arriving)
                arriving[column] = net
                net.ports[column] = True
    _assign_tracks(nets, arriving, taken)
    return nets


def _port(net: _Net, room: range, middle: int, taken: dict[int, _Net], arriving: dict[int, _Net]) -> int:
    """Return the column at which a net arrives at a box: straight below, else near the middle, clear of others."""
    wished = net.column if net.column in room else middle
    near = sorted(room, key=lambda column: (abs(column - wished), column))
    free = [column for column in near if column not in arriving]
    return next((column for column in free if taken.get(column, net) is net), (free or near)[0])


def _assign_tracks(nets: list[_Net], arriving: dict[int, _Net], taken: dict[int, _Net]) -> None:
    """Give each net that turns a track; one that leaves in a column where another arrives lies above that other."""
    turning = [net for net in nets if set(net.ports) != {net.column}]
    over: dict[int, list[_Net]] = {net.name: [] for net in turning}
    for column, lower in arriving.items():
        upper = taken.get(column)
        if upper is not None and upper is not lower and lower.name in over and upper.name in over:
            over[lower.name].append(upper)
    waiting = sorted(turning, key=lambda net: net.ends)
    placed: list[_Net] = []
    while waiting:
        # In a circle of such demands the first gives way: two lines then touch, which can be seen but not helped.
        net = next((one for one in waiting if not any(upper in waiting for upper in over[one.name])), waiting[0])
        waiting.remove(net)
        net.track = max((upper.track + 1 for upper in over[net.name] if upper.track >= 0), default=0)
        while any(other.track == net.track and other.meets(net) for other in placed):
            net.track += 1
        placed.append(net)


@dataclass(slots=True)
class _Canvas:
    """Rows of characters, and of the lines that pass."""

    chars: dict[tuple[int, int], str] = field(default_factory=dict)
    lines: dict[tuple[int, int], dict[int, int]] = field(default_factory=dict)

    def put(self, column: int, row: int, text: str) -> None:
        """Write text; it covers lines."""
        for offset, char in enumerate(text):
            self.chars[(row, column + offset)] = char

    def box(self, node: Node, left: int, top: int, width: int) -> int:
        """Draw a box and return its height."""
        upper, lower, bar, side = _FRAMES[node.kind]
        self.put(left, top, upper[0] + bar * (width - 2) + upper[1])
        for number, line in enumerate(node.text, 1):
            self.put(left, top + number, f"{side} {line:<{width - 4}} {side}")
        self.put(left, top + len(node.text) + 1, lower[0] + bar * (width - 2) + lower[1])
        return len(node.text) + 2

    def line(self, column: int, row: int, net: int, directions: int) -> None:
        """Let a net's line meet directions in a cell."""
        cell = self.lines.setdefault((row, column), {})
        cell[net] = cell.get(net, 0) | directions

    def vertical(self, column: int, top: int, bottom: int, net: int) -> None:
        """Draw a line over the rows from top to before bottom."""
        for row in range(top, bottom):
            self.line(column, row, net, _UP | _DOWN)

    def wire(self, nets: list[_Net], top: int) -> int:
        """Draw the lines between two layers and return how many rows they take."""
        height = max((net.track + 1 for net in nets), default=0) + 1
        for net in nets:
            self._net(net, top, top + height)
            for column, at_box in net.ports.items():
                if at_box:
                    self.put(column, top + height - 1, "▼")
        return height

    def _net(self, net: _Net, top: int, bottom: int) -> None:
        if net.track < 0:
            self.vertical(net.column, top, bottom, net.name)
            return
        row = top + net.track
        self.vertical(net.column, top, row, net.name)
        self.line(net.column, row, net.name, _UP)
        first, last = net.ends
        for column in range(first, last):
            self.line(column, row, net.name, _RIGHT)
            self.line(column + 1, row, net.name, _LEFT)
        for column in net.ports:
            self.line(column, row, net.name, _DOWN)
            self.vertical(column, row + 1, bottom, net.name)

    def text(self) -> str:
        """Return all rows."""
        for place, nets in self.lines.items():
            self.chars.setdefault(place, _glyph(nets))
        rows: dict[int, dict[int, str]] = {}
        for (row, column), char in self.chars.items():
            rows.setdefault(row, {})[column] = char
        drawn = [
            "".join(rows.get(row, {}).get(column, " ") for column in range(max(rows.get(row, {-1: ""})) + 1)).rstrip()
            for row in range(max(rows, default=-1) + 1)
        ]
        return "\n".join(drawn) + "\n"


def _glyph(nets: dict[int, int]) -> str:
    """Return the character where lines meet: of two that cross, the one that runs down is on top."""
    if len(nets) > 1 and any(directions == _UP | _DOWN for directions in nets.values()):
        return "│"
    merged = 0
    for directions in nets.values():
        merged |= directions
    return _LINES[merged]
