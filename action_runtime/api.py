"""What user code calls, and the seam behind it: whoever runs the action installs the outlet its calls go to.

Kept small: every process that imports `action_runtime.wire` imports this too.
"""

from __future__ import annotations

from action_runtime.context import context
from action_runtime.errors import NoActivation

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final, Protocol

    from action_runtime.files import InputFile, OutputFile

    class Outlet(Protocol):
        """Where the calls of user code go while an activation runs."""

        def emit(self, name: str, value: Any) -> None:
            """See `emit`."""

        def open_output(self, name: str, chunk_bytes: int) -> OutputFile:
            """See `open_output`."""

        def open_input(self, name: str) -> InputFile:
            """See `open_input`."""


__all__ = ["CHUNK_BYTES", "context", "emit", "install", "open_input", "open_output"]

CHUNK_BYTES: Final = 1024 * 1024
"""Default size of the parts that `open_output` sends; large enough that a part's fixed cost does not count."""

_outlet: Outlet | None = None


def install(outlet: Outlet | None) -> None:
    """Send the calls of user code to `outlet`; None: no activation runs, they raise."""
    global _outlet
    _outlet = outlet


def emit(name: str, value: Any) -> None:
    """Send `value` on its way as the next item of output `name`; consumers may start before this function returns.

    The value is a snapshot: changing it afterwards changes nothing. May be called from any thread and inside
    `async def`. Returns at once unless the data unit already holds as many bytes as it may, or the platform asked to
    slow down; then it waits for the host to take some, at most until the action's time is up.

    Args:
        name: Output; a step of a workflow names it as `step.name`.
        value: Anything JSON can hold; bytes-like; or a buffer with a shape (a NumPy array).

    Raises:
        TypeError: The value is none of these.
        ValueError: A number in the value has no JSON form (NaN, infinity).
        OutputMisused: The output is being written by `open_output`.
        OutputRefused: The host can never hold a value of that size.
        NoActivation: No activation runs.
    """
    if _outlet is None:
        raise NoActivation("emit")
    _outlet.emit(name, value)


def open_output(name: str, chunk_bytes: int = CHUNK_BYTES) -> OutputFile:
    """Return a writable binary file; consumers with a `stream` edge read it while it is still written.

    Args:
        name: Output.
        chunk_bytes: Bytes are sent in parts of this size, and on `flush` and `close`; ≥ 1.

    Raises:
        OutputMisused: Something was emitted there, or it is open already.
        NoActivation: No activation runs.
    """
    if _outlet is None:
        raise NoActivation("open_output")
    return _outlet.open_output(name, chunk_bytes)


def open_input(name: str) -> InputFile:
    """Return a readable binary file over an input; of a `stream` edge, while its producer still writes.

    Iterating gives the parts: the emitted values, or the chunks of a file, as they come.

    Raises:
        InputMissing: There is no such input.
        NoActivation: No activation runs.
    """
    if _outlet is None:
        raise NoActivation("open_input")
    return _outlet.open_input(name)
