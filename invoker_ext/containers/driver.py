"""How containers come to be: the role that each driver in `drivers/` plays."""

from __future__ import annotations

import socket
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from action_runtime.wire.errors import DataflowError


class DriverUnavailable(DataflowError):
    """What the driver needs on this host is not there; who runs the host must act."""

    code = "driver-unavailable"


class UnknownKind(LookupError):
    """No runtime on this host can run actions of this kind; who deploys the action or the host must act."""

    def __init__(self, kind: str, known: tuple[str, ...]) -> None:
        super().__init__(f"No runtime on this host runs actions of kind '{kind}'; there are: {', '.join(known)}.")
        self.kind = kind
        self.known = known


@dataclass(slots=True, frozen=True, kw_only=True)
class ContainerSpec:
    """What to start."""

    name: str
    """Unique on this host, for people and records."""
    runtime: str
    """From `Driver.runtime_of`."""
    memory_mb: int
    environment: Mapping[str, str]
    """All there is, beside what the driver itself must set."""


@dataclass(slots=True, frozen=True, kw_only=True)
class Exit:
    """How a container ended."""

    error: str | None = None
    """Why it never came up."""
    out_of_memory: bool = False
    """The kernel ended it because it was above its memory limit."""
    unpulled: str | None = None
    """It never came up because this image, which its action names, could not be had."""
    unrunnable: str | None = None
    """It never came up because this image has not the executable that it is to run."""


class Handle(ABC):
    """One container, from its start until it is gone. Closed by who started it; not thread-safe, used on the loop."""

    @property
    def relayed(self) -> bool:
        """It speaks to the relay over `session`; else it is a stock runtime that serves at `address`."""
        return self.session is not None

    def when_reachable(self, call: Callable[[], None]) -> None:
        """Call back once `session` or `address` is there: at once if it is, never if the container ends before."""
        call()

    @property
    @abstractmethod
    def session(self) -> socket.socket | None:
        """The relay's end of the session; None: a stock runtime, or not reachable yet. Owned by the caller."""

    @property
    @abstractmethod
    def address(self) -> tuple[str, int] | str | None:
        """Where a stock runtime listens: host and port, or the path of a Unix socket. None: not known yet."""

    @property
    @abstractmethod
    def outputs(self) -> tuple[int, int]:
        """Non-blocking read ends of standard output and error; owned by the caller, who closes them."""

    @property
    def extra_start_s(self) -> float:
        """What its start may take beyond the usual, because something has to be fetched first."""
        return 0.0

    @property
    def pause_grace_s(self) -> float | None:
        """After so long without work it is worth to be paused; None: this driver pauses nothing."""
        return None

    def pause(self) -> None:
        """Let nothing in it compute any more; does not wait.

        Raises:
            NotImplementedError: This driver pauses nothing.
        """
        raise NotImplementedError

    def resume(self, done: Callable[[bool], None]) -> None:
        """Let it go on after a pause.

        Args:
            done: Called on the loop, once, with whether it does. Not called if the container ends before.
        """
        done(True)

    @abstractmethod
    def kill(self, *, ending: bool = False) -> None:
        """End it with all it started; idempotent, does not wait. `gone` of the start is called when it is done.

        Args:
            ending: It seems to end by itself: how it does may be waited for, for a short time.
        """


class Driver(ABC):
    """Starts containers.

    Contract: a container gets nothing of the invoker but what the spec and its driver name; whatever it starts or
    leaves behind ends with it, and with the invoker, however either ends.
    """

    @abstractmethod
    async def open(self) -> None:
        """Get ready; removes what a predecessor that was killed left behind.

        Raises:
            DriverUnavailable: The host lacks what it needs, with what to do.
        """

    @property
    @abstractmethod
    def kinds(self) -> tuple[str, ...]:
        """Kinds of actions that this host runs, after `open`."""

    @abstractmethod
    def runtime_of(self, kind: str, image: str | None = None) -> str:
        """Return what is started for a kind; kinds with the same runtime share containers that are not initialised.

        Args:
            kind: Of the action.
            image: That the action names, if its kind is `blackbox`.

        Raises:
            UnknownKind: This host has none.
        """

    def shares(self, runtime: str) -> bool:
        """Return whether a container of this runtime can run several functions at a time."""
        return False

    @abstractmethod
    def start(self, spec: ContainerSpec, gone: Callable[[Exit], None]) -> Handle:
        """Start a container; does not wait for it.

        Args:
            spec: What.
            gone: Called on the loop, once, after nothing of the container is left: no process, no file.

        Raises:
            OSError: The host has no room for it; nothing is left behind.
        """

    @abstractmethod
    async def close(self) -> None:
        """End all containers, wait for them (bounded), release everything. Idempotent."""
