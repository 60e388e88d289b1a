"""The gunicorn worker class: threads, with a moment of patience for the next request of a connection.

Stock `gthread` hands a kept-alive connection back to its main thread after every request, which polls it and hands it
to a thread again: two changes of thread a request, each a wait for the interpreter. A client that invokes in a loop
sends its next request within a fraction of a millisecond; here its thread takes that one itself.
"""

from __future__ import annotations

import select
import threading
from typing import Any, Final

from gunicorn.glogging import Logger
from gunicorn.workers.gthread import ThreadWorker

LINGER_MS: Final = 5
"""How long a thread waits for the next request; longer than a client in a loop needs, too short to be missed."""
_LINGERING_SHARE: Final = 4
"""At most one thread in so many waits like this, so that new connections always find one."""


class LingeringWorker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """Serves requests of one connection on one thread while they come in quick succession."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - gunicorn's
        super().__init__(*args, **kwargs)
        self._places = threading.BoundedSemaphore(max(1, self.cfg.threads // _LINGERING_SHARE))

    def handle(self, conn: Any) -> Any:  # noqa: ANN401 - gunicorn's connection
        """Serve a request, and those that follow at once."""
        kept = super().handle(conn)
        while kept is True and self.alive and self._more(conn):
            kept = super().handle(conn)
        return kept

    def _more(self, conn: Any) -> bool:  # noqa: ANN401 - gunicorn's connection
        if not self._places.acquire(blocking=False):
            return False
        try:
            poll = select.poll()
            poll.register(conn.sock, select.POLLIN)
            return bool(poll.poll(LINGER_MS))
        finally:
            self._places.release()


class SilentAccess(Logger):  # type: ignore[misc]  # gunicorn has no types
    """Gunicorn's logger without access lines, which cost a tenth of a request even where they go nowhere."""

    def access(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - gunicorn's
        """Log nothing."""
