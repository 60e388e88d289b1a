"""A deployment in containers, each started by itself with testcontainers: for tests that look into them."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import requests
import yaml

from tests.support import engine, stack
from tests.support.deploying import Deployer
from tests.support.waiting import wait_until

os.environ.setdefault("TESTCONTAINERS_RYUK_DISABLED", "true")  # its image is on no package registry; see `remove`

from testcontainers.core.container import DockerContainer
from testcontainers.core.network import Network

START_S: Final = 60.0
STOP_S: Final = 60
_DEFAULT: Final = re.compile(r"\$\{\w+:?-([^}]*)\}")


class Cluster:
    """Kafka, the server that stands for CouchDB, a controller and two invokers.

    Attributes:
        url: Of the API.
    """

    def __init__(self, invokers: int = 2) -> None:
        self.name = f"df-test-{uuid.uuid4().hex[:8]}"
        self.folder = Path(tempfile.mkdtemp(prefix="df-cluster-"))
        self.url = ""
        self._images = stack.images()
        self._services: dict[str, Any] = yaml.safe_load(stack.COMPOSE_FILE.read_text())["services"]
        self._network = Network(docker_network_kw={"labels": {stack.LABEL: self.name}})
        self._containers: dict[str, DockerContainer] = {}
        self._invokers = invokers

    def start(self) -> Cluster:
        """Start all; returns once both invokers get work."""
        self._network.create()
        kafka = self._run("kafka", self._images["KAFKA_IMAGE"], self._environment("kafka"))
        couchdb = self._run("couchdb", self._images["COUCHDB_IMAGE"], {}, ports=(5984,))
        self._until(lambda: _listens(couchdb, 5984), "couchdb")
        first = self._server("db-init", "admin db init")
        assert first.wait() == 0, first.get_logs()
        self._until(lambda: _listens(kafka, 9092), "kafka")
        self._server("controller", "controller --host 0.0.0.0", ports=(3233,))
        for number in range(self._invokers):
            self.invoker(number)
        self.url = f"http://127.0.0.1:{self._port('controller', 3233)}"
        self._until(lambda: len(self.up()) == self._invokers, "controller")
        return self

    def invoker(self, number: int) -> None:
        """Start one more invoker."""
        state = str(self.folder / "state")
        environ = {
            "DATAFLOWER_INVOKER_DATA_DIR": state,
            "DATAFLOWER_INVOKER_NETWORK": self._network.name,
            "DATAFLOWER_INVOKER_USER_MEMORY_MB": "1536",
            "DATAFLOWER_INVOKER_SINK_MB": "512",
        }
        volumes = {"/var/run/docker.sock": "/var/run/docker.sock", state: state}
        self._server("invoker", "invoker --driver docker", environ, volumes, name=f"invoker{number}", user="0:0")

    def up(self) -> set[str]:
        """Return the invokers that get work."""
        try:
            states: dict[str, str] = requests.get(f"{self.url}/invokers", timeout=5).json()
        except requests.RequestException:  # it is starting
            return set()
        return {name.partition("/")[0] for name, state in states.items() if state == "up"}

    def client(self) -> Deployer:
        """Return a client; one a thread."""
        return Deployer(self.url)

    def in_kafka(self, wanted: bytes) -> bool:
        """Say whether these bytes stand in any message that Kafka has had."""
        (folder,) = (value for name, value in self._environment("kafka").items() if name == "KAFKA_LOG_DIRS")
        found = self._containers["kafka"].exec(
            ["grep", "--recursive", "--fixed-strings", "-q", wanted.decode(), folder]
        )
        assert found.exit_code in (0, 1), found.output
        return found.exit_code == 0

    def in_couchdb(self, wanted: bytes) -> bool:
        """Say whether these bytes stand in any document of CouchDB."""
        url = f"http://127.0.0.1:{self._port('couchdb', 5984)}"
        everything = {"include_docs": "true", "attachments": "true"}
        names = requests.get(f"{url}/_all_dbs", timeout=30).json()
        documents = (requests.get(f"{url}/{one}/_all_docs", params=everything, timeout=30).content for one in names)
        return any(wanted in content for content in documents)

    def stop(self) -> None:
        """Stop controller and invokers as their users would; they take the containers of actions with them."""
        for name in [one for one in self._containers if one.startswith(("controller", "invoker"))]:
            container = self._containers[name].get_wrapped_container()
            container.stop(timeout=STOP_S)
            assert container.wait()["StatusCode"] == 0, container.logs().decode()[-4096:]

    def left(self) -> list[str]:
        """Return the containers of actions that are still there."""
        known = {one.get_container_id()[:12] for one in self._containers.values()}
        return [one for one in self._on_network() if one not in known]

    def remove(self) -> None:
        """End all that is there, whoever started it."""
        label = f"label={stack.LABEL}={self.name}"
        for one in [*engine.docker("ps", "-aq", "--filter", label).split(), *self._on_network()]:
            engine.docker("rm", "--force", "--volumes", one, check=False)
        for one in engine.docker("network", "ls", "-q", "--filter", label).split():
            engine.docker("network", "rm", one)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _on_network(self) -> list[str]:
        return engine.docker("ps", "-aq", "--filter", f"network={self._network.name}").split()

    def _server(
        self,
        service: str,
        command: str,
        environ: Mapping[str, str] | None = None,
        volumes: Mapping[str, str] | None = None,
        name: str = "",
        **more: Any,
    ) -> DockerContainer:
        """Start one of ours, with what the compose file gives it."""
        kinds = self._images["KINDS"]
        own = {"DATAFLOWER_CONTROLLER_KINDS": kinds, "DATAFLOWER_INVOKER_KINDS": kinds}
        fixed = {key: value for key, value in self._environment(service).items() if "_STORE_USER" not in key}
        ports = more.pop("ports", ())
        rest = {"read_only": True, "cap_drop": ["ALL"], "security_opt": ["no-new-privileges"], **more}
        container = self._made(name or service, self._images["SERVER_IMAGE"], {**fixed, **own, **(environ or {})}, rest)
        container.with_command(command).with_exposed_ports(*ports).with_tmpfs_mount("/tmp")
        container.with_tmpfs_mount("/var/lib/dataflower-controller", "uid=1000,mode=700")
        for source, target in (volumes or {}).items():
            container.with_volume_mapping(source, target, "rw")
        return container.start()

    def _run(self, name: str, image: str, environ: Mapping[str, str], ports: tuple[int, ...] = ()) -> DockerContainer:
        return self._made(name, image, environ, {}).with_exposed_ports(*ports).start()

    def _made(self, name: str, image: str, environ: Mapping[str, str], more: dict[str, Any]) -> DockerContainer:
        container = DockerContainer(image, labels={stack.LABEL: self.name}, **more)
        container.with_envs(**environ).with_network(self._network).with_network_aliases(name)
        self._containers[name] = container
        return container

    def _environment(self, service: str) -> dict[str, str]:
        """Return what the compose file sets for a service, where no variable is set."""
        return {key: _DEFAULT.sub(r"\1", value) for key, value in self._services[service]["environment"].items()}

    def _port(self, name: str, port: int) -> int:
        container = self._containers[name]
        assert container.get_wrapped_container().status != "exited", container.get_logs()
        return int(container.get_exposed_port(port))

    def _until(self, condition: Callable[[], object], name: str) -> None:
        wait_until(condition, START_S, lambda: b"".join(self._containers[name].get_logs()).decode()[-4096:])


def _listens(container: DockerContainer, port: int) -> bool:
    return container.exec(["bash", "-c", f"exec 3<>/dev/tcp/127.0.0.1/{port}"]).exit_code == 0
