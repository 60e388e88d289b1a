"""Where things stand: nodes in layers so that links lead downwards, few of them cross, and they run straight.

Links that pass layers pass through *bends*, one a layer and source: all links of a source share them.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from controller_ext.workflow.drawing.picture import NodeKind, Picture

_ORDER_SWEEPS: Final = 8
_PLACE_SWEEPS: Final = 12


@dataclass(slots=True, eq=False)
class Cell:
    """A place in a layer.

    Attributes:
        node: Index of the node that stands here; None: a bend.
        layer: From 0, downwards.
        width: Room it takes.
        center: Its middle, from the left edge of the drawing.
        above, below: What it is linked with in the layers beside its own.
    """

    node: int | None
    layer: int
    width: float
    center: float = 0.0
    above: list[Cell] = field(default_factory=list)
    below: list[Cell] = field(default_factory=list)

    @property
    def left(self) -> float:
        """Its left edge."""
        return self.center - self.width / 2


@dataclass(slots=True, frozen=True)
class Layout:
    """A laid-out picture.

    Attributes:
        layers: Cells from left to right, layer by layer.
        nodes: The cell of each node, by index.
        width: Of the drawing.
    """

    layers: tuple[tuple[Cell, ...], ...]
    nodes: tuple[Cell, ...]
    width: float

    def route(self, source: int, target: int) -> list[Cell]:
        """Return the cells that a link runs through, from its source to its target."""
        cell, route = self.nodes[target], [self.nodes[target]]
        origin = self.nodes[source]
        while cell is not origin:
            cell = next(above for above in cell.above if above is origin or _chain(above, origin))
            route.append(cell)
        return route[::-1]


def lay_out(picture: Picture, widths: Sequence[float], gap: float, bend: float) -> Layout:
    """Return where the nodes of a picture stand.

    Args:
        picture: What to lay out.
        widths: Of each node, in any unit.
        gap: Least room between two cells.
        bend: Width of a bend.
    """
    levels = _levels(picture)
    nodes = tuple(Cell(at, level, width) for at, (level, width) in enumerate(zip(levels, widths, strict=True)))
    layers: list[list[Cell]] = [[] for _ in range(max(levels, default=-1) + 1)]
    for cell in nodes:
        layers[cell.layer].append(cell)
    bends: dict[tuple[int, int], Cell] = {}
    for source, target in dict.fromkeys((link.source, link.target) for link in picture.links):
        above = nodes[source]
        for level in range(levels[source] + 1, levels[target]):
            known = bends.get((source, level))
            if known is None:
                known = bends[(source, level)] = Cell(None, level, bend)
                layers[level].append(known)
                _join(above, known)
            above = known
        _join(above, nodes[target])
    _order(layers)
    _place(layers, gap)
    edge = min((cell.left for layer in layers for cell in layer), default=0.0)
    for layer in layers:
        for cell in layer:
            cell.center -= edge
    width = max((cell.left + cell.width for layer in layers for cell in layer), default=0.0)
    return Layout(tuple(tuple(layer) for layer in layers), nodes, width)


def _levels(picture: Picture) -> list[int]:
    """Return the layer of each node: one below the lowest that it takes from; the result below all."""
    levels = [0] * len(picture.nodes)
    into: dict[int, list[int]] = {}
    for link in picture.links:
        into.setdefault(link.target, []).append(link.source)
    for at, node in enumerate(picture.nodes):
        levels[at] = max((levels[source] + 1 for source in into.get(at, ())), default=0)
        if node.kind is NodeKind.RESULT:
            levels[at] = max(levels[:at], default=-1) + 1
    return levels


def _join(above: Cell, below: Cell) -> None:
    above.below.append(below)
    below.above.append(above)


def _chain(cell: Cell, origin: Cell) -> bool:
    """Return whether a bend belongs to the links of this origin."""
    while cell.node is None:
        cell = cell.above[0]
    return cell is origin


def _order(layers: list[list[Cell]]) -> None:
    """Order the cells of each layer by the mean place of their neighbours, down and up in turn."""
    for sweep in range(_ORDER_SWEEPS):
        down = sweep % 2 == 0
        for layer in layers if down else layers[::-1]:
            beside = layer[0].layer + (-1 if down else 1)
            ranks = {id(cell): place for place, cell in enumerate(layers[beside])} if 0 <= beside < len(layers) else {}
            means = {
                id(cell): _mean([ranks[id(one)] for one in (cell.above if down else cell.below)], place)
                for place, cell in enumerate(layer)
            }
            layer.sort(key=lambda cell: means[id(cell)])


def _mean(values: Sequence[float], default: float) -> float:
    return sum(values) / len(values) if values else default


def _place(layers: list[list[Cell]], gap: float) -> None:
    """Move cells towards the mean of their neighbours as far as their order and the gap allow."""
    for layer in layers:
        left = 0.0
        for cell in layer:
            cell.center = left + cell.width / 2
            left += cell.width + gap
    for sweep in range(_PLACE_SWEEPS):
        for layer in layers if sweep % 2 == 0 else layers[::-1]:
            wished = [_mean([one.center for one in (*cell.above, *cell.below)], cell.center) for cell in layer]
            _settle(layer, wished, gap)


def _settle(layer: list[Cell], wished: list[float], gap: float) -> None:
    """Give each cell the place nearest to the wished one, all together (least squares over an order)."""
    offsets = [0.0]
    for before, cell in itertools.pairwise(layer):
        offsets.append(offsets[-1] + (before.width + cell.width) / 2 + gap)
    blocks: list[tuple[float, int]] = []  # mean of the wishes, number of cells
    for wish, offset in zip(wished, offsets, strict=False):
        mean, count = wish - offset, 1
        while blocks and blocks[-1][0] > mean:
            other, number = blocks.pop()
            mean, count = (mean * count + other * number) / (count + number), count + number
        blocks.append((mean, count))
    starts = [mean for mean, count in blocks for _ in range(count)]
    for cell, start, offset in zip(layer, starts, offsets, strict=False):
        cell.center = start + offset
