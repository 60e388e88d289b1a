"""The tables of SETTINGS.md, made from the dataclasses; run as a module it writes them anew."""

from __future__ import annotations

import dataclasses
from typing import Any, Final

from controller_ext import settings as controller
from invoker_ext import settings as invoker
from invoker_ext.stores.settings import StoreSettings
from tests.support import env_example
from tests.support.sources import ROOT

README: Final = ROOT / "README.md"
SETTINGS: Final = ROOT / "SETTINGS.md"
TABLES: Final = {"controller": controller, "invoker": invoker}


def table(module: Any) -> str:
    """Return the table of a module with `PREFIX` and `Settings`."""
    shared = {one.name for one in dataclasses.fields(StoreSettings)} if module is invoker else set()
    lines = ["| variable | default | meaning |", "| --- | --- | --- |"]
    for one in sorted(dataclasses.fields(module.Settings), key=lambda one: one.default is not dataclasses.MISSING):
        if one.name in shared:
            continue
        default = "set by whoever starts it" if one.default is dataclasses.MISSING else f"`{one.default}`"
        lines.append(f"| `{module.PREFIX}{one.name.upper()}` | {default} | {one.metadata['doc']} |")
    if shared:
        lines.append(f"| `{module.PREFIX}STORE_…` | | As the controller's settings of these names. |")
    return "\n".join(lines)


def renewed(text: str) -> str:
    """Return a document with the tables between their markers written anew.

    Raises:
        ValueError: A marker is missing.
    """
    for name, module in TABLES.items():
        begin, end = f"<!-- settings {name} -->", f"<!-- end of settings {name} -->"
        before, found, rest = text.partition(begin)
        _, ended, after = rest.partition(end)
        if not found or not ended:
            raise ValueError(f"the markers of the settings of the {name} are missing")
        text = f"{before}{begin}\n{table(module)}\n{end}{after}"
    return text


if __name__ == "__main__":
    env_example.write()
    SETTINGS.write_text(renewed(SETTINGS.read_text()))
