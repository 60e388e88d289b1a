"""From the value of `/init` to a function: unpack, set the environment, activate a virtualenv, compile, import.

Source: ActionLoop's proxy and the Python runtime's compile script and launcher, whose texts and statuses are kept.
Deviates: code runs in this one process; PATH, HOME and the like of the container stay in the environment.
"""

from __future__ import annotations

import binascii
import os
import sys
from types import ModuleType

from action_runtime.archive import ArchiveRefused, is_archive, unpack
from action_runtime.function_unit import report, report_exit
from action_runtime.workspace import Workspace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import CodeType
    from typing import Any, Final

MODULE: Final = "main__"
NO_CODE: Final = "Missing main/no code to execute."
NO_BINARY: Final = "The action failed to generate or locate a binary. See logs for details."
TWICE: Final = "Cannot initialize the action more than once."
NO_START: Final = "Cannot start action. Check logs for details."
_ABRUPT: Final = "Command exited abruptly during initialization."
_KEPT: Final = frozenset({"PATH", "HOME", "TMPDIR", "LANG", "LC_ALL", "TZ"})
"""Variables of the container, beside `__OW_*`, that the action sees."""
_ALPHABET: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")


class InitFailed(Exception):
    """The action cannot be initialised; another attempt may follow.

    Attributes:
        status: HTTP status of the reply.
        error: Its `error` member.
        logged: The log says more, so sentinels follow.
    """

    def __init__(self, status: int, error: str, logged: bool) -> None:
        super().__init__(status, error, logged)
        self.status = status
        self.error = error
        self.logged = logged


class Loader:
    """Makes one action ready; a failed attempt leaves no trace in the environment, the path or the modules."""

    def __init__(self, workspace: Workspace, environ: Mapping[str, str]) -> None:
        """Take note of the container's environment.

        Args:
            workspace: Where each attempt gets its folder.
            environ: As it was at start.
        """
        self._workspace = workspace
        self._base = {k: v for k, v in environ.items() if k in _KEPT or k.startswith("__OW_")}
        self._version = environ.get(
            "OW_EXECUTION_ENV", f"openwhisk/action-python-v{sys.version_info[0]}.{sys.version_info[1]}"
        )

    def load(self, request: Mapping[str, Any], code: bytes) -> Callable[[Any], Any]:
        """Return the function.

        Args:
            request: The value of `/init`; its `code` is not looked at.
            code: Source as UTF-8, or base64 text if `binary` is set.

        Raises:
            InitFailed: With what the stock runtime would answer; details are on stderr.
        """
        if not code:
            raise InitFailed(403, NO_CODE, logged=False)
        content = _from_base64(code) if request.get("binary") else code
        try:
            folder = self._workspace.next_folder()
        except OSError as error:
            raise _unstartable(f"the action has no place on disk: {error}") from error
        self._reset(folder, request.get("env") or {})
        try:
            program = self._prepare(content, folder)
            return _entry(program, os.path.join(folder, f"{MODULE}.py"), request.get("main") or "main")
        except OSError as error:
            self._leave(folder)
            raise _unstartable(f"the action cannot be put on disk: {error}") from error
        except InitFailed:
            self._leave(folder)
            raise

    def _reset(self, folder: str, env: Mapping[str, Any]) -> None:
        for name in os.environ.keys() - self._base.keys():
            del os.environ[name]
        os.environ.update(self._base)
        try:
            os.environ.update({k: v if isinstance(v, str) else _text(v) for k, v in env.items()})
        except ValueError as error:
            raise InitFailed(400, f"cannot set the environment: {error}", logged=False) from error
        os.chdir(folder)
        sys.path.insert(0, folder)

    def _leave(self, folder: str) -> None:
        os.chdir(self._workspace.root)
        sys.modules.pop(MODULE, None)
        sys.path[:] = [path for path in sys.path if not path.startswith(folder)]

    def _prepare(self, content: bytes, folder: str) -> CodeType:
        """Unpack or write the code, check it as the compile script does, return it compiled."""
        source = os.path.join(folder, "exec")
        if is_archive(content):
            try:
                unpack(content, folder)
            except ArchiveRefused as error:
                raise _refused(str(error)) from error
        else:
            _write(source, content)
        if os.path.isfile(source) and _is_program(source):
            self._check_prebuilt(folder)
        else:
            _name_module(folder, source)
        _activate(folder)
        return _compile(os.path.join(folder, f"{MODULE}.py"))

    def _check_prebuilt(self, folder: str) -> None:
        """Take an archive that the stock compile script built: its program only starts Python on `main__`."""
        try:
            with open(os.path.join(folder, "exec.env"), encoding="utf-8") as file:
                version = file.read().strip()
        except OSError as error:
            raise _unstartable(
                "exec.env: no such file: a prebuilt action must name its execution environment"
            ) from error
        if version != self._version:
            raise _unstartable(
                f"Expected {self._version}, the action was built for {version}.\n"
                "Execution environment version mismatch. See logs for details."
            )
        if not os.path.isfile(os.path.join(folder, f"{MODULE}.py")):
            raise _unstartable(f"The archive has no {MODULE}.py: this runtime starts Python only.\n{_ABRUPT}")


def _text(value: Any) -> str:
    import json

    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _refused(text: str) -> InitFailed:
    sys.stderr.write(f"{text}\n")
    return InitFailed(502, NO_BINARY, logged=True)


def _unstartable(text: str) -> InitFailed:
    sys.stderr.write(f"{text}\n")
    return InitFailed(502, NO_START, logged=True)


def _from_base64(code: bytes) -> bytes:
    text = code.replace(b"\n", b"").replace(b"\r", b"")
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except binascii.Error as error:
        stripped = text.rstrip(b"=")
        at = next((i for i, letter in enumerate(stripped) if letter not in _ALPHABET), len(stripped))
        raise InitFailed(
            400, f"cannot decode the request: illegal base64 data at input byte {at}", logged=False
        ) from error


def _write(path: str, content: bytes) -> None:
    with open(path, "wb") as file:
        file.write(content)


def _is_program(path: str) -> bool:
    with open(path, "rb") as file:
        head = file.read(4)
    return head == b"\x7fELF" or head.startswith(b"#!")


def _name_module(folder: str, source: str) -> None:
    target = os.path.join(folder, f"{MODULE}.py")
    for candidate in (source, os.path.join(folder, "__main__.py")):
        if os.path.isfile(candidate):
            os.replace(candidate, target)
            return
    if not os.path.isfile(target):
        raise _refused("Zip file does not include main__: it needs a __main__.py at its top level.")


def _activate(folder: str) -> None:
    virtualenv = os.path.join(folder, "virtualenv")
    if not os.path.isdir(virtualenv):
        return
    for place in ("bin", "Scripts"):
        script = os.path.join(virtualenv, place, "activate_this.py")
        if os.path.isfile(script):
            break
    else:
        raise _refused("Invalid virtualenv. Zip file does not include 'activate_this.py'.")
    _execute(_compile(script), {"__file__": script, "__name__": "activate_this"})


def _compile(path: str) -> CodeType:
    with open(path, "rb") as file:
        source = file.read()
    try:
        return compile(source, path, "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as error:
        report(error.with_traceback(None))  # all its frames are ours
        raise InitFailed(502, NO_BINARY, logged=True) from error


def _execute(program: CodeType, namespace: dict[str, Any]) -> None:
    try:
        exec(program, namespace)
    except BaseException as error:  # noqa: BLE001 - whatever user code raises at import fails the init
        report_exit(error)
        raise _unstartable(_ABRUPT) from None


def _entry(program: CodeType, path: str, name: str) -> Callable[[Any], Any]:
    module = ModuleType(MODULE)
    module.__file__ = path
    sys.modules[MODULE] = module
    _execute(program, module.__dict__)
    entry = getattr(module, name, None)
    if not callable(entry):
        raise _unstartable(f"ImportError: cannot import name {name!r} from {MODULE!r} ({path})\n{_ABRUPT}")
    found: Callable[[Any], Any] = entry
    return found
