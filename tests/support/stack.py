"""The compose stack for tests: images from what package registries have, and the file run by `docker compose`.

`python -m tests.support.stack` (`make stack-images`) builds the images and has `docker compose` ready.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from tests.support import engine, kafka, npm_clients
from tests.support.engine import ROOT, built, docker, files
from tests.support.npm_clients import cache

PACKAGES: Final = ("python3", "python3-venv", "ca-certificates", "nodejs", "openjdk-17-jre-headless")
"""Of Debian: in the images of Kafka, CouchDB's stand-in and our servers alike, so that they share one base."""
COMPOSE_VERSION: Final = "v2.40.3"
COMPOSE_FILE: Final = ROOT / "compose" / "docker-compose.yml"
IMAGES: Final = Path(__file__).resolve().parent / "stack_images"
SERVER_FILES: Final = ("controller_ext", "invoker_ext", "action_runtime", "wsk_examples")
LABEL: Final = "org.openwhisk.dataflower.test"
"""Of every container and network that a test starts; its value names the run."""
HOW: Final = "install Java, Maven, Node.js, Go and a Docker engine, then `make clients services engine stack-images`"
BUILD_S: Final = 900
UP_S: Final = 120
_PYTHON: Final = "3.11"
"""Of SUITE: wheels are fetched for it, whatever runs the tests."""


@contextlib.contextmanager
def one_at_a_time() -> Iterator[None]:
    """Keep others from building the same images meanwhile."""
    cache().mkdir(parents=True, exist_ok=True)
    with (cache() / "stack.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@functools.cache
def images() -> Mapping[str, str]:
    """Return the variables of the compose file that name images; builds what is not there."""
    with one_at_a_time():
        python, nodejs = engine.image("python"), engine.image("nodejs")
        kinds = {"python:3": python, "python:3.11": python, "nodejs:20": nodejs}
        return {
            "SERVER_IMAGE": server_image(),
            "KAFKA_IMAGE": kafka_image(),
            "COUCHDB_IMAGE": couchdb_image(),
            "KINDS": ",".join(f"{kind}=image:{name}" for kind, name in kinds.items()),
        }


def kafka_image() -> str:
    """Return the image of Kafka."""
    with _context(IMAGES / "kafka", {"jars": kafka.jars()}) as folder:
        return built("kafka", folder, _own(folder), PACKAGES)


def couchdb_image() -> str:
    """Return the image of what stands for CouchDB."""
    with _context(IMAGES / "couchdb", {"node_modules": npm_clients.modules(npm_clients.COUCHDB)}) as folder:
        return built("couchdb", folder, _own(folder), PACKAGES)


def server_image() -> str:
    """Return the image of controllers and invokers, from these very sources."""
    context = {name: ROOT / name for name in SERVER_FILES} | {"wheels": wheels()}
    with _context(ROOT / "compose", context, only=("Dockerfile",)) as folder:
        shutil.copy(ROOT / "pyproject.toml", folder)
        options = "PIP_OPTIONS=--no-index --find-links /build/wheels"
        return built("server", folder, _own(folder, "wheels"), PACKAGES, "--build-arg", options)


def wheels() -> Path:
    """Return a folder with the packages that servers need; fetched if it is not there."""
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["distributed"]]
    digest = hashlib.sha256("\n".join(wanted).encode()).hexdigest()[:12]
    target = cache() / f"wheels-{digest}"
    if not target.is_dir():
        with tempfile.TemporaryDirectory(prefix="wheels-", dir=target.parent) as made:
            argv = [sys.executable, "-m", "pip", "download", "--quiet", "--only-binary=:all:"]
            argv += ["--python-version", _PYTHON, "--dest", f"{made}/w"]
            for level in ("manylinux2014", "manylinux_2_28", "manylinux_2_34"):
                argv += ["--platform", f"{level}_{os.uname().machine}"]
            subprocess.run([*argv, *wanted], check=True, timeout=BUILD_S, stdout=sys.stderr)
            (Path(made) / "w").rename(target)
    return target


def compose() -> list[str]:
    """Return the command of `docker compose`: the plug-in if it is installed, else one that was built here."""
    if subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode == 0:
        return ["docker", "compose"]
    return [str(_built_compose())]


def _built_compose() -> Path:
    target = cache() / f"docker-compose-{COMPOSE_VERSION.removeprefix('v')}"
    if not target.exists():
        with tempfile.TemporaryDirectory(prefix="compose-", dir=target.parent) as made:
            (Path(made) / "go.mod").write_text("module throwaway\n\ngo 1.23\n")
            module = "github.com/docker/compose/v2/cmd"
            for argv in (["go", "get", f"{module}@{COMPOSE_VERSION}"], ["go", "build", "-o", "compose", module]):
                subprocess.run(argv, cwd=made, check=True, timeout=BUILD_S, stdout=sys.stderr)
            (Path(made) / "compose").rename(target)
    return target


def available() -> bool:
    """Return whether images are there or can be built."""
    tools = kafka.jars().is_dir() and npm_clients.installed(npm_clients.COUCHDB)
    return tools and engine.answers() and engine.can_build()


@contextlib.contextmanager
def _context(folder: Path, more: Mapping[str, Path], only: tuple[str, ...] = ()) -> Iterator[Path]:
    """Put together what an image is built from; files are linked, as the engine's client follows none out of it."""
    with tempfile.TemporaryDirectory(prefix="df-image-", dir=cache()) as made:
        for path in folder.iterdir():
            if path.is_file() and (not only or path.name in only):
                shutil.copy(path, made)
        for name, source in more.items():
            ignore = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, Path(made) / name, ignore=ignore, copy_function=_link, symlinks=True)
        yield Path(made)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _own(folder: Path, *but: str) -> list[Path]:
    """Return the files that an image depends on; what has a version of its own stands for itself by its name."""
    return [path for path in files(folder) if path.relative_to(folder).parts[0] not in (*but, "jars", "node_modules")]


class Stack:
    """The compose file, run under a name of its own, on free ports, with all state in a folder of its own."""

    def __init__(self, **variables: str) -> None:
        self.project = f"df-test-{uuid.uuid4().hex[:8]}"
        self.folder = Path(tempfile.mkdtemp(prefix="df-stack-"))
        self.state = self.folder / "state"
        file = self.folder / "env"
        file.write_text("")
        (port,) = kafka.free_ports(1)
        self.url = f"http://127.0.0.1:{port}"
        own = {
            "ENV_FILE": str(file),
            "PORT": str(port),
            "STATE_DIR": str(self.state),
            "NETWORK": self.project,
            "COUCHDB_USER": "",
            "INVOKER_MEMORY_MB": "1024",
            "INVOKER_SINK_MB": "256",
        }
        self.environ = {**os.environ, **images(), **own, **variables}

    def compose(self, *arguments: str, check: bool = True) -> str:
        """Run a command of compose; return what it printed."""
        argv = [*compose(), "--project-name", self.project, "--file", str(COMPOSE_FILE), *arguments]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=UP_S, env=self.environ)
        assert not check or done.returncode == 0, f"{done.stderr}\n{self.logs()}"
        return done.stdout

    def up(self, *options: str) -> None:
        """Start all; returns once all are healthy."""
        self.compose("up", "--detach", "--wait", *options)

    def logs(self) -> str:
        """Return the end of what all containers printed."""
        argv = [*compose(), "--project-name", self.project, "--file", str(COMPOSE_FILE), "logs", "--tail", "15"]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=UP_S, env=self.environ)
        return done.stdout[-12000:]

    def containers(self, service: str) -> list[str]:
        """Return the ids of a service's containers."""
        return self.compose("ps", "--all", "--quiet", service).split()

    def down(self) -> None:
        """End all, and remove what it kept; containers of actions are the invokers' to remove."""
        self.compose("down", "--volumes", "--timeout", "30")

    def left(self) -> list[str]:
        """Return the containers that are still there, those of actions too."""
        return docker("ps", "--all", "--quiet", "--filter", f"network={self.project}").split()

    def remove(self) -> None:
        """End what still runs; nothing may be left."""
        self.compose("down", "--volumes", "--timeout", "5", check=False)
        for one in self.left():
            docker("rm", "--force", one, check=False)
        docker("network", "rm", self.project, check=False)
        shutil.rmtree(self.folder, ignore_errors=True)


def main() -> None:
    """Build what is not there."""
    if not available():
        sys.exit(f"cannot build the images: {HOW}")
    for name, value in {**images(), "compose": " ".join(compose())}.items():
        sys.stdout.write(f"{name}={re.sub(r',.*', ',…', value)}\n")


if __name__ == "__main__":
    main()
