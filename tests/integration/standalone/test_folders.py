"""The server and its console script do not care where they are started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.support.deploying import Deployer

SCRIPT = "import sys\nfrom controller_ext.cli import main\nsys.exit(main())\n"
"""What an installed `dataflower` consists of."""
SHADOWS = (
    "json.py", "flask.py", "gunicorn.py", "uvloop.py", "logging.py", "socket.py", "asyncio.py", "site.py", "types.py",
    "controller_ext.py", "invoker_ext.py", "action_runtime.py",
)  # fmt: skip


@pytest.fixture
def folder() -> Iterator[Path]:
    """A user's folder in which many a file has the name of a module; its name is short enough for sockets."""
    with tempfile.TemporaryDirectory(prefix="df-cwd-") as name:
        for one in SHADOWS:
            (Path(name) / one).write_text("raise SystemExit('the wrong module was imported')\n")
        yield Path(name)


@pytest.fixture
def script(tmp_path: Path) -> list[str]:
    """The console script, in a folder of its own."""
    path = tmp_path / "dataflower"
    path.write_text(SCRIPT)
    return [sys.executable, str(path)]


@pytest.fixture
def environ() -> dict[str, str]:
    """An environment in which the packages are found as if they were installed."""
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def test_the_server_takes_no_module_from_the_folder_it_is_started_in(
    folder: Path, script: list[str], environ: dict[str, str]
):
    command = [*script, "standalone", "--port", "0", "--data-dir", "state"]
    with subprocess.Popen(command, cwd=folder, env=environ, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        line = server.stdout.readline()
        assert line.startswith("ready http://")
        client = Deployer(line.removeprefix("ready ").strip())
        client.action("hello", "import json\ndef main(args):\n    return json.loads(json.dumps(args))\n")
        assert client.run("hello", n=1) == {"n": 1}
        client.close()
        server.send_signal(signal.SIGTERM)
        assert server.wait(25) == 0
    assert (folder / "state" / "log").is_dir()


def test_the_demo_runs_in_such_a_folder_too(folder: Path, script: list[str], environ: dict[str, str]):
    done = subprocess.run([*script, "demo", "hello"], cwd=folder, env=environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in folder.iterdir()) == sorted(SHADOWS)
