"""What a region begins with: the inputs of its step as one datum that is here."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Final, cast

from action_runtime.wire.errors import DataflowError
from action_runtime.wire.values import WHOLE, Media
from invoker_ext.dataflow.commands import Bound, Chunks, Constant, Streamed
from invoker_ext.owner.children import parameters_of
from invoker_ext.owner.host import Copy
from invoker_ext.relay.json_form import data_of, object_json
from invoker_ext.sink.datum import Stored

_OPTIONS: Final = b'"$composer"'
Put = Callable[[bytes], Stored]
"""Holds JSON text."""


def is_far(inputs: Sequence[Bound]) -> bool:
    """Return whether other hosts hold some of it."""
    return any(datum.elsewhere for bound in inputs for datum in data_of(bound.value))


def given(inputs: Sequence[Bound], put: Put) -> Stored:
    """Return what is bound as one datum, with a reference of its own; all of it is here."""
    whole = _whole(inputs)
    if whole is None:
        return put(object_json(inputs))
    whole.retain()
    return whole


async def brought(inputs: Sequence[Bound], copy: Copy, put: Put) -> Stored:
    """Return the same of what other hosts hold, once it was pulled.

    Raises:
        DataflowError: It cannot be had.
    """
    whole = _whole(inputs)
    if whole is None:
        return put(await parameters_of(inputs, copy))
    whole.retain()
    try:
        here = await copy(whole)
    except DataflowError:
        whole.release()
        raise
    here.release()  # its ref keeps the copy
    return whole


def _whole(inputs: Sequence[Bound]) -> Stored | None:
    value = inputs[0].value if len(inputs) == 1 and inputs[0].name == WHOLE else None
    if value is None or isinstance(value, Chunks | Constant | Streamed | tuple):
        return None
    stored = cast("Stored", value)
    return stored if stored.head.media is Media.JSON else None


def without_options(stored: Stored, put: Put) -> Stored:
    """Take Composer's own parameter out of a composition's: Redis is not needed, and its state is nobody else's."""
    if _OPTIONS not in (text := stored.read()):
        return stored
    stored.release()
    parsed = json.loads(text)
    parsed.pop("$composer", None)
    return put(json.dumps(parsed).encode())
