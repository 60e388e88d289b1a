"""What a run results in is read once at most."""

from __future__ import annotations

from typing import cast

from action_runtime.wire.values import WHOLE, Head, Media
from invoker_ext.dataflow.commands import Bound, End
from invoker_ext.dataflow.events import Outcome
from invoker_ext.owner.result import LastRead, result_of
from invoker_ext.sink.datum import Stored


class Unread:
    """A datum that must not be read."""

    head = Head(Media.JSON, 9)
    size_bytes = 9
    elsewhere = False

    def read(self) -> bytes:
        raise AssertionError("its text is at hand")


def test_a_result_that_was_just_made_is_not_read_again_and_counts_its_characters():
    datum, text = cast("Stored", Unread()), '{"a":"ü"}'.encode()
    reads = LastRead(None)
    reads.keep(datum, text)
    end = End(Outcome.SUCCESS, (Bound(WHOLE, datum),), None, None)
    judgement = result_of(end, {}, reads, None, {})
    assert (judgement.result, judgement.size) == (text, 10)
