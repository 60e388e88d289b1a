"""What a region comes to, as the outputs of its step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final, cast

from action_runtime.wire.values import WHOLE, Head, Media
from invoker_ext.dataflow.commands import Dispatch
from invoker_ext.dataflow.events import Committed, Event, How, Outcome, Returned
from invoker_ext.dataflow.keys import DataKey
from invoker_ext.dataflow.regions.commands import Leave
from invoker_ext.dataflow.regions.values import Leaf
from invoker_ext.owner.answers import json_of, text_json
from invoker_ext.owner.children import cut_events, failed_event
from invoker_ext.owner.reading import Copies
from invoker_ext.relay.results import Output, Split, split_json
from invoker_ext.sink.datum import Stored

QUICK_BYTES: Final = 256 * 1024
"""Up to here what is left is read on the loop."""


def as_it_is(command: Dispatch, leave: Leave, wanted: Mapping[str, str], at: float) -> Iterator[Event] | None:
    """Return what the machine of the run must hear, if nothing of it has to be read: one datum is all, or nobody reads.

    Args:
        command: That asked for the region.
        leave: How it ended.
        wanted: Outputs that somebody reads.
        at: Monotonic seconds.
    """
    as_one = not wanted or (_is_whole(wanted) and isinstance(leave.value, Leaf))
    return _passed_on(command, leave, wanted, at) if as_one and leave.outcome is Outcome.SUCCESS else None


def _passed_on(command: Dispatch, leave: Leave, wanted: Mapping[str, str], at: float) -> Iterator[Event]:
    firing, attempt = command.firing, command.attempt
    if wanted and isinstance(leave.value, Leaf):
        stored = cast("Stored", leave.value.datum)
        stored.retain()
        # Not elsewhere: what a region holds has a copy here, wherever it was made.
        yield Committed(DataKey(firing.step, firing.tag, WHOLE), attempt, How.WHOLE, stored, at)
    yield Returned(firing, attempt, Outcome.SUCCESS, {}, None, at)


def read(leave: Leave, wanted: Mapping[str, str], copies: Copies) -> Split | bytes:
    """Return the outputs that somebody reads, or the text of the error. Copies nothing of the sink's books.

    Raises:
        OSError: Spilled bytes cannot be read back.
    """
    text = json_of(leave.value, copies)
    if leave.outcome is not Outcome.SUCCESS:
        return text
    if _is_whole(wanted):
        return Split("ok", [Output(WHOLE, 0, How.WHOLE.value, Head(Media.JSON, len(text)), text)])
    return split_json(text, wanted)


def unread(error: Exception) -> bytes:
    """Return the text of the error that the value cannot be read."""
    return text_json(f"The value cannot be read: {error}")


def events(
    command: Dispatch, leave: Leave, found: Split | bytes, put: Callable[[Head, bytes], Stored], at: float
) -> Iterator[Event]:
    """Yield what the machine of the run must hear of what was read; other arguments as of `children.whole_events`."""
    if isinstance(found, Split):
        return cut_events(command, found, put, at)
    return iter((failed_event(command, leave.outcome, found, put, at),))


def _is_whole(wanted: Mapping[str, str]) -> bool:
    return wanted.keys() == {WHOLE}
