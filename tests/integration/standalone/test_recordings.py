"""The embedded server against the exchanges of real clients with a real server."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.replaying import load, read_allowed, replay


@pytest.fixture
def server() -> Iterator[str]:
    # Not pytest's tmp_path: its names may be too long for the Unix sockets inside.
    folder = Path(tempfile.mkdtemp(prefix="df-rec-"))
    argv = [sys.executable, "-m", "controller_ext.cli", "standalone", "--port", "0", "--data-dir", str(folder)]
    # The recorded server offered no other kinds, and names them to who asks for another.
    environ = os.environ | {"DATAFLOWER_INVOKER_KINDS": "python:3.11=python,python:3=python"}
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("ready "), line
        yield line.removeprefix("ready ").strip()
        process.send_signal(signal.SIGTERM)
        process.wait(25)
    shutil.rmtree(folder)


@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    "name",
    [
        "wsk-basic",
        "wsk-actions",
        "wsk-activations",
        "wsk-sequences",
        "rest",
    ],
)
def test_the_embedded_server_answers_as_the_recorded_one_did(
    server: str, shared_dir: Path, repository: Path, name: str
):
    recordings = shared_dir / "recordings"
    lists = repository / "tests" / "contract" / "rest"
    allowed = [*read_allowed(lists / "allowed.tsv"), *read_allowed(lists / "allowed_standalone.tsv")]
    report = replay(load(recordings), server, recordings / f"{name}.jsonl", allowed)
    assert not report.wrong, "\n".join(report.wrong)
    assert report.needless == []
    assert report.equal > 10
