"""What the kernel does for a process that evaluates functions."""

from __future__ import annotations

import subprocess
import sys

import pytest

CONFINED = """
import errno, os, socket, sys
from invoker_ext.inline.confine import confine_calls
import json
assert confine_calls()
try:
    {}
except OSError as error:
    assert error.errno == errno.EPERM, error
    print("refused")
"""


@pytest.mark.parametrize(
    "what",
    [
        "open('/etc/passwd')",
        "os.listdir('/proc')",
        "os.unlink('/nowhere')",
        "socket.socket()",
        "socket.socket(socket.AF_UNIX)",
        "os.fork()",
        "os.execv(sys.executable, ['python'])",
        "os.kill(os.getppid(), 0)",
    ],
)
def test_nothing_is_opened_connected_started_or_signalled(what):
    ended = subprocess.run(
        [sys.executable, "-c", CONFINED.format(what)], capture_output=True, text=True, timeout=30, check=False
    )
    assert (ended.stdout, ended.returncode) == ("refused\n", 0), ended.stderr
