"""`compose/.env.example`, made from the compose file and the settings; written with the tables of settings."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any, Final

from controller_ext import settings as controller
from invoker_ext import settings as invoker

FOLDER: Final = Path(__file__).resolve().parents[2] / "compose"
COMPOSE: Final = FOLDER / "docker-compose.yml"
EXAMPLE: Final = FOLDER / ".env.example"
MEANINGS: Final = {
    "SERVER_IMAGE": "Image of controllers and invokers.",
    "KAFKA_IMAGE": "Image of Kafka; takes settings by the environment, as the official one.",
    "COUCHDB_IMAGE": "Image of CouchDB.",
    "PROMETHEUS_IMAGE": "Image of Prometheus (profile monitoring).",
    "GRAFANA_IMAGE": "Image of Grafana (profile monitoring).",
    "KINDS": "Kinds of actions, `KIND=image:NAME,…`; empty: those of our own images.",
    "BIND": "Address of this host that ports are opened on.",
    "PORT": "Of the API.",
    "PROMETHEUS_PORT": "Of Prometheus.",
    "GRAFANA_PORT": "Of Grafana.",
    "COUCHDB_USER": "User of CouchDB; empty: none.",
    "COUCHDB_PASSWORD": "Password of that user. Choose one of your own.",
    "KAFKA_HEAP_OPTS": "Memory of Kafka.",
    "STATE_DIR": "State of the invokers, on the host and inside under this one path.",
    "DOCKER_SOCKET": "Of the engine that runs the containers of actions.",
    "NETWORK": "Name of the network of all containers, those of actions included.",
    "INVOKER_MEMORY_MB": "Memory of one invoker for containers, the sum of their limits.",
    "INVOKER_SINK_MB": "Memory of one invoker for data between steps.",
    "ENV_FILE": "This file, for the containers.",
}
_VARIABLE: Final = re.compile(r"\$\{(\w+):?-([^}]*)\}")
_HEAD: Final = """\
# Copy to `.env` (`make stack` does), take the `#` away in front of what you change.
# Made by `python -m tests.support.settings_table`.
"""
_NOT_BY_FILE: Final = ("DATA_DIR", "READY_FD", "LISTEN", "STORE_PREFIX")
"""Settings that one file for all containers cannot give."""


def variables(compose: str) -> dict[str, str]:
    """Return the variables of a compose file with their defaults, in its order."""
    found: dict[str, str] = {}
    for name, default in _VARIABLE.findall(compose):
        found.setdefault(name, default)
    return found


def text(compose: str) -> str:
    """Return what the example has to be."""
    lines = [_HEAD]
    for name, default in variables(compose).items():
        lines += [f"# {MEANINGS[name]}", f"# {name}={default}", ""]
    fixed = set(re.findall(r"\bDATAFLOWER_\w+", compose))
    for module in (controller, invoker):
        lines += _settings(module, fixed)
    return "\n".join(lines)


def _settings(module: Any, fixed: set[str]) -> list[str]:
    lines = []
    for one in dataclasses.fields(module.Settings):
        name = module.PREFIX + one.name.upper()
        if name in fixed or one.name.upper() in _NOT_BY_FILE or one.name.startswith("store_"):
            continue
        lines += [f"# {one.metadata['doc']}", f"# {name}={one.default}", ""]
    return lines


def write() -> None:
    """Write it anew."""
    EXAMPLE.write_text(text(COMPOSE.read_text()))
