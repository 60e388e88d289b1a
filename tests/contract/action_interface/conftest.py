"""A runtime process behind the stock action interface, and one behind a relay."""

from __future__ import annotations

import base64
import http.client
import io
import json
import os
import subprocess
import time
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest

from tests.conftest import needs
from tests.support.dialects import NODE, NODEJS, PYTHON, Dialect
from tests.support.relay import FakeRelay

ROOT: Final = Path(__file__).resolve().parents[3]
SENTINEL: Final = "XXX_THE_END_OF_A_WHISK_ACTIVATION_XXX"
START_S: Final = 10.0


class Reply:
    """A reply of the action interface."""

    def __init__(self, status: int, raw: bytes) -> None:
        self.status = status
        self.raw = raw

    @property
    def body(self) -> Any:
        return json.loads(self.raw)


class Container:
    """A runtime process and its HTTP client."""

    def __init__(self, port: int, folder: Path, env: dict[str, str], dialect: Dialect) -> None:
        self.port = port
        self.dialect = dialect
        self.folder = folder
        self._out = (folder / "stdout").open("w+b")
        self._err = (folder / "stderr").open("w+b")
        (folder / "temporary").mkdir()
        self.process = subprocess.Popen(
            [*dialect.argv, *([str(port)] if dialect.takes_port else [])],
            cwd=folder if dialect.takes_port else None,
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": str(ROOT),
                "TMPDIR": str(folder / "temporary"),
                "DATAFLOWER_RUNTIME_PORT": str(port),
            }
            | env,
            stdin=subprocess.DEVNULL,
            stdout=self._out,
            stderr=self._err,
        )

    def post(self, path: str, body: bytes, headers: dict[str, str] | None = None) -> Reply:
        deadline = time.monotonic() + START_S
        while True:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=START_S)
            try:
                connection.request("POST", path, body, headers or {})
                response = connection.getresponse()
                return Reply(response.status, response.read())
            except ConnectionRefusedError:
                # As the invoker does: a refused connection means that the server is not up yet.
                assert time.monotonic() < deadline, "the runtime did not start"
                assert self.process.poll() is None, "the runtime ended"
            finally:
                connection.close()

    def init(self, code: str | bytes | None = None, **fields: Any) -> Reply:
        value: dict[str, Any] = {"main": "main", "binary": isinstance(code, bytes), "env": None}
        if code is not None:
            value["code"] = base64.b64encode(code).decode() if isinstance(code, bytes) else code
        return self.post("/init", json.dumps({"value": value | fields}).encode())

    def load(self, code: str, **fields: Any) -> Reply:
        """Init with one of the dialect's codes."""
        return self.init(self.dialect.codes[code], **fields)

    def run(self, value: Any = None, **members: Any) -> Reply:
        return self.post("/run", json.dumps({"value": {} if value is None else value} | members).encode())

    def raw_logs(self) -> tuple[str, str]:
        return (self.folder / "stdout").read_text(), (self.folder / "stderr").read_text()

    def logs(self, sentinels: int) -> tuple[str, str]:
        """Return stdout and stderr without their sentinels, of which each must hold so many."""
        out, err = self.raw_logs()
        assert (out.count(SENTINEL), err.count(SENTINEL)) == (sentinels, sentinels)
        return out.replace(SENTINEL + "\n", ""), err.replace(SENTINEL + "\n", "")

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.terminate()
        code = self.process.wait(timeout=START_S)
        self._out.close()
        self._err.close()
        return code


@pytest.fixture
def start_in(free_port: int, tmp_path: Path) -> Iterator[Callable[..., Container]]:
    """Start a language's runtime with variables of the test's."""
    containers: list[Container] = []

    def begin(dialect: Dialect, **env: str) -> Container:
        if dialect is NODEJS:
            needs("node", NODE is not None, "install nodejs 18 or newer")
        containers.append(Container(free_port, tmp_path, env, dialect))
        return containers[-1]

    yield begin
    for container in containers:
        container.stop()


@pytest.fixture
def start(start_in: Callable[..., Container]) -> Callable[..., Container]:
    """Start the runtime of Python with variables of the test's."""
    return partial(start_in, PYTHON)


@pytest.fixture
def container(start: Callable[..., Container]) -> Container:
    """A started runtime of Python that is not initialised."""
    return start()


@pytest.fixture
def start_node(start_in: Callable[..., Container]) -> Callable[..., Container]:
    """Start the runtime of node with variables of the test's."""
    return partial(start_in, NODEJS)


@pytest.fixture
def node(start_node: Callable[..., Container]) -> Container:
    """A started runtime of node that is not initialised."""
    return start_node()


@pytest.fixture(params=[PYTHON, NODEJS], ids=lambda dialect: dialect.name)
def start_any(request: pytest.FixtureRequest, start_in: Callable[..., Container]) -> Callable[..., Container]:
    """Start each runtime there is, one a test, with variables of the test's."""
    return partial(start_in, request.param)


@pytest.fixture
def any_container(start_any: Callable[..., Container]) -> Container:
    """A started runtime of each language that is not initialised."""
    return start_any()


@pytest.fixture
def zipped() -> Callable[[dict[str, str]], bytes]:
    """Make a zip from names and texts."""

    def make(files: dict[str, str]) -> bytes:
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w") as archive:
            for name, text in files.items():
                archive.writestr(name, text)
        return content.getvalue()

    return make


@pytest.fixture
def open_relay() -> Iterator[Callable[..., FakeRelay]]:
    """Start a runtime in a session; the relay's options are the test's."""
    relays: list[FakeRelay] = []

    def begin(**options: Any) -> FakeRelay:
        relays.append(FakeRelay(**options))
        return relays[-1]

    yield begin
    for relay in relays:
        relay.close()


@pytest.fixture
def relay(open_relay: Callable[..., FakeRelay]) -> FakeRelay:
    """A session that is open and not initialised."""
    return open_relay()
