"""What a person is told who starts a part of a deployment and has forgotten something."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import needs
from tests.support import npm_clients
from tests.support.couchdb import CouchServer, installed

NOWHERE = "127.0.0.1:9"


def refused(*arguments: str, **environ: str) -> str:
    """Run a command that must fail; return what it says."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("DATAFLOWER_")}
    argv = [sys.executable, "-m", "controller_ext.cli", *arguments]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=25, env={**clean, **environ})
    assert done.returncode == 1, done.stdout
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    return done.stderr


@pytest.fixture
def home(tmp_path: Path) -> str:
    return f"--data-dir={tmp_path / 'd'}"


@pytest.mark.parametrize("command", ["controller", "invoker"])
def test_settings_that_are_missing_are_told_together_with_those_that_are_wrong(home: str, command: str):
    prefix = f"DATAFLOWER_{command.upper()}_"
    said = refused(command, home, **{f"{prefix}LOG_LEVEL": "LOUD"})
    assert f"{prefix}BUS must be set: kafka://HOST:PORT" in said
    assert f"{prefix}STORE_URL must be set" in said
    assert f"{prefix}LOG_LEVEL must be one of" in said


@pytest.mark.parametrize("command", ["controller", "invoker"])
def test_a_kafka_that_does_not_answer_is_told_at_once(home: str, command: str):
    port = ("--port=0",) if command == "controller" else ()
    said = refused(command, home, *port, f"--bus=kafka://{NOWHERE}", f"--store-url=http://{NOWHERE}")
    assert f"no Kafka answers at {NOWHERE}; start Kafka, or name another with --bus" in said


@pytest.fixture
def listening(couch_server: CouchServer) -> str:
    """Something that takes connections, in place of Kafka."""
    return f"--bus=kafka://{couch_server.url.removeprefix('http://')}"


@pytest.mark.parametrize("command", ["controller", "invoker"])
def test_a_store_that_does_not_answer_or_was_not_made_is_told(
    home: str, command: str, listening: str, couch_server: CouchServer
):
    port = ("--port=0",) if command == "controller" else ()
    said = refused(command, home, *port, listening, f"--store-url=http://{NOWHERE}")
    assert f"the store at http://{NOWHERE} cannot be used" in said
    prefix = {f"DATAFLOWER_{command.upper()}_STORE_PREFIX": "never_made_"}
    said = refused(command, home, *port, listening, f"--store-url={couch_server.url}", **prefix)
    assert "dataflower admin db init" in said


def test_an_engine_that_does_not_answer_is_told(home: str, kafka_broker, tmp_path: Path):
    needs("a CouchDB server for tests", installed(), npm_clients.HOW)
    server = CouchServer()
    try:
        store = f"--store-url={server.start().url}"
        clean = {name: value for name, value in os.environ.items() if not name.startswith("DATAFLOWER_")}
        argv = [sys.executable, "-m", "controller_ext.cli", "admin", "db", "init", store]
        subprocess.run(argv, check=True, capture_output=True, timeout=25, env=clean)
        engine = {"DOCKER_HOST": f"unix://{tmp_path}/none.sock"}
        said = refused("invoker", home, "--driver=docker", f"--bus={kafka_broker.url}", store, **engine)
    finally:
        server.remove()
    assert "Start the engine, or name another in DOCKER_HOST." in said


def test_a_check_fails_where_no_invoker_runs(home: str):
    assert "no invoker of this host answers" in refused("invoker", "--check", home)
