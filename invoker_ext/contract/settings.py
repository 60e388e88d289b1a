"""Reads a frozen settings dataclass from the environment: all bad values are reported together, typos included.

A field's variable is PREFIX + NAME in capitals; type, default and doc (its metadata) stand in the dataclass alone.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from action_runtime.wire.errors import Blame, DataflowError

T = TypeVar("T")


class SettingsError(DataflowError):
    """Some settings are missing, malformed or unknown.

    Attributes:
        problems: One sentence each.
    """

    code = "settings"
    blame = Blame.CALLER

    def __init__(self, problems: list[str]) -> None:
        super().__init__("bad settings:\n" + "\n".join(f"  {problem}" for problem in problems))
        self.problems = problems


def setting(doc: str, default: Any = dataclasses.MISSING) -> Any:  # noqa: ANN401 - stands for a field of any type
    """Declare a field: what it means with its unit, and its default (none: it must be given)."""
    return dataclasses.field(default=default, metadata={"doc": doc})


def read_settings(kind: type[T], environ: Mapping[str, str], prefix: str) -> T:
    """Return the settings that the environment gives.

    Args:
        kind: A frozen dataclass whose fields are `setting`s of type str, int, float, bool or Path (or None beside one).
        environ: Usually `os.environ`.
        prefix: `DATAFLOWER_INVOKER_`.

    Raises:
        SettingsError: Lists everything that is wrong.
    """
    hints = get_type_hints(kind)
    problems: list[str] = []
    values: dict[str, Any] = {}
    fields = {prefix + one.name.upper(): one for one in dataclasses.fields(kind)}  # type: ignore[arg-type]
    problems += [_unknown(name, fields) for name in environ if name.startswith(prefix) and name not in fields]
    for name, one in fields.items():
        text = environ.get(name)
        if text is None:
            if one.default is dataclasses.MISSING:
                problems.append(f"{name} must be set: {one.metadata['doc']}")
            continue
        try:
            values[one.name] = _parse(hints[one.name], text)
        except ValueError:
            problems.append(f"{name} is {text!r}, which is no {_type_name(hints[one.name])}")
    if not problems:
        try:
            return kind(**values)
        except ValueError as error:
            problems.append(str(error))
    raise SettingsError(problems)


def rows(kind: type[Any], prefix: str) -> list[tuple[str, str, str]]:
    """Return (variable, default, meaning) for each setting, for documents."""
    return [
        (
            prefix + one.name.upper(),
            "required" if one.default is dataclasses.MISSING else str(one.default),
            one.metadata["doc"],
        )
        for one in dataclasses.fields(kind)
    ]


def _unknown(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, known, 1, 0.9)
    return f"{name} is not a setting" + (f": did you mean {near[0]}?" if near else f"; known are: {', '.join(known)}")


def _type_name(hint: Any) -> str:  # noqa: ANN401 - a type or a union
    return str(getattr(hint, "__name__", hint))


def _parse(hint: Any, text: str) -> Any:  # noqa: ANN401 - by type
    kinds = [one for one in getattr(hint, "__args__", (hint,)) if one is not type(None)]
    kind = kinds[0]
    if kind is bool:
        if text.lower() in {"true", "yes", "on", "1"}:
            return True
        if text.lower() in {"false", "no", "off", "0"}:
            return False
        raise ValueError(text)
    return Path(text) if kind is Path else kind(text)
