"""The list of clients from npm is exact, and says nothing of where it was made."""

from __future__ import annotations

import json
import re

from tests.support.npm_clients import LIST


def test_each_client_has_one_version_and_all_below_them_one_day():
    versions = json.loads((LIST / "package.json").read_text())["dependencies"]

    assert {name: version for name, version in versions.items() if not re.fullmatch(r"\d+\.\d+\.\d+", version)} == {}
    assert re.search(r"^before=\d{4}-\d\d-\d\d$", (LIST / ".npmrc").read_text(), re.MULTILINE)


def test_no_registry_is_named():
    assert "//" not in (LIST / ".npmrc").read_text() + (LIST / "package.json").read_text()
