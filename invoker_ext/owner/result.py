"""What a run comes to: its result or its error, as JSON text."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import cast

from action_runtime.wire.values import WHOLE
from invoker_ext.dataflow.commands import Bound, End
from invoker_ext.dataflow.events import Outcome
from invoker_ext.dataflow.keys import Firing
from invoker_ext.owner.outcomes import Judgement, error_of, unreadable
from invoker_ext.relay.json_form import data_of, localised, object_json
from invoker_ext.sink.datum import Stored


class LastRead:
    """The whole result of what returned last, for all records of it: kept by the store or read, once.

    Args:
        place: Has the store keep a datum and returns its place, or None: it must be read. None: do not try.
    """

    __slots__ = ("_characters", "_content", "_datum", "_place")

    def __init__(self, place: Callable[[Stored], str | None] | None) -> None:
        self._place = place
        self._datum: Stored | None = None
        self._characters = 0
        self._content: tuple[bytes, str | None] | None = None

    def note(self, datum: Stored, characters: int) -> None:
        """Take a result, JSON text of so many characters, which nobody has read; its references stay the caller's."""
        self._datum, self._characters, self._content = datum, characters, None

    def keep(self, datum: Stored, text: bytes) -> None:
        """Take a JSON datum that was just made of this text."""
        self._datum, self._characters, self._content = datum, _characters(text), (text, None)

    def content(self, datum: Stored) -> tuple[bytes, str | None]:
        """Return the text of a JSON datum and None, or nothing and its place in the store. Copies at most once.

        Raises:
            OSError: Spilled bytes cannot be read back.
        """
        if datum is not self._datum:
            return datum.read(), None
        if self._content is None:
            place = self._place(datum) if self._place is not None else None
            self._content = (b"", place) if place is not None else (datum.read(), None)
        return self._content

    def of_run(self, inputs: Sequence[Bound]) -> tuple[bytes, str | None, int]:
        """Return what is bound as `content` does, and its characters; raises as it."""
        if self._datum is not None and len(inputs) == 1 and inputs[0].name == WHOLE and inputs[0].value is self._datum:
            return *self.content(self._datum), self._characters
        result = object_json(inputs)
        return result, None, _characters(result)


def _characters(text: bytes) -> int:
    return (len(text) if text.isascii() else len(text.decode(errors="replace"))) + 1


def result_of(
    end: End,
    sizes: Mapping[Firing, int | None],
    reads: LastRead,
    bound_bytes: int | None,
    copies: Mapping[int, Stored],
) -> Judgement:
    """Put the result of a run together; copies, so a large one is better put together in a thread.

    Args:
        end: What the machine said.
        sizes: Of the raw response of each firing that failed; a sequence passes that of its failing one on.
        reads: Of the run.
        bound_bytes: What a result may have; None: anything.
        copies: Of what other hosts hold of it.
    """
    size_bytes = sum(value.size_bytes for bound in end.result for value in data_of(bound.value))
    if bound_bytes is not None and size_bytes > bound_bytes:
        return _too_large(size_bytes, bound_bytes)  # not even put together
    if copies:
        result = tuple(Bound(bound.name, localised(bound.value, copies)) for bound in end.result)
        end = replace(end, result=result)
    judgement = _result_of(end, sizes, reads)
    if bound_bytes is not None and len(judgement.result) > bound_bytes:
        return _too_large(len(judgement.result), bound_bytes)
    return judgement


def _too_large(size_bytes: int, bound_bytes: int) -> Judgement:
    text = (
        f"The workflow produced a result that exceeded the allowed length: {size_bytes} > {bound_bytes} bytes. "
        "Return less of it, or keep it elsewhere and return where."
    )
    return error_of(text, Outcome.APPLICATION_ERROR)


def _result_of(end: End, sizes: Mapping[Firing, int | None], reads: LastRead) -> Judgement:
    try:
        if end.outcome is Outcome.SUCCESS:
            result, place, characters = reads.of_run(end.result)
            return Judgement(end.outcome, result, None, characters, place=place)
        if isinstance(end.error, str):
            return error_of(end.error, end.outcome)
        text = cast("Stored", end.error).read() if end.error is not None else b"null"
        size = sizes.get(end.failed) if end.failed is not None else None
        return Judgement(end.outcome, b'{"error":' + text + b"}", text, size)
    except OSError as error:
        return unreadable(error)
