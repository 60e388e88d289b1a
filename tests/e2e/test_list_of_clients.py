"""The lists of clients from npm are exact, and say nothing of where they were made."""

from __future__ import annotations

import json
import re

import pytest

from tests.support.npm_clients import COMPOSER, LIST

pytestmark = pytest.mark.parametrize("folder", [LIST, COMPOSER], ids=lambda folder: folder.name)


def test_each_client_has_one_version_and_all_below_them_one_day(folder):
    versions = json.loads((folder / "package.json").read_text())["dependencies"]

    assert {name: version for name, version in versions.items() if not re.fullmatch(r"\d+\.\d+\.\d+", version)} == {}
    assert re.search(r"^before=\d{4}-\d\d-\d\d$", (folder / ".npmrc").read_text(), re.MULTILINE)


def test_no_registry_is_named(folder):
    assert "//" not in (folder / ".npmrc").read_text() + (folder / "package.json").read_text()
