"""Draws a workflow in the terminal: a row of boxes a layer, each with what it takes and from where."""

from __future__ import annotations

from typing import Final

from rich.align import Align
from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.text import Text

from controller_ext.cli.drawing import Arrow, ArrowKind, Box, BoxKind, Drawing

_SIGN: Final = {
    ArrowKind.PLAIN: ("←", "green"),
    ArrowKind.MANY: ("⇇", "bold cyan"),
    ArrowKind.STREAM: ("⇜", "blue"),
    ArrowKind.MAYBE: ("⇠", "yellow"),
}


def draw(drawing: Drawing) -> RenderableType:
    """Return the drawing, top to bottom in the order in which data flow."""
    parts: list[RenderableType] = []
    for number, layer in enumerate(drawing.layers):
        if number:
            parts.append(Align.center(Text("↓", "dim")))
        parts.append(Align.center(Columns([_panel(box, drawing) for box in layer], padding=(0, 2))))
    return Group(*parts)


def _panel(box: Box, drawing: Drawing) -> Panel:
    arrows = drawing.into(box.name)
    lines = [Text(box.action, "dim")] if box.action else []
    lines += [_line(arrow) for arrow in arrows]
    lines += [Text(note, "dim") for note in box.notes]
    if box.kind is BoxKind.PARAMETERS:
        lines.append(Text("the run's parameters", "dim"))
    style = "green" if box.kind is BoxKind.STEP else "blue"
    return Panel(Text("\n").join(lines), title=Text(box.name, "bold"), border_style=style, expand=False)


def _line(arrow: Arrow) -> Text:
    sign, style = _SIGN[arrow.kind]
    text = Text.assemble((sign, style), f" {arrow.source}")
    if arrow.label:
        text.append(f"  {arrow.label}", style)
    return text
