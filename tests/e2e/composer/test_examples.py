"""The examples of compositions, by their own scripts and Composer's commands."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import needs
from tests.support import npm_clients
from tests.support.commands import alone

pytestmark = pytest.mark.timeout(90)

EXAMPLES = Path(__file__).resolve().parents[3] / "wsk_examples" / "composer"
NAMES = sorted(script.parent.name for script in EXAMPLES.glob("*/run.sh"))


def run(name: str, home: Path, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(EXAMPLES / name / "run.sh")],
        capture_output=True,
        text=True,
        env={**alone(home), **more},
        timeout=60,
    )


@pytest.fixture
def commands(server, tmp_path) -> dict[str, str]:
    needs("curl", shutil.which("curl") is not None, "install it")
    modules = npm_clients.modules(npm_clients.COMPOSER)
    path = os.pathsep.join((str(modules / ".bin"), os.environ["PATH"]))
    return {"PATH": path, "APIHOST": server.url}


@pytest.mark.parametrize("name", NAMES)
def test_the_script_of_a_composition_gets_what_it_expects_and_cleans_up(name, live, commands, tmp_path):
    done = run(name, tmp_path, **commands)

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == json.loads((EXAMPLES / name / "expected.json").read_text())
    assert live.call("GET", f"packages/example-{name}").status_code == 404


def test_without_composers_commands_a_script_says_what_to_install(commands, tmp_path):
    done = run("pages", tmp_path, **commands | {"PATH": os.environ["PATH"]})

    assert done.returncode == 1
    assert done.stderr == "Composer's commands are missing; install them by: npm install -g openwhisk-composer\n"
