"""What a container is created with: stock's flags, and for images of ours some that are stricter. Pure.

Source: Apache OpenWhisk, `DockerContainer.scala`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

LABEL: Final = "org.openwhisk.dataflower.instance"
"""Of every container; its value names the invoker whose it is, through all its lives."""
RUNTIME_LABEL: Final = "org.openwhisk.dataflower.runtime"
"""Of images that speak the protocol of sessions."""
FOLDER: Final = "/run/dataflower"
"""Where the container finds its session's socket and the pipes of its output."""
SOCKET: Final = "relay.sock"
SOCKET_VARIABLE: Final = "__OW_DATAFLOW_SOCKET"

_SHARES: Final = 1024
_LEAST_SHARES: Final = 2
_PIDS: Final = 1024
_OPEN_FILES: Final = 1024
_STOCK_DROPS: Final = ("NET_RAW", "NET_ADMIN")
_LOG: Final = {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "1"}}
"""Logs are read as they come; what the engine keeps is for people, and must not fill the disk."""
_NOT_IN_NAMES: Final = re.compile(r"[^a-zA-Z0-9_.-]+")


@dataclass(slots=True, frozen=True, kw_only=True)
class Creation:
    """What the engine is asked for; `host` are the arguments of the SDK's `create_host_config`."""

    name: str
    image: str
    environment: Mapping[str, str]
    labels: Mapping[str, str]
    host: Mapping[str, Any]


@dataclass(slots=True, frozen=True, kw_only=True)
class House:
    """What all containers of one invoker have in common."""

    instance: str
    """Of the invoker."""
    network: str = "bridge"
    memory_mb: int = 1024
    """All containers together; a container's share of the processor is its share of this."""


def container_name(name: str, instance: str) -> str:
    """Return a name that no other invoker of this engine uses, as stock makes them: `wsk`, who, and what for."""
    return _NOT_IN_NAMES.sub("", f"wsk{instance[:8]}_{name.removeprefix('wsk')}")


def cpu_shares(house_mb: int, memory_mb: int) -> int:
    """Return a container's weight on the processor: its part of the invoker's memory, in 1024ths."""
    return max(_LEAST_SHARES, _SHARES // max(1, house_mb // memory_mb))


def creation(
    house: House, *, name: str, image: str, memory_mb: int, environment: Mapping[str, str], folder: str | None
) -> Creation:
    """Return what a container is created with.

    Args:
        house: What all have in common.
        name: From the pool.
        image: Its reference.
        memory_mb: Bound of its memory; there is no swap beyond it.
        environment: From the pool.
        folder: On this host, with the session's socket; None: a stock image, which gets what stock gives it.
    """
    memory = f"{memory_mb}m"
    host: dict[str, Any] = {
        "cpu_shares": cpu_shares(house.memory_mb, memory_mb),
        "mem_limit": memory,
        "memswap_limit": memory,
        "network_mode": house.network,
        "cap_drop": list(_STOCK_DROPS),
        "pids_limit": _PIDS,
        "ulimits": [{"Name": "nofile", "Soft": _OPEN_FILES, "Hard": _OPEN_FILES}],
        "log_config": _LOG,
    }
    if folder is not None:
        host |= {
            "cap_drop": ["ALL"],
            "security_opt": ["no-new-privileges"],
            "read_only": True,
            # Native modules of an action's archive are mapped from here.
            "tmpfs": {"/tmp": f"rw,exec,nosuid,nodev,mode=1777,size={memory}"},
            "binds": [f"{folder}:{FOLDER}:ro"],
        }
        environment = {**environment, SOCKET_VARIABLE: f"{FOLDER}/{SOCKET}"}
    return Creation(
        name=container_name(name, house.instance),
        image=image,
        environment=environment,
        labels={LABEL: house.instance},
        host=host,
    )


def is_latest(image: str) -> bool:
    """Say whether a reference names no version: such an image is only used as the registry has it now."""
    last = image.rpartition("/")[2]
    return "@" not in last and (":" not in last or last.endswith(":latest"))
