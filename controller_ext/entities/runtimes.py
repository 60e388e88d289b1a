"""The manifest: which kinds of runtime there are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from controller_ext.entities.errors import Malformed
from invoker_ext.contract.graph import GraphKind
from invoker_ext.contract.kinds import NODEJS, family

SEQUENCE: Final = GraphKind.SEQUENCE.value
NATIVE: Final = GraphKind.DATAFLOW.value
BLACKBOX: Final = "blackbox"


@dataclass(slots=True, frozen=True, kw_only=True)
class Runtime:
    """One kind.

    Attributes:
        kind: `python:3.11`.
        image: Public name of the image that runs it.
        default: What `FAMILY:default` stands for.
        deprecated: Actions of it can be read and deleted, nothing else.
        require_main: An action must name its entry point.
    """

    kind: str
    image: str
    default: bool = False
    deprecated: bool = False
    require_main: bool = False


@dataclass(slots=True, frozen=True)
class Manifest:
    """All kinds, by family.

    Attributes:
        families: Of kinds.
        evaluating: Inline functions of compositions are evaluated in containers of Node.js, where there are such.

    Raises:
        ValueError: A family has no default, or two.
    """

    families: Mapping[str, tuple[Runtime, ...]]
    evaluating: bool = False
    _kinds: dict[str, Runtime] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name, runtimes in self.families.items():
            defaults = [one for one in runtimes if one.default or len(runtimes) == 1]
            if len(defaults) != 1:
                raise ValueError(f"family {name} has {len(defaults)} defaults, not one")
            self._kinds.update((one.kind, one) for one in runtimes)
            self._kinds[f"{name}:default"] = defaults[0]

    def resolve(self, kind: str) -> Runtime:
        """Return the runtime of a kind, or of a family's default.

        Raises:
            Malformed: There is none.
        """
        runtime = self._kinds.get(kind)
        if runtime is None:
            names = [one.kind for runtimes in self.families.values() for one in runtimes]
            valid = ", ".join(f"'{name}'" for name in (*names, SEQUENCE, BLACKBOX))
            hint = f" Workflows are of kind '{NATIVE}'." if kind.startswith("dataflow") else ""
            raise Malformed(
                f"The specified runtime '{kind}' is not supported by this platform. Valid values are: {valid}.{hint}"
            )
        return runtime

    def offers(self, kind: str) -> bool:
        """Return whether there is a runtime of this kind."""
        return kind in self._kinds

    def evaluates(self, kind: str) -> bool:
        """Return whether inline functions of a composition of this kind are evaluated in containers of it."""
        return self.evaluating and family(kind) == NODEJS and self.offers(kind)

    def deprecated(self, kind: str) -> bool:
        """Return whether actions of this kind can no longer be updated or invoked."""
        runtime = self._kinds.get(kind)
        return runtime is not None and runtime.deprecated

    def document(self) -> dict[str, list[dict[str, Any]]]:
        """Return the member `runtimes` of `GET /`."""
        return {
            name: [
                {
                    "kind": one.kind,
                    "image": one.image,
                    "deprecated": one.deprecated,
                    "default": one is self._kinds[f"{name}:default"],
                    "attached": True,
                    "requireMain": one.require_main,
                }
                for one in runtimes
            ]
            for name, runtimes in self.families.items()
        }


def deprecation(kind: str) -> str:
    """Return what a caller hears of a deprecated kind."""
    return f"The '{kind}' runtime is no longer supported. You may read and delete but not update or invoke this action."


def manifest_of(kinds: Iterable[str], *, evaluating: bool = False) -> Manifest:
    """Return the manifest that offers these kinds under the names of stock's images.

    Args:
        kinds: `FAMILY:VERSION`; the first of each family is its default.
        evaluating: See `Manifest`.
    """
    families: dict[str, list[Runtime]] = {}
    for kind in kinds:
        name, _, version = kind.partition(":")
        known = families.setdefault(name, [])
        # A kind that only says 3 is run by whatever is the default.
        image = f"openwhisk/action-{name}-v{version}:nightly" if version != "3" or not known else known[0].image
        known.append(Runtime(kind=kind, image=image, default=not known))
    return Manifest({family: tuple(known) for family, known in families.items()}, evaluating)


STOCK: Final = manifest_of(("python:3.11", "python:3"))
"""Where nothing else was found or told."""
