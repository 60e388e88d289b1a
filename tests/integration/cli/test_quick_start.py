"""The commands of the README's quick start, as they stand there."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import needs
from tests.support.server import Server
from tests.support.settings_table import README
from tests.support.sources import ROOT


def commands() -> list[str]:
    """Return the commands of the first block of shell in the README, without their comments."""
    block = re.search(r"^```sh\n(.*?)^```", README.read_text(), re.DOTALL | re.MULTILINE)
    assert block is not None
    return [shlex.join(shlex.split(line, comments=True)) for line in block[1].splitlines()]


def test_the_first_command_runs_the_demo():
    needs("make", shutil.which("make") is not None, "install make")
    environ = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    result = subprocess.run(["make", "--dry-run", "demo"], cwd=ROOT, env=environ, capture_output=True, text=True)

    assert commands()[0] == "make demo"
    assert result.stdout.splitlines()[-1] == ".venv/bin/dataflower demo wordcount"


@pytest.mark.timeout(90)
def test_the_second_command_starts_the_server_that_the_third_one_asks():
    needs("bash and curl", bool(shutil.which("bash") and shutil.which("curl")), "install them")
    _, start, ask = commands()
    setting, script = ask.split()
    server = Server()
    try:
        server.start()
        environ = {**os.environ, "APIHOST": server.url, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
        result = subprocess.run([ROOT / script], env=environ, capture_output=True, text=True, timeout=60)
    finally:
        server.remove()

    assert start == ".venv/bin/dataflower standalone"
    assert setting == "APIHOST=http://127.0.0.1:3233"
    assert result.returncode == 0, result.stderr
