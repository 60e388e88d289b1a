"""A Kafka for tests: fetched once a version from Maven Central, run as one process on free ports.

`python -m tests.support.kafka` fetches it; `make services` does so. Needs a Java 17 or newer, and Maven to fetch.
"""

from __future__ import annotations

import base64
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.support.npm_clients import cache
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from tests.support.authority import Authority

VERSION: Final = "4.1.0"
FETCH_S: Final = 300
READY_S: Final = 60.0
STOP_S: Final = 30.0
HOW: Final = "install Java 17 or newer and Maven, then `make services`"
_POM: Final = f"""\
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion><groupId>test</groupId><artifactId>kafka</artifactId><version>1</version>
  <dependencies><dependency>
    <groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>{VERSION}</version>
  </dependency></dependencies>
</project>
"""
_SETTINGS: Final = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{quorum}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{quorum}{more_listeners}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}{more_listeners}
controller.listener.names=CONTROLLER
log.dirs={logs}
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=500
"""
_SECURED: Final = """\
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL_SSL:SASL_SSL,SSL:SSL
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-512
listener.name.sasl_ssl.plain.sasl.jaas.config=\
org.apache.kafka.common.security.plain.PlainLoginModule required user_{user}="{password}";
listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
ssl.keystore.type=PEM
ssl.keystore.location={keystore}
ssl.truststore.type=PEM
ssl.truststore.location={truststore}
listener.name.ssl.ssl.client.auth=required
"""
USER: Final = "dataflower"
PASSWORD: Final = "not a secret"
_JAVA: Final = ("-Xms64m", "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")


def jars() -> Path:
    """Return where its jars are, or will be."""
    return cache() / f"kafka-{VERSION}"


def available() -> bool:
    """Return whether it can be started."""
    return jars().is_dir() and shutil.which("java") is not None


def fetch() -> None:
    """Fetch what is not there. A folder that is there is whole: it gets its name last."""
    target = jars()
    if target.is_dir():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="kafka-", dir=target.parent) as made:
        (Path(made) / "pom.xml").write_text(_POM)
        argv = ["mvn", "--quiet", "--batch-mode", "dependency:copy-dependencies", "-DoutputDirectory=jars"]
        subprocess.run(argv, cwd=made, check=True, timeout=FETCH_S)
        (Path(made) / "jars").rename(target)


class Kafka:
    """One broker on a folder of its own; the folder outlives restarts.

    Attributes:
        port: Where it takes anybody.
        sasl_port, tls_port: Of one with an authority: where it wants TLS and a password, and TLS with certificates on
            both sides.
    """

    def __init__(self, secured: Authority | None = None) -> None:
        """Make its folder.

        Args:
            secured: Signs its certificate, and those of clients that it takes; None: it has no doors with TLS.
        """
        self._folder = Path(tempfile.mkdtemp(prefix="df-kafka-"))
        self.port, quorum, self.sasl_port, self.tls_port = free_ports(4)
        more = settings = ""
        if secured is not None:
            more = f",SASL_SSL://127.0.0.1:{self.sasl_port},SSL://127.0.0.1:{self.tls_port}"
            settings = self._security(secured)
        self._settings = self._folder / "server.properties"
        text = _SETTINGS.format(port=self.port, quorum=quorum, logs=self._folder / "logs", more_listeners=more)
        self._settings.write_text(text + settings)
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        known = () if secured is None else ("-S", f"SCRAM-SHA-512=[name={USER},password={PASSWORD}]")
        told = f"--cluster-id={cluster}", "-c", str(self._settings)  # an id may begin with a dash
        formatting = self._java("kafka.tools.StorageTool", "format", *told, *known)
        assert formatting.wait(READY_S) == 0, self._said()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def server(self) -> str:
        """`HOST:PORT`."""
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """As settings name it."""
        return f"kafka://{self.server}"

    def start(self) -> Kafka:
        """Start it; returns once it listens."""
        process = self._process = self._java("kafka.Kafka", str(self._settings))

        def listens() -> bool:
            assert process.poll() is None, self._said()
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", self.port)) == 0

        wait_until(listens, READY_S, self._said)
        return self

    def kill(self) -> None:
        """End it at once, as a crash does."""
        process, self._process = self._process, None
        assert process is not None, "it does not run"
        process.send_signal(signal.SIGKILL)
        process.wait(STOP_S)

    def remove(self) -> None:
        """End it if it runs, and remove its folder."""
        if self._process is not None:
            self.kill()
        shutil.rmtree(self._folder)

    def _security(self, authority: Authority) -> str:
        # Not needed to fetch a Kafka, which is done without the packages that tests need.
        from cryptography.hazmat.primitives import serialization as forms

        certificate, key, trusted = authority.files("127.0.0.1")
        private = forms.load_pem_private_key(Path(key).read_bytes(), None)
        text = private.private_bytes(forms.Encoding.PEM, forms.PrivateFormat.PKCS8, forms.NoEncryption())
        keystore = self._folder / "broker.pem"
        keystore.write_bytes(text + Path(certificate).read_bytes())
        truststore = self._folder / "trusted.pem"  # Kafka goes by the ends of names
        truststore.write_bytes(Path(trusted).read_bytes())
        return _SECURED.format(user=USER, password=PASSWORD, keystore=keystore, truststore=truststore)

    def _java(self, *arguments: str) -> subprocess.Popen[bytes]:
        argv = ["java", *_JAVA, "-cp", f"{jars()}/*", *arguments]
        with (self._folder / "said").open("ab") as said:
            return subprocess.Popen(argv, stdout=said, stderr=said, cwd=self._folder)

    def _said(self) -> str:
        return (self._folder / "said").read_text(errors="replace")[-4096:]


def free_ports(count: int) -> list[int]:
    """Return TCP ports on 127.0.0.1 that nobody listened on a moment ago."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports: list[int] = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


if __name__ == "__main__":
    if shutil.which("java") is None or (not jars().is_dir() and shutil.which("mvn") is None):
        sys.exit(f"cannot fetch kafka: {HOW}")
    fetch()
    sys.stdout.write(f"kafka {VERSION} is in {os.fspath(jars())}\n")
