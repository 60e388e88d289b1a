"""A process that evaluates inline functions for one invoker: reads calls from its standard input, a socket, one by one.

It ends when the socket is closed. What it computes on then is stopped by the engine's clock, or by an alarm of the
kernel's, which comes after the invoker would have killed it: no function outlives its invoker for long.
"""

from __future__ import annotations

import resource
import signal
import socket
import sys
import time
from collections.abc import Sequence
from typing import Final

import orjson

from invoker_ext.inline.call import MIB, Bounds
from invoker_ext.inline.chain import evaluate_chain
from invoker_ext.inline.confine import confine_calls
from invoker_ext.inline.engine import Engine
from invoker_ext.inline.frames import Messages, Part, answer_parts, pack, read_call

_OWN_MB: Final = 160
"""Writable memory of the interpreter, besides a call's, what others left, and copies of what is asked and answered."""
_COPIES: Final = 6
"""Of a message of the answer's bound, that may exist at once."""
_DESCRIPTORS: Final = 8


def main() -> None:
    """Serve until the other end hangs up. The bounds are the first argument, as JSON."""
    bounds = Bounds(**orjson.loads(sys.argv[1]))
    _confine(bounds)
    sock = socket.socket(fileno=0)
    engine = Engine(bounds)
    engine.prepare()
    confine_calls()
    _send(sock, [])  # ready
    messages = Messages()
    while count := sock.recv_into(messages.room()):
        for parts in messages.took(count):
            signal.setitimer(signal.ITIMER_REAL, 2 * bounds.patience_s)
            _send(sock, answer_parts(evaluate_chain(read_call(parts), engine.evaluate, time.process_time)))
            engine.prepare()
            signal.setitimer(signal.ITIMER_REAL, 0)


def _send(sock: socket.socket, parts: Sequence[Part]) -> None:
    for piece in pack(parts):
        sock.sendall(piece)


def _confine(bounds: Bounds) -> None:
    """Give up what is not needed, before anything of a user's is read."""
    memory = (2 * bounds.memory_mb + _OWN_MB + _COPIES * bounds.answer_mb) * MIB
    for what, most in (
        (resource.RLIMIT_DATA, memory),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, _DESCRIPTORS),
    ):
        _, hard = resource.getrlimit(what)
        bound = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (bound, bound))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)


if __name__ == "__main__":
    main()
