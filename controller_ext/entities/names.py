"""Names of entities and namespaces.

A name written out is `namespace/[package/]name`; that is also an entity's id in the store.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from controller_ext.entities.errors import Malformed, Rejected
from invoker_ext.contract.naming import HERE, SEGMENT

MAX_CHARS: Final = 256
_TOO_SHORT: Final = (
    "requirement failed: The fully qualified name of the entity must contain at least the namespace and the"
    " name of the entity."
)


@dataclass(slots=True, frozen=True)
class Name:
    """A full name.

    Attributes:
        namespace: Never `_`.
        package: None: the default package.
        name: Last segment.
    """

    namespace: str
    package: str | None
    name: str

    @property
    def path(self) -> str:
        """Return what stands before the name: `namespace[/package]`."""
        return self.namespace if self.package is None else f"{self.namespace}/{self.package}"

    @property
    def package_id(self) -> str | None:
        """Return the id of the package, None for the default one."""
        return None if self.package is None else f"{self.namespace}/{self.package}"

    def __str__(self) -> str:
        return f"{self.path}/{self.name}"

    @staticmethod
    def split(full: str) -> Name:
        """Read an id."""
        first, _, rest = full.partition("/")
        package, _, name = rest.rpartition("/")
        return Name(first, package or None, name)


def is_segment(text: str) -> bool:
    """Return whether a text can name a namespace, a package or an entity."""
    return SEGMENT.fullmatch(text) is not None


def check_entity(segment: str) -> str:
    """Return the segment of a path; raises Rejected if it cannot name an entity."""
    if len(segment) > MAX_CHARS:
        raise Rejected(f"Name segement longer than allowed: {len(segment)} > {MAX_CHARS}.")
    if not is_segment(segment):
        raise Rejected("The name of the entity contains illegal characters.")
    return segment


def check_namespace(segment: str, own: str) -> str:
    """Return the namespace that a path's segment names; raises Rejected if it cannot name one."""
    if segment in (HERE, own):
        return own
    if len(segment) > MAX_CHARS:
        raise Rejected(f"Namespace longer than allowed: {len(segment)} > {MAX_CHARS}.")
    if not is_segment(segment):
        raise Rejected("The namespace contains illegal characters.")
    return segment


def parse(text: str, own: str) -> Name:
    """Read a full name in a body: slashes around and between the parts are let pass, `_` is the caller's namespace.

    Raises:
        Malformed: It is none.
    """
    segments = [one for one in text.split("/") if one]
    if not segments:
        raise Malformed("requirement failed: path undefined")
    if not all(is_segment(one) for one in segments):
        raise Malformed(f"requirement failed: path contains invalid parts WrappedArray({', '.join(segments)})")
    if len(segments) < 2:
        raise Malformed(_TOO_SHORT)
    namespace, *package, name = segments
    if len(package) > 1:
        raise Malformed(f"requirement failed: '{text}' has more parts than a namespace, a package and a name")
    return Name(own if namespace == HERE else namespace, package[0] if package else None, name)


def parse_reference(value: object, own: str) -> Name:
    """Read what names an entity in a body: a full name, or an object of path and name; raises as `parse`."""
    match value:
        case str():
            return parse(value, own)
        case {"path": str(path), "name": str(name)} if is_path(path) and is_segment(name):
            return parse(f"{path}/{name}", own)
        case _:
            raise Malformed("fully qualified name malformed")


def is_path(value: object) -> bool:
    """Return whether a value is a path of at least one segment; slashes around and between them are let pass."""
    segments = [one for one in value.split("/") if one] if isinstance(value, str) else []
    return bool(segments) and all(SEGMENT.fullmatch(one) for one in segments)


def reference(name: Name) -> dict[str, str]:
    """Return a name as rules and triggers store it."""
    return {"path": name.path, "name": name.name}


def referred(reference: Mapping[str, str]) -> Name:
    """Read what `reference` returned."""
    return Name.split(f"{reference['path']}/{reference['name']}")
