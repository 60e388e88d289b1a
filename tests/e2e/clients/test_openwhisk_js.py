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


@pytest.mark.parametrize("group", GROUPS)
def test_a_group_of_calls_does_what_the_client_documents(client, group):
    assert client.text(group) == f"{group}: ok\n"
