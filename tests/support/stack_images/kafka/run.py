"""Writes the settings of Kafka from the environment (`KAFKA_NODE_ID` → `node.id`), and becomes Kafka."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

CLUSTER = "Zm9yLXRlc3RzLW9ubHktMQ"
NO_SETTING = ("KAFKA_HEAP_OPTS", "KAFKA_IMAGE")


def main() -> None:
    named = {name: value for name, value in os.environ.items() if name.startswith("KAFKA_") and name not in NO_SETTING}
    lines = [f"{name.removeprefix('KAFKA_').lower().replace('_', '.')}={value}\n" for name, value in named.items()]
    settings = Path("server.properties").absolute()
    settings.write_text("".join([*lines, "group.initial.rebalance.delay.ms=0\n"]))
    java = [
        "java",
        *os.environ.get("KAFKA_HEAP_OPTS", "-Xmx384m").split(),
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
    ]
    java += ["-cp", "/opt/kafka/jars/*"]
    formatting = [*java, "kafka.tools.StorageTool", "format", "--ignore-formatted", "-t", CLUSTER, "-c", str(settings)]
    subprocess.run(formatting, check=True)
    os.execvp(java[0], [*java, "kafka.Kafka", str(settings)])


main()
