"""Reads a frozen settings dataclass from the environment: all bad values are reported together, typos included.

A field's variable is PREFIX + NAME in capitals; type, default, doc and check (its metadata) stand in the dataclass
alone.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar, get_type_hints

from action_runtime.wire.errors import Blame, DataflowError

T = TypeVar("T")
Check = Callable[[Any], str | None]
"""Returns what is wrong with a value, as what follows the variable's name in a sentence; None: nothing."""


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


def setting(doc: str, default: Any = dataclasses.MISSING, check: Check | None = None) -> Any:
    """Declare a field: what it means with its unit, its default (none: it must be given), which values it may have."""
    return dataclasses.field(default=default, metadata={"doc": doc, "check": check or _anything})


def at_least(least: float) -> Check:
    """Return a check of numbers."""
    return lambda value: None if value >= least else f"must be at least {least}, is {value}"


def above(bound: float) -> Check:
    """Return a check of numbers."""
    return lambda value: None if value > bound else f"must be above {bound}, is {value}"


def one_of(*names: str) -> Check:
    """Return a check of words."""
    return lambda value: None if value in names else f"must be one of {', '.join(names)}, is {value}"


LEVEL: Final = one_of("DEBUG", "INFO", "WARNING", "ERROR")
"""Of logs."""


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
            continue
        problem = one.metadata["check"](values[one.name])
        if problem is not None:
            problems.append(f"{name} {problem}")
    if problems:
        raise SettingsError(problems)
    return kind(**values)


def shown(kind: type[Any], environ: Mapping[str, str], prefix: str) -> str:
    """Return a line for each setting: variable and value, where that comes from, the default and the meaning."""
    lines = []
    for one in dataclasses.fields(kind):
        name = prefix + one.name.upper()
        given = environ.get(name)
        if one.default is dataclasses.MISSING:
            value, source = given or "", "environment" if given is not None else "must be set"
        else:
            value = str(one.default) if given is None else given
            source = "default" if given is None else f"environment, default {one.default}"
        if name.endswith("_PASSWORD") and value:
            value = "(not shown)"
        lines.append(f"{name}={value}  # {source}: {one.metadata['doc']}\n")
    return "".join(lines)


def _anything(value: object) -> None:
    """Check nothing."""


def _unknown(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, known, 1, 0.9)
    return f"{name} is not a setting" + (f": did you mean {near[0]}?" if near else f"; known are: {', '.join(known)}")


def _type_name(hint: Any) -> str:
    return str(getattr(hint, "__name__", hint))


def _parse(hint: Any, text: str) -> Any:
    kinds = [one for one in getattr(hint, "__args__", (hint,)) if one is not type(None)]
    kind = kinds[0]
    if kind is bool:
        if text.lower() in {"true", "yes", "on", "1"}:
            return True
        if text.lower() in {"false", "no", "off", "0"}:
            return False
        raise ValueError(text)
    return Path(text) if kind is Path else kind(text)
