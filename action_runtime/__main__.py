"""Start the runtime: a session if a relay is given, else the stock action interface over HTTP."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading

from action_runtime.loader import Loader
from action_runtime.settings import PREFIX, SESSION_DESCRIPTOR, SESSION_SOCKET, Settings, SettingsError
from action_runtime.workspace import Workspace

TYPE_CHECKING = False
if TYPE_CHECKING:
    import io
    from types import FrameType
    from typing import Final, NoReturn

_USAGE_ERROR: Final = 2
_UNAVAILABLE: Final = 69
_KILLED: Final = 128


class _End:
    """Ends the process once, from whatever thread and whatever the others do, and leaves no file behind."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._process = os.getpid()
        # Guards the end itself: whoever comes second waits until the process is gone.
        self._once = threading.Lock()

    def __call__(self, code: int) -> NoReturn:
        if os.getpid() == self._process:  # a forked child of user code ends without a trace
            self._once.acquire()
            self._workspace.remove()
        os._exit(code)

    def on_signal(self, number: int, _: FrameType | None) -> None:
        if not self._once.locked() or os.getpid() != self._process:
            self(_KILLED + number)


def main() -> int:
    """Run until the platform ends the process; the code says why it ended by itself."""
    try:
        settings = Settings.from_env(os.environ)
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return _USAGE_ERROR
    for name in [name for name in os.environ if name.startswith((PREFIX, SESSION_DESCRIPTOR, SESSION_SOCKET))]:
        del os.environ[name]
    for stream in (sys.stdout, sys.stderr):
        _prepare(stream)  # type: ignore[arg-type]
    sys.dont_write_bytecode = True
    workspace = Workspace(os.environ.get("TMPDIR") or "/tmp")
    end = _End(workspace)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end.on_signal)
    loader = Loader(workspace, os.environ)
    try:
        if settings.descriptor is None and settings.socket_path is None:
            _serve_http(settings.port, loader)
        else:
            _serve_relay(settings, loader, end)
    except OSError as error:
        sys.stderr.write(f"the runtime cannot start: {error}\n")
        end(_UNAVAILABLE)
    return 0


def _prepare(stream: io.TextIOWrapper) -> None:
    """Write lines as they come, so that the log of a function that is killed says how far it came."""
    stream.reconfigure(encoding="utf-8", line_buffering=True)


def _print_into(folder: str) -> None:
    """Print into the pipes that lie beside the session's socket, if there are any: the relay reads them in order."""
    for descriptor, name in ((1, "stdout"), (2, "stderr")):
        path = os.path.join(folder, name)
        if os.path.exists(path):
            pipe = os.open(path, os.O_WRONLY)
            os.dup2(pipe, descriptor)
            os.close(pipe)


def _serve_http(port: int, loader: Loader) -> None:
    from action_runtime.proxy.action_proxy import ActionProxy
    from action_runtime.proxy.http import Server

    Server(port).serve(ActionProxy(loader).handle)


def _serve_relay(settings: Settings, loader: Loader, end: _End) -> None:
    from action_runtime.session import Session

    if settings.descriptor is not None:
        sock = socket.socket(fileno=settings.descriptor)
    else:
        path = settings.socket_path or ""
        _print_into(os.path.dirname(path))
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.connect(path)
    Session(sock, loader, end).serve()


if __name__ == "__main__":
    sys.exit(main())
