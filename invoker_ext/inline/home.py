"""Whose containers evaluate an inline function that may need Node.js."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from invoker_ext.contract.graph import ActionCall
from invoker_ext.contract.messages import Identity

REVISION: Final = "inline functions"
"""In place of a document's: tells these containers from those in which the composition runs as a conductor."""


@dataclass(frozen=True, slots=True)
class Home:
    """A composition, as one namespace invokes it: nobody else's functions come into its containers.

    Attributes:
        action: The composition, with its limits; its revision is REVISION.
        user: Who invoked it.
        run: Activation id.
        environment: What functions are told, as members of the stock `/run` body.
    """

    action: ActionCall
    user: Identity
    run: str
    environment: Mapping[str, str]
