"""Drivers of containers in the hands of tests: how one is made, how its containers are killed, what is left of them."""

from __future__ import annotations

import os
import signal
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

from invoker_ext.containers.driver import Driver
from invoker_ext.containers.drivers.docker.driver import DockerDriver, DockerSettings
from invoker_ext.containers.drivers.docker.flags import LABEL
from invoker_ext.containers.drivers.process import ProcessDriver
from tests.conftest import needs
from tests.support import engine


def needs_engine() -> None:
    """Skip the running test, or fail it under CI, where there is no engine with our images."""
    needs("a Docker engine", engine.answers(), engine.HOW)
    needs("mmdebstrap, for images", engine.can_build(), engine.HOW)


class World(ABC):
    """One way to have containers.

    Attributes:
        home: Of the driver.
        name: Of the driver.
    """

    name: str

    def __init__(self, home: Path) -> None:
        self.home = home

    @abstractmethod
    def driver(self) -> Driver:
        """Return one that is not open yet."""

    @abstractmethod
    def running(self) -> list[str]:
        """Return what stands for the containers there are."""

    @abstractmethod
    def kill(self, one: str) -> None:
        """End a container as an operator would: at once, behind the invoker's back."""

    @abstractmethod
    def left(self) -> list[str]:
        """Return what should not be there once a driver was closed."""


class Processes(World):
    """Containers are processes."""

    name = "process"

    def driver(self) -> Driver:
        return ProcessDriver(self.home)

    def running(self) -> list[str]:
        keepers = [int(folder.name.removeprefix("keeper-")) for folder in self.home.glob("keeper-*")]
        return [pid for keeper in keepers for pid in _children(keeper)]

    def kill(self, one: str) -> None:
        os.kill(int(one), signal.SIGKILL)

    def left(self) -> list[str]:
        return [path.name for path in self.home.iterdir()]


class Docker(World):
    """Containers are the engine's."""

    name = "docker"

    def driver(self, **changes: Any) -> Driver:
        fields: dict[str, Any] = {
            "images": {"python:3": engine.image("python"), "nodejs:20": engine.image("nodejs")},
            "memory_mb": 2048,
        }
        return DockerDriver(self.home, DockerSettings(**{**fields, **changes}))

    @property
    def instance(self) -> str:
        """Under which the engine knows the invoker."""
        return (self.home / "instance").read_text()

    def running(self) -> list[str]:
        return engine.docker("ps", "-aq", "--no-trunc", "--filter", f"label={LABEL}={self.instance}").split()

    def kill(self, one: str) -> None:
        engine.docker("kill", "--signal", "KILL", one)

    def left(self) -> list[str]:
        return [*self.running(), *(path.name for path in (self.home / "shared").iterdir())]


WORLDS: dict[str, type[World]] = {one.name: one for one in (Processes, Docker)}


def _children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
