"""What is remembered of firings that are over: what they read and made, by name, without the data themselves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from invoker_ext.dataflow.commands import Chunks, Constant, Streamed, Value
from invoker_ext.dataflow.entries import Output
from invoker_ext.dataflow.plan import LeafPlan
from invoker_ext.dataflow.release import Held

Recipe = Held | Constant | Streamed | tuple["Recipe", ...] | list[Held]
"""A value by the names of its data: each is a Held; a list stands for Chunks."""


@dataclass(slots=True, eq=False)
class Past:
    """What is remembered of a firing that is over.

    Attributes:
        inputs: What it read.
        streams: Its streamed inputs: where they arrived, and the output of the producer.
        outputs: What it made.
        repeats: How often it was executed again.
    """

    inputs: list[tuple[str, Recipe]]
    streams: list[tuple[LeafPlan, Output]]
    outputs: dict[str, Output]
    repeats: int = 0

    def sources(self) -> Iterator[Held]:
        """Yield all data that it read."""
        for _, recipe in self.inputs:
            yield from held_in(recipe)
        for _, output in self.streams:
            yield from output.items.values()


def held_in(recipe: Recipe) -> Iterator[Held]:
    """Yield every datum in a value."""
    match recipe:
        case tuple() | list():
            for one in recipe:
                yield from held_in(one)
        case Held():
            yield recipe
        case Constant() | Streamed():
            return


def value_of(recipe: Recipe) -> Value:
    """Return the value as it is now."""
    match recipe:
        case tuple():
            return tuple(value_of(one) for one in recipe)
        case list():
            return Chunks(tuple(held.datum for held in recipe))
        case Held():
            return recipe.datum
        case _:
            return recipe
