"""Settings in the environment of `dataflower standalone` and of its processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from controller_ext import settings as controller
from invoker_ext import settings as invoker


def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", *arguments]
    return subprocess.run(command, env={**os.environ, **environ}, capture_output=True, text=True, timeout=25)


def test_everything_that_is_wrong_for_any_process_is_said_before_one_is_started(tmp_path: Path):
    data_dir = tmp_path / "d"
    done = run(
        "controller_ext.cli", "standalone", "--port", "0", "--data-dir", str(data_dir),
        DATAFLOWER_CONTROLLER_WORKERS="many",
        DATAFLOWER_CONTROLLER_LOG_LEVEL="LOUD",
        DATAFLOWER_CONTROLLER_COLOUR="red",
        DATAFLOWER_INVOKER_SINK_MB="-1",
        DATAFLOWER_INVOKER_PRESSURE="perhaps",
        DATAFLOWER_INVOKER_STEMCELLS="2",
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stdout == ""
    for text in (
        "DATAFLOWER_CONTROLLER_WORKERS is 'many', which is no int",
        "DATAFLOWER_CONTROLLER_LOG_LEVEL must be one of DEBUG, INFO, WARNING, ERROR, is LOUD",
        "DATAFLOWER_CONTROLLER_COLOUR is not a setting",
        "DATAFLOWER_INVOKER_SINK_MB must be at least 0, is -1",
        "DATAFLOWER_INVOKER_PRESSURE is 'perhaps', which is no bool",
        "DATAFLOWER_INVOKER_STEMCELLS is not a setting: did you mean DATAFLOWER_INVOKER_STEM_CELLS?",
    ):
        assert text in done.stderr
    assert "Traceback" not in done.stderr
    assert not data_dir.exists()


def test_a_data_directory_that_cannot_be_is_said_once(tmp_path: Path):
    done = run("controller_ext.cli", "standalone", "--port", "0", "--data-dir", str(tmp_path / ("x" * 100)))
    assert done.stderr.count("choose a shorter path") == 1


@pytest.mark.parametrize(
    ("module", "settings"),
    [("invoker_ext", invoker), ("controller_ext.balancer", controller), ("controller_ext.wsgi", controller)],
)
def test_each_process_shows_its_settings_and_where_they_come_from(module: str, settings):
    done = run(module, "--print-settings", **{settings.PREFIX + "LOG_LEVEL": "DEBUG"})
    lines = {line.partition("=")[0]: line for line in done.stdout.splitlines()}
    assert done.returncode == 0
    assert set(lines) == {settings.PREFIX + name.upper() for name in settings.Settings.__dataclass_fields__}
    text = "LOG_LEVEL=DEBUG  # environment, default INFO: DEBUG, INFO, WARNING or ERROR."
    assert lines[settings.PREFIX + "LOG_LEVEL"] == settings.PREFIX + text
    assert lines[settings.PREFIX + "DATA_DIR"].startswith(settings.PREFIX + "DATA_DIR=  # must be set: ")
    assert "=-1  # default: " in lines[settings.PREFIX + "READY_FD"]


def test_a_store_that_cannot_be_reached_is_said_and_nothing_is_started(tmp_path: Path, free_port: int):
    url = f"http://127.0.0.1:{free_port}"
    done = run("controller_ext.cli", "standalone", "--port", "0", "--data-dir", str(tmp_path / "d"), "--store-url", url)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"CouchDB at {url} cannot be reached" in done.stderr
