"""Draws the time line of a run in the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from controller_ext.cli.timeline import RUNNING, Firing, Phase, Timeline

LOOK: Final = {
    Phase.CONTAINER: ("░", "yellow"),
    Phase.FUNCTION: ("█", "green"),
    Phase.LEAVING: ("▒", "cyan"),
}
LEGEND: Final = {
    Phase.CONTAINER: "waits",
    Phase.FUNCTION: "FLU: function runs",
    Phase.LEAVING: "DLU: data leave",
}
MOST_LINES: Final = 48
LAST_LINES: Final = 4
LEAST_BAR: Final = 16
LONGEST_LABEL: Final = 16
_TITLES: Final = ("FLU", "in", "out", "")


def draw(timeline: Timeline, width: int, *, most: int = MOST_LINES) -> RenderableType:
    """Return the drawing.

    Args:
        timeline: The run.
        width: Characters of a line.
        most: Firings to draw; of more, the first ones and the last LAST_LINES.
    """
    hidden = max(0, len(timeline.firings) - most)
    cut = most - LAST_LINES
    shown = [*timeline.firings[:cut], *timeline.firings[cut + hidden :]]
    beside = [_beside(firing) for firing in shown]
    label_width = min(LONGEST_LABEL, max([4, *(len(firing.label) for firing in shown)]))
    widths = [max([len(title), *(len(texts[n]) for texts in beside)]) for n, title in enumerate(_TITLES)]
    # Every column but the last is followed by a space.
    bar_width = max(LEAST_BAR, width - label_width - sum(widths) - len(widths) - 1)
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold")
    table.add_column("step", overflow="ellipsis", no_wrap=True, width=label_width)
    table.add_column(_axis(timeline, bar_width), no_wrap=True, width=bar_width)
    for title in _TITLES:
        table.add_column(title, justify="right" if title else "left", no_wrap=True)
    for number, (firing, texts) in enumerate(zip(shown, beside, strict=True)):
        if hidden and number == cut:
            table.add_row("…", Text(f"{hidden} more", "dim"))
        *numbers, remark = texts
        table.add_row(
            Text(_end_of(firing.label)), bar(firing, timeline, bar_width), *numbers, Text(remark, _style(firing))
        )
    parts: list[RenderableType] = [_headline(timeline), *_why(timeline), table]
    if hidden:
        parts.append(Text(f"all firings: dataflower trace --all {timeline.activation_id}", "dim"))
    if timeline.missing:
        parts.append(Text(f"{_counted(timeline.missing, 'record')} not there (yet)", "yellow"))
    parts += [_legend(), _totals(timeline)]
    return Group(*parts)


def bar(firing: Firing, timeline: Timeline, width: int) -> Text:
    """Return a firing's phases at the scale of the run; each phase that took time takes a character at least."""
    begin_ms, length_ms = timeline.begin_ms, max(timeline.end_ms - timeline.begin_ms, 1e-6)
    cells: list[Phase | None] = [None] * width
    for span in firing.spans(timeline.end_ms):
        if span.end_ms <= span.begin_ms and span.phase is not Phase.FUNCTION:
            continue
        first = min(width - 1, int((span.begin_ms - begin_ms) / length_ms * width))
        last = min(width - 1, max(first, int((span.end_ms - begin_ms) / length_ms * width - 1e-9)))
        for cell in range(first, last + 1):
            # A later phase must not hide that the function ran in this cell.
            if cells[cell] is not Phase.FUNCTION:
                cells[cell] = span.phase
    text = Text()
    for phase in cells:
        text.append(*(LOOK[phase] if phase else (" ", "")))
    return text


def duration(length_ms: float) -> str:
    """Return a time with the unit that fits it."""
    if length_ms < 10:
        return f"{length_ms:.1f} ms"
    return f"{length_ms:.0f} ms" if length_ms < 10_000 else f"{length_ms / 1000:.1f} s"


def size(count: int) -> str:
    """Return a number of bytes with the unit that fits it."""
    if count < 1024:
        return f"{count} B"
    power = min(3, (count.bit_length() - 1) // 10)
    return f"{count / 1024**power:.1f} {'KMG'[power - 1]}iB"


def paths(sizes: Mapping[str, int]) -> str:
    """Return bytes by the path they took: `12.0 KiB memory`, for several paths joined by `+`."""
    return " + ".join(f"{size(count)} {path}" for path, count in sizes.items() if count) or "–"


def short_paths(sizes: Mapping[str, int]) -> str:
    """Return the same in a few characters, `12K m`: the path by its first letter."""
    return "+".join(f"{_short(count)} {path[:1]}" for path, count in sizes.items() if count) or "–"


def _short(count: int) -> str:
    power = min(3, max(0, (count.bit_length() - 1) // 10))
    number = count / 1024**power
    digits = f"{number:.1f}" if power and number < 9.95 else f"{number:.0f}"
    return f"{digits}{' KMG'[power]}".replace(" ", "")


def _axis(timeline: Timeline, width: int) -> Text:
    text = duration(timeline.end_ms - timeline.begin_ms)
    return Text("0" + text.rjust(width - 1))


def _end_of(label: str) -> str:
    """Return a label without its beginning if it is too long: firings differ at the end."""
    return label if len(label) <= LONGEST_LABEL else f"…{label[1 - LONGEST_LABEL :]}"


def _headline(timeline: Timeline) -> Text:
    good = timeline.status in ("success", RUNNING)
    ended_ms, repeated = timeline.ended_ms, timeline.repeated
    # Measured as the axis is; that goes on until the last data have left.
    whole = duration(timeline.end_ms - timeline.begin_ms)
    took = "" if ended_ms is None else f" in {duration(ended_ms - timeline.begin_ms)}"
    left = "" if took in ("", f" in {whole}") else f" (all data had left after {whole})"
    firings = _counted(len(timeline.firings) - repeated, "firing")
    attempts = f", {_counted(repeated, 'further attempt')}" if repeated else ""
    return Text.assemble(
        (timeline.name, "bold"),
        f" {timeline.activation_id}  ",
        (timeline.status, "green" if good else "red"),
        f"{took}{left}, {firings}{attempts}",
    )


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _why(timeline: Timeline) -> list[Text]:
    """Return why a run failed, and where to read on; nothing of a run that did not."""
    if timeline.status in ("success", RUNNING):
        return []
    failed = timeline.failed
    if failed is None:
        return [Text(timeline.error, "red")] if timeline.error else []
    where = Text(f"{failed.label}: {failed.error or failed.status}", "red")
    where.append(f"  wsk activation logs {failed.activation_id}", "dim")
    return [where, *([Text(timeline.error, "red")] if timeline.error not in ("", failed.error) else [])]


def _beside(firing: Firing) -> tuple[str, str, str, str]:
    """Return what stands beside a bar, in the order of _TITLES."""
    took = "" if firing.function_ms is None else duration(firing.function_ms)
    remark = firing.warmth if firing.status == "success" else firing.status
    remark = f"{remark} {firing.host}".rstrip()
    return took, short_paths(firing.bytes_in), short_paths(firing.bytes_out), remark


def _style(firing: Firing) -> str:
    if firing.status == RUNNING:
        return "bold green"
    if firing.status != "success":
        return "red"
    return "dim" if firing.warmth == "warm" else "magenta"


def _legend() -> Text:
    text = Text()
    for phase, (character, style) in LOOK.items():
        text.append(character, style)
        text.append(f" {LEGEND[phase]}  ", "dim")
    text.append("i inline, m memory, d disk, p from a peer", "dim")
    return text


def _totals(timeline: Timeline) -> Text:
    return Text(f"all in:  {paths(timeline.bytes_in)}\nall out: {paths(timeline.bytes_out)}", "dim")
