"""Takes from this process what evaluating needs nothing of: most of the kernel. For good, as it cannot be undone.

The engine is native code that runs what users wrote. Whoever breaks out of it has the rights of the server's user, as
the process runs as that; but the kernel then opens nothing for it, connects nothing, starts nothing and signals nobody.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import sys
from collections.abc import Mapping, Sequence
from typing import Final

# Of <linux/prctl.h>, <linux/seccomp.h>, <linux/audit.h> and <linux/filter.h>.
_PR_SET_NO_NEW_PRIVS: Final = 38
_PR_SET_SECCOMP: Final = 22
_MODE_FILTER: Final = 2
_ALLOW: Final = 0x7FFF0000
_ERRNO: Final = 0x00050000
_LOAD: Final = 0x20
_EQUAL: Final = 0x15
_RETURN: Final = 0x06
_NUMBER_AT: Final = 0
_ARCHITECTURE_AT: Final = 4

_INSTRUCTION: Final = struct.Struct("=HBBI")

_CALLS: Final[Mapping[str, tuple[int, Sequence[int]]]] = {
    "x86_64": (
        0xC000003E,
        (
            0, 1, 3, 5, 7, 8, 9, 10, 11, 12,  # read write close fstat poll lseek mmap mprotect munmap brk
            13, 14, 15, 17, 24, 25, 28,  # rt_sigaction rt_sigprocmask rt_sigreturn pread64 sched_yield mremap madvise
            38, 39, 44, 45, 60,  # setitimer getpid sendto recvfrom exit
            96, 98, 131, 186, 201, 202,  # gettimeofday getrusage sigaltstack gettid time futex
            219, 228, 230, 231, 318,  # restart_syscall clock_gettime clock_nanosleep exit_group getrandom
        ),
    ),
    "aarch64": (
        0xC00000B7,
        (
            63, 64, 57, 80, 73, 62, 222, 226, 215, 214,  # read write close fstat ppoll lseek mmap mprotect munmap brk
            134, 135, 139, 67, 124, 216, 233,  # rt_sigaction rt_sigprocmask rt_sigreturn pread64 sched_yield mremap …
            103, 172, 206, 207, 93,  # setitimer getpid sendto recvfrom exit
            169, 165, 132, 178, 98,  # gettimeofday getrusage sigaltstack gettid futex
            128, 113, 115, 94, 278,  # restart_syscall clock_gettime clock_nanosleep exit_group getrandom
        ),
    ),
}  # fmt: skip
"""Machine → its name for the kernel, and the numbers of the system calls that are left."""


class _Program(ctypes.Structure):
    _fields_ = (("size", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def confine_calls() -> bool:
    """Have the kernel refuse all other system calls with EPERM.

    Returns:
        Whether it does: not on other machines, and where the kernel has no such filters.
    """
    known = _CALLS.get(os.uname().machine)
    if known is None or sys.maxsize < 1 << 32:
        return False
    text = _filter(*known)
    program = _Program(len(text) // _INSTRUCTION.size, text)
    prctl = ctypes.CDLL(None).prctl
    prctl.argtypes = (ctypes.c_int, *(ctypes.c_ulong,) * 4)
    if prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        return False
    return bool(prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.addressof(program), 0, 0) == 0)


def _filter(architecture: int, allowed: Sequence[int]) -> bytes:
    """Return the filter: each comparison that holds jumps to the last instruction but one."""
    refuse = (_RETURN, 0, 0, _ERRNO | errno.EPERM)
    left = len(allowed)
    return b"".join(
        _INSTRUCTION.pack(*one)
        for one in (
            (_LOAD, 0, 0, _ARCHITECTURE_AT),
            (_EQUAL, 1, 0, architecture),
            refuse,
            (_LOAD, 0, 0, _NUMBER_AT),
            *((_EQUAL, left - at, 0, number) for at, number in enumerate(allowed)),
            refuse,
            (_RETURN, 0, 0, _ALLOW),
        )
    )
