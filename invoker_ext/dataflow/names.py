"""Values by the names of their data; what was made again stands for what was lost."""

from __future__ import annotations

from collections.abc import Iterator

from invoker_ext.dataflow.commands import Bound, Chunks, Constant, Streamed, Value
from invoker_ext.dataflow.entries import Entry, Holder
from invoker_ext.dataflow.events import Datum
from invoker_ext.dataflow.matching import open_streams
from invoker_ext.dataflow.past import Recipe, held_in
from invoker_ext.dataflow.release import Held


class Names:
    """Of the data of one run."""

    def __init__(self) -> None:
        self._replaced: dict[int, tuple[Datum, Held]] = {}
        """Id of a datum that was lost → it, so that the id stays its own, and its name."""

    def replace(self, held: Held) -> None:
        """From here on the datum that has this name is another one: that it has now is lost."""
        self._replaced[id(held.datum)] = held.datum, held

    def latest(self, inputs: tuple[Bound, ...]) -> tuple[Bound, ...]:
        """Return inputs as `current` does their values."""
        if not self._replaced:
            return inputs
        return tuple(Bound(bound.name, self.current(bound.value)) for bound in inputs)

    def current(self, value: Value) -> Value:
        """Return a value with what was made again in place of what was lost."""
        if not self._replaced:
            return value
        match value:
            case tuple():
                return tuple(self.current(one) for one in value)
            case Chunks():
                return Chunks(tuple(self._now(part) for part in value.parts))
            case Constant() | Streamed():
                return value
            case _:
                return self._now(value)

    def _now(self, datum: Datum) -> Datum:
        replaced = self._replaced.get(id(datum))
        return datum if replaced is None else replaced[1].datum

    def read_by(self, entry: Entry) -> dict[int, Held]:
        """Return the data that a matched firing reads, streams included, by the id of the datum."""
        claims = claimed(entry)
        found = {id(held.datum): held for bound in entry.bound for held in self.named(bound.value, claims)}
        if entry.plan.streaming:
            for _, output in open_streams(entry):
                found |= {id(held.datum): held for held in output.items.values()}
        return found

    def named(self, value: Value, by_id: dict[int, Held]) -> Iterator[Held]:
        """Yield the names of the data of a value; `by_id`: of those that were never lost."""
        yield from held_in(self.recipe(value, by_id))

    def recipe(self, value: Value, by_id: dict[int, Held]) -> Recipe:
        """Return a value by the names of its data; `by_id` as for `named`."""
        match value:
            case tuple():
                return tuple(self.recipe(one, by_id) for one in value)
            case Chunks():
                return [self._name(part, by_id) for part in value.parts]
            case Constant() | Streamed():
                return value
            case _:
                return self._name(value, by_id)

    def _name(self, datum: Datum, by_id: dict[int, Held]) -> Held:
        replaced = self._replaced.get(id(datum))
        return by_id[id(datum)] if replaced is None else replaced[1]


def claimed(holder: Holder) -> dict[int, Held]:
    """Return what a firing or a group claims, itself and by the groups that it is in, by the id of the datum."""
    claims = {id(held.datum): held for held in holder.claims}
    group = holder.group if isinstance(holder, Entry) else holder.parent
    while group is not None:
        claims |= {id(held.datum): held for held in group.claims}
        group = group.parent
    return claims
