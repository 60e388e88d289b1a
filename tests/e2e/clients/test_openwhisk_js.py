"""The `openwhisk` client for JavaScript, unmodified: each group of its calls against a fresh server (openwhisk.js)."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import pytest

from tests.e2e.conftest import AUTH
from tests.support.commands import Command, alone, zipped

pytestmark = pytest.mark.timeout(90)

SCENARIO = Path(__file__).parent / "openwhisk.js"
GROUPS = re.findall(r"^groups\.(\w+) =", SCENARIO.read_text(), re.MULTILINE)
MISSING = {"alarms"}  # of the server
ZIP = zipped({"__main__.py": 'def main(args):\n    return {"from": "zip"}\n'})


@pytest.fixture
def client(server, npm_modules, tmp_path):
    environ = {
        **alone(tmp_path),
        "NODE_PATH": str(npm_modules),
        "__OW_API_HOST": server.url,
        "__OW_API_KEY": AUTH,
        "ZIP_BASE64": base64.b64encode(ZIP).decode(),
    }
    return Command(["node", SCENARIO], environ, tmp_path)


def marks(group: str) -> list[pytest.MarkDecorator]:
    return [pytest.mark.xfail(strict=False, reason=f"the server has no {group}")] if group in MISSING else []


@pytest.mark.parametrize("group", [pytest.param(group, marks=marks(group)) for group in GROUPS])
def test_a_group_of_calls_does_what_the_client_documents(client, group):
    assert client.text(group) == f"{group}: ok\n"
