"""What happens between the fork of a container and its first own instruction."""

from __future__ import annotations

import ctypes
import fcntl
import io
import os
import resource
import runpy
import signal
import sys
import threading
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NoReturn

SESSION_FD: Final = 3
RUNTIME: Final = "action_runtime"
_THREAD_STACK_BYTES: Final = 2 * 1024 * 1024
"""Of threads that Python starts. The kernel counts a stack whole against the bound on data: at its own 8 MiB a pool of
32 threads would take all that a container of 256 MB has. 1 MiB is too little for 1,000 calls through `sorted`."""
BOOT: Final = (
    f"import _thread, runpy, sys; _thread.stack_size({_THREAD_STACK_BYTES}); "
    "sys.path.insert(0, sys.argv.pop()); import action_runtime; sys.path.pop(0); "
    "runpy.run_module('action_runtime', run_name='__main__', alter_sys=True)"
)
"""Program of an interpreter that is not the keeper's; its argument is the folder of the packages."""

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_CHILD_SUBREAPER: Final = 36
_OPEN_FILES: Final = 1024
"""As stock containers."""
_MIB: Final = 1024 * 1024
_COMM_BYTES: Final = 15
_OUT_OF_THE_WAY: Final = 64
_LIBC: Final = ctypes.CDLL(None, use_errno=True)
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3
HEAP_KEPT_BYTES: Final = 16 * _MIB
"""Freed memory that a container keeps for its next values. By default the C library gives a value of 1 MB back when it
is freed and has each page of the next one made and cleared again: twice the time of printing it as JSON."""
HEAP_VALUE_BYTES: Final = 4 * _MIB
"""Larger values are mapped on their own, and unmapped when they are freed."""


def become_subreaper() -> None:
    """Make this process the parent of whatever below it loses its own.

    Raises:
        OSError: The kernel does not know how (Linux before 3.4).
    """
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def be_born(
    folder: Path, descriptors: Sequence[int], environment: Mapping[str, str], memory_mb: int, argv: Sequence[str] | None
) -> NoReturn:
    """Turn a freshly forked child of the keeper into a container. Never returns.

    Args:
        folder: Its own; becomes the working, home and temporary directory.
        descriptors: Standard output, standard error, session or listening socket.
        environment: All of it.
        memory_mb: Bound of its data segments (maps of the sink do not count).
        argv: Interpreter to become; None: stay this one.
    """
    code = 1
    try:
        _arrange(descriptors)
        _limit(memory_mb)
        os.chdir(folder)
        Path("/proc/self/comm").write_text(folder.name[:_COMM_BYTES])  # so that `ps` and `top` tell containers apart
        own = {"HOME": str(folder), "TMPDIR": str(folder)}
        if argv is not None:
            os.execve(argv[0], list(argv), {**environment, **own})
        os.environ.clear()
        os.environ.update(environment)
        os.environ.update(own)
        code = _run()
    finally:
        try:
            if sys.exc_info()[0] is not None:
                traceback.print_exc()
        finally:  # user code may have closed what that was printed to
            os._exit(code)  # nothing of the keeper that was copied here may be cleaned up here


def _arrange(descriptors: Sequence[int]) -> None:
    """Begin a session of its own that dies with the keeper, holding four descriptors and no signal handler."""
    keeper = os.getppid()
    os.setsid()
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != keeper:
        os._exit(1)  # the keeper died before it could be noticed
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    for ending in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, signal.SIG_DFL)
    quiet = os.open(os.devnull, os.O_RDONLY)
    # Copied out of the way first: the numbers that are wanted may be those that are given.
    copies = [fcntl.fcntl(one, fcntl.F_DUPFD, _OUT_OF_THE_WAY) for one in (quiet, *descriptors)]
    for number, copy in enumerate(copies):
        os.dup2(copy, number)
    os.closerange(SESSION_FD + 1, os.sysconf("SC_OPEN_MAX"))


def _limit(memory_mb: int) -> None:
    size = memory_mb * _MIB
    resource.setrlimit(resource.RLIMIT_DATA, (size, size))
    _keep_heap()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (_OPEN_FILES, _OPEN_FILES))
    # Should the host run out of memory, a container goes before the invoker does.
    Path("/proc/self/oom_score_adj").write_text("500")


def _keep_heap() -> None:
    """Keep freed memory instead of giving it back at once; where the C library is not GNU's, nothing changes."""
    tune = getattr(_LIBC, "mallopt", None)
    if tune is not None:
        tune(_M_TRIM_THRESHOLD, HEAP_KEPT_BYTES)
        tune(_M_MMAP_THRESHOLD, HEAP_VALUE_BYTES)


def _run() -> int:
    """Run the action runtime as an interpreter would; return its exit code."""
    threading.stack_size(_THREAD_STACK_BYTES)
    sys.argv = [RUNTIME]
    # The keeper's own were made for its streams: buffers and the guess whether they can seek do not fit a pipe.
    standard_input = io.TextIOWrapper(io.FileIO(0, closefd=False), "utf-8")
    output = io.TextIOWrapper(io.BufferedWriter(io.FileIO(1, "w", closefd=False)), "utf-8")
    errors = io.TextIOWrapper(io.BufferedWriter(io.FileIO(2, "w", closefd=False)), "utf-8", "backslashreplace")
    vars(sys).update(stdin=standard_input, stdout=output, stderr=errors)
    vars(sys).update(__stdin__=standard_input, __stdout__=output, __stderr__=errors)
    code = 0
    try:
        runpy.run_module(RUNTIME, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    sys.stdout.flush()
    sys.stderr.flush()
    return code


def _prctl(option: int, value: int) -> None:
    if _LIBC.prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")
