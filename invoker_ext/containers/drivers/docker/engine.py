"""The Docker engine, as far as the driver needs it. Every call blocks; each is made on a thread of the driver."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

import docker
import requests
from docker.errors import APIError, DockerException, NotFound
from docker.utils import kwargs_from_env, parse_repository_tag
from urllib3.exceptions import HTTPError

from action_runtime.wire.errors import Blame, DataflowError
from invoker_ext.containers.drivers.docker.flags import LABEL, RUNTIME_LABEL, Creation

_CALL_S: Final = 60.0
"""Bound of one answer of the engine. Source: stock's for `run`, `rm` and `inspect`."""
PULL_S: Final = 600.0
"""Source: stock."""
_CONNECTIONS: Final = 32
_CONFLICT: Final = 409
_EVENTS: Final = ("die", "oom")
_NOTHING_TO_RUN: Final = ("executable file not found", "no such file or directory")
"""What the engine's client takes for that, too."""


class EngineFailure(DataflowError):
    """The engine refused a call, or did not answer."""

    code = "engine-failure"


class ImageNotPulled(EngineFailure):
    """An image that an action names is not to be had; who wrote the action must act."""

    code = "image-not-pulled"
    blame = Blame.DEVELOPER


class NothingToRun(EngineFailure):
    """An image has no executable of the name that it is to be started with; who built it must act."""

    code = "nothing-to-run"
    blame = Blame.DEVELOPER


@dataclass(slots=True, frozen=True)
class Seen:
    """What the engine says of a container.

    Attributes:
        running: It does, or is paused.
        exit_code: Of its first process, once that has ended.
        out_of_memory: The kernel ended something in it for want of memory.
        address: In the invoker's network; empty: it has none.
    """

    running: bool
    exit_code: int
    out_of_memory: bool
    address: str


class Attached:
    """The stream of a container's output."""

    def __init__(self, reader: Any) -> None:
        self._reader = reader  # also keeps the connection from being collected
        self._socket: socket.socket = getattr(reader, "_sock", reader)
        self._socket.settimeout(None)

    def read(self, size: int) -> bytes:
        """Wait for bytes; none: the container has ended, or `close` was called."""
        try:
            return self._socket.recv(size)
        except OSError:
            return b""

    def end(self) -> None:
        """Let `read` return. Safe from any thread. Idempotent."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # it is at its end

    def close(self) -> None:
        """Let go of the connection."""
        self._reader.close()
        self._socket.close()


class Events:
    """The stream of what happens to containers."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """Wait for what happens: (id, `die` or `oom`). Ends with the connection."""
        with _told("listening to events"):
            for event in self._stream:
                yield event["id"], event["Action"]

    def end(self) -> None:
        """Let the loop over it end. Safe from any thread. Idempotent."""
        with suppress(OSError):
            self._stream.close()

    def close(self) -> None:
        """Let go of the connection; for who reads it."""
        self._stream._response.close()


class Engine:
    """One engine; found by `DOCKER_HOST` and its fellows, as by all clients of Docker.

    Raises:
        EngineFailure: It does not answer.
    """

    def __init__(self) -> None:
        with _told("it does not answer"):
            self._api: Any = docker.APIClient(
                version="auto", timeout=_CALL_S, max_pool_size=_CONNECTIONS, num_pools=4, **kwargs_from_env()
            )

    def close(self) -> None:
        """Let go of all connections."""
        self._api.close()

    # -- images -----------------------------------------------------------------------------------

    def runtime_of(self, image: str) -> str | None:
        """Return the value of an image's runtime label, "" if it has none; None: the image is not here."""
        with _told(f"looking for the image {image}"):
            try:
                found = self._api.inspect_image(image)
            except NotFound:
                return None
        labels = found["Config"].get("Labels") or {}
        return str(labels.get(RUNTIME_LABEL, ""))

    def pull(self, image: str) -> None:
        """Get the newest version of an image.

        Raises:
            ImageNotPulled: It cannot be had.
        """
        repository, tag = parse_repository_tag(image)
        ends = time.monotonic() + PULL_S
        refused = None
        try:
            with _told(f"pulling {image}"):
                for line in self._api.pull(repository, tag=tag or "latest", stream=True, decode=True):
                    refused = refused or line.get("error")  # the last line; read on, so that the connection is free
                    if time.monotonic() > ends:
                        raise ImageNotPulled(f"pulling {image} took longer than {PULL_S:.0f} s")
        except ImageNotPulled:
            raise
        except EngineFailure as error:
            raise ImageNotPulled(str(error)) from error
        if refused is not None:
            raise ImageNotPulled(f"pulling {image}: {refused}")

    # -- containers -------------------------------------------------------------------------------

    def create(self, what: Creation) -> str:
        """Create a container; return its id."""
        with _told(f"creating {what.name}"):
            made = self._api.create_container(
                what.image,
                name=what.name,
                environment=dict(what.environment),
                labels=dict(what.labels),
                host_config=self._api.create_host_config(**what.host),
            )
        return str(made["Id"])

    def attach(self, number: str) -> Attached:
        """Return the stream of what a container will print; to be called before its start."""
        with _told(f"attaching to {number}"):
            return Attached(self._api.attach_socket(number, {"stdout": 1, "stderr": 1, "stream": 1}))

    def start(self, number: str) -> None:
        """Start a container.

        Raises:
            NothingToRun: Its image lacks what it is to run: what `docker run` ends for with 127.
        """
        with _told(f"starting {number}"):
            try:
                self._api.start(number)
            except APIError as error:
                if any(sign in str(error.explanation) for sign in _NOTHING_TO_RUN):
                    raise NothingToRun(str(error.explanation)) from error
                raise

    def look(self, number: str, network: str) -> Seen | None:
        """Return what there is to know of a container; None: it is no more."""
        with _told(f"inspecting {number}"):
            try:
                found = self._api.inspect_container(number)
            except NotFound:
                return None
        state, networks = found["State"], found["NetworkSettings"]["Networks"]
        address = networks.get(network, {}).get("IPAddress", "")
        return Seen(state["Running"], state["ExitCode"], state["OOMKilled"], address)

    def pause(self, number: str) -> None:
        """Stop all processes of a container."""
        with _told(f"pausing {number}"):
            self._api.pause(number)

    def unpause(self, number: str) -> None:
        """Let all processes of a container go on."""
        with _told(f"unpausing {number}"):
            self._api.unpause(number)

    def remove(self, number: str) -> None:
        """End a container and remove it with its volumes. Idempotent."""
        with _told(f"removing {number}"):
            try:
                self._api.remove_container(number, force=True, v=True)
            except NotFound:
                return
            except APIError as error:
                if error.status_code != _CONFLICT:  # somebody else removes it at this moment
                    raise

    def of_instance(self, instance: str, *, running: bool = False) -> list[str]:
        """Return the ids of an invoker's containers."""
        with _told("listing containers"):
            found = self._api.containers(all=not running, quiet=True, filters={"label": f"{LABEL}={instance}"})
        return [one["Id"] for one in found]

    def events(self, instance: str) -> Events:
        """Return the stream of what happens to an invoker's containers."""
        filters = {"type": "container", "event": list(_EVENTS), "label": f"{LABEL}={instance}"}
        with _told("listening to events"):
            return Events(self._api.events(filters=filters, decode=True))


@contextmanager
def _told(doing: str) -> Iterator[None]:
    """Turn what the SDK raises into EngineFailure."""
    try:
        yield
    except (DockerException, requests.RequestException, HTTPError, OSError) as error:
        explanation = getattr(error, "explanation", None) or error
        raise EngineFailure(f"the Docker engine: {doing}: {explanation}") from error
