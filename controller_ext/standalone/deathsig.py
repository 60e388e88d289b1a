"""Has the kernel kill a process when its parent dies. Linux only."""

from __future__ import annotations

import ctypes
import os
import signal
from typing import Final

_PR_SET_PDEATHSIG: Final = 1


class DeathSignal:
    """Made before the fork, called after it: looking up the C library is not safe in between.

    The signal follows the *thread* that forked: it must live as long as the process.
    """

    def __init__(self) -> None:
        self._prctl = ctypes.CDLL(None, use_errno=True).prctl
        self._parent = os.getpid()

    def __call__(self) -> None:
        """Die with the process that made this object; called in its child, before or instead of exec.

        Raises:
            OSError: The kernel refuses.
        """
        if self._prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
        if os.getppid() != self._parent:
            # The parent died before we asked: nobody will send the signal.
            os.kill(os.getpid(), signal.SIGKILL)
