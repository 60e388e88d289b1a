"""The function logic unit: calls the user's function on the main thread, and nothing else."""

from __future__ import annotations

import contextlib
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable
    from types import TracebackType
    from typing import Any, Final


OUT_OF_MEMORY: Final = "The action exhausted its memory and was aborted."
"""Stock's sentence. The interpreter's own MemoryError, at the bound of a process's memory, comes without any text."""


class Exited(Exception):
    """The function ended the way that ends a process: `sys.exit`, KeyboardInterrupt."""


class FunctionUnit:
    """Calls one function, `def` or `async def`, once per activation."""

    def __init__(self, entry: Callable[[Any], Any]) -> None:
        self._entry = entry
        self._runner: asyncio.Runner | None = None

    def call(self, argument: Any) -> Any:
        """Return what the function returned.

        An exception becomes `{"error": text}`, its traceback goes to stderr.

        Raises:
            Exited: It left by SystemExit or another exception that is no `Exception`.
        """
        try:
            result = self._entry(argument)
            if hasattr(result, "__await__"):
                return self._drive(result)
        except Exception as error:  # noqa: BLE001 - whatever user code raises is the activation's result
            report(error)
            return {"error": _text(error)}
        except BaseException as error:  # noqa: BLE001 - a process would be gone; we answer for it
            report_exit(error)
            raise Exited from None
        return result

    def _drive(self, awaitable: Any) -> Any:
        """Run an `async def` on this container's one event loop, so that what it opened may live on in it."""
        import asyncio

        if self._runner is None:
            self._runner = asyncio.Runner()
        return self._runner.run(_whole(awaitable, asyncio))


async def _whole(awaitable: Any, asyncio: Any) -> Any:
    """Await the function, then end the tasks it left: they must not compute on another activation's account."""
    try:
        return await awaitable
    finally:
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)


def flush_logs() -> None:
    """Hand everything printed so far to the platform, whatever user code did to the streams."""
    for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
        # A stream that was closed or replaced by something else has nothing for us; a reader may be gone.
        with contextlib.suppress(AttributeError, OSError, ValueError):
            stream.flush()  # type: ignore[union-attr]


def _text(error: Exception) -> str:
    try:
        text = str(error)
        return OUT_OF_MEMORY if not text and isinstance(error, MemoryError) else text
    except Exception:  # noqa: BLE001 - an exception of the user's that cannot even be shown
        return f"{type(error).__name__}, which has no text"


def report(error: BaseException) -> None:
    """Write the traceback of user code to stderr, without the runtime's own frames at its head."""
    # The interpreter's own printer: the `traceback` module would cost 8 ms, and user code may have one of that name.
    error.__traceback__ = _of_user(error.__traceback__)
    sys.__excepthook__(type(error), error, error.__traceback__)


def report_exit(error: BaseException) -> None:
    """Write what the interpreter would write when `error` ends it."""
    if not isinstance(error, SystemExit):
        report(error)
    elif error.code is not None and not isinstance(error.code, int):
        sys.stderr.write(f"{error.code}\n")


def _of_user(trace: TracebackType | None) -> TracebackType | None:
    start = trace
    while start is not None and start.tb_frame.f_globals.get("__name__", "").startswith(("action_runtime", "asyncio")):
        start = start.tb_next
    return start if start is not None else trace
