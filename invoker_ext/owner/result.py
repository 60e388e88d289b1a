"""What a run comes to: its result or its error, as JSON text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from action_runtime.wire.values import WHOLE
from invoker_ext.dataflow.commands import Bound, End
from invoker_ext.dataflow.events import Outcome
from invoker_ext.dataflow.keys import Firing
from invoker_ext.owner.outcomes import Judgement, error_of
from invoker_ext.relay.json_form import data_of, object_json
from invoker_ext.sink.datum import Stored


class LastRead:
    """The whole result of a function that was read last, for its record: often the result of the run, too."""

    __slots__ = ("_datum", "_text")

    def __init__(self) -> None:
        self._datum: Stored | None = None
        self._text = b""

    def read(self, datum: Stored) -> bytes:
        """Return the bytes of a JSON datum and keep them; copies once."""
        self._datum, self._text = datum, datum.read()
        return self._text

    def object_json(self, inputs: Sequence[Bound]) -> bytes:
        """Return what is bound as JSON text; copies nothing if it is what was read last."""
        if len(inputs) == 1 and inputs[0].name == WHOLE and inputs[0].value is self._datum:
            return self._text
        return object_json(inputs)


def result_of(
    end: End, sizes: Mapping[Firing, int | None], reads: LastRead, bound_bytes: int | None = None
) -> Judgement:
    """Put the result of a run together; copies, so a large one is better put together in a thread.

    Args:
        end: What the machine said.
        sizes: Of the raw response of each firing that failed; a sequence passes that of its failing one on.
        reads: Of the run.
        bound_bytes: What a result may have; None: anything.
    """
    size_bytes = sum(value.size_bytes for bound in end.result for value in data_of(bound.value))
    if bound_bytes is not None and size_bytes > bound_bytes:
        return _too_large(size_bytes, bound_bytes)  # not even put together
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
            result = reads.object_json(end.result)
            characters = len(result) if result.isascii() else len(result.decode(errors="replace"))
            return Judgement(end.outcome, result, None, characters + 1)
        if isinstance(end.error, str):
            return error_of(end.error, end.outcome)
        text = cast("Stored", end.error).read() if end.error is not None else b"null"
        size = sizes.get(end.failed) if end.failed is not None else None
        return Judgement(end.outcome, b'{"error":' + text + b"}", text, size)
    except OSError as error:
        return error_of(f"The result cannot be read back from the spill disk: {error}", Outcome.PLATFORM_ERROR)
