"""The invokers' peer doors as the API sees them: implements `ports.Door`."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any, Final

from controller_ext.runs.ports import BalancerUnavailable, Cancelled, DataGone, DoorUnavailable
from invoker_ext.door.client import DoorClient
from invoker_ext.door.errors import CallFailed, NotHeld, PeerUnreachable
from invoker_ext.door.far import Caller
from invoker_ext.door.hello import NotAllowed, Role
from invoker_ext.door.places import read_place

logger = logging.getLogger(__name__)

SETTLE_S: Final = 1.0
CALL_S: Final = 5.0
USAGE_S: Final = 1.0
PIECE_S: Final = 10.0
AT_ONCE: Final = 32
"""Doors that a worker asks at a time: with more, or more requests, the others wait for their turn."""

_Answer = dict[str, Any] | PeerUnreachable | CallFailed


class Doors:
    """Asks every invoker; thread-safe; make it after the fork."""

    def __init__(
        self,
        invokers: Sequence[Path],
        *,
        token: str,
        caller: Caller | None = None,
        elsewhere: Callable[[], Sequence[str]] = tuple,
    ) -> None:
        """Connect nothing yet.

        Args:
            invokers: Doors of the invokers of this server.
            token: The installation's secret, for those.
            caller: Who we are at doors of other hosts; None: they are not asked.
            elsewhere: Returns the names of those that are there; raises BalancerUnavailable.
        """
        self._token = token
        self._caller = caller
        self._elsewhere = elsewhere if caller is not None else tuple
        self._here = [str(path) for path in invokers]
        self._clients: dict[str, DoorClient] = {}
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="doors")

    def settle(self) -> None:
        """See `ports.Door.settle`."""
        for answer in self._ask(self._known(), "flush", SETTLE_S):
            if not isinstance(answer, dict):
                logger.info("invoker did not flush", extra={"error": str(answer)})

    def cancel(self, namespace: str, activation_id: str) -> Cancelled:
        """See `ports.Door.cancel`."""
        for answer in self._answers("cancel", namespace, activation_id):
            outcome = Cancelled(answer.get("outcome"))
            if outcome is not Cancelled.UNKNOWN:
                return outcome
        return Cancelled.UNKNOWN

    def trace(self, namespace: str, activation_id: str) -> dict[str, Any] | None:
        """See `ports.Door.trace`."""
        for answer in self._answers("trace", namespace, activation_id):
            found = answer.get("trace")
            if isinstance(found, dict):
                return found
        return None

    def usage(self) -> list[dict[str, Any]]:
        """See `ports.Door.usage`."""
        try:
            known = self._known()
        except DoorUnavailable:
            return []
        return [answer for answer in self._ask(known, "usage", USAGE_S) if isinstance(answer, dict)]

    def pull(self, door: str, name: str, size_bytes: int) -> Iterator[bytes]:
        """See `ports.Door.pull`."""
        client = self._client(door)
        try:
            yield from client.pull(name, size_bytes, PIECE_S)
        except PeerUnreachable as error:
            raise DoorUnavailable(str(error)) from error
        except CallFailed as error:
            raise (DataGone if error.reason == NotHeld.code else DoorUnavailable)(str(error)) from error

    def close(self) -> None:
        """Disconnect; idempotent."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        for client in self._clients.values():
            client.close()

    def _answers(self, op: str, namespace: str, activation_id: str) -> Iterator[dict[str, Any]]:
        """Yield what each invoker answers, first come first; raise DoorUnavailable at the end if one did not answer."""
        known = self._known()
        if not known:
            raise DoorUnavailable("this controller knows no door of an invoker that could be asked")
        missed: Exception | None = None
        for answer in self._ask(known, op, CALL_S, id=activation_id, namespace=namespace):
            if isinstance(answer, dict):
                yield answer
            else:
                missed = answer
        if missed is not None:
            raise DoorUnavailable(str(missed)) from missed

    def _ask(self, known: Sequence[DoorClient], op: str, timeout_s: float, **fields: object) -> Iterator[_Answer]:
        """Ask all side by side; yield what each answers, or why it does not. One that is away holds up no other."""
        if len(known) == 1:
            yield _answer(known[0], op, timeout_s, fields)
            return
        asked = [self._threads.submit(_answer, client, op, timeout_s, fields) for client in known]
        try:
            for one in as_completed(asked):
                yield one.result()
        finally:
            for one in asked:  # whoever has heard enough needs no more turns
                one.cancel()

    def _known(self) -> list[DoorClient]:
        try:
            names = [*self._here, *self._elsewhere()]
        except BalancerUnavailable as error:
            raise DoorUnavailable(str(error)) from error
        return [self._client(name) for name in dict.fromkeys(names)]

    def _client(self, name: str) -> DoorClient:
        client = self._clients.get(name)
        if client is None:
            try:
                client = DoorClient(read_place(name), role=Role.WORKER, token=self._token, caller=self._caller)
            except (NotAllowed, ValueError) as error:
                raise DoorUnavailable(str(error)) from error
            self._clients[name] = client
        return client


def _answer(client: DoorClient, op: str, timeout_s: float, fields: dict[str, Any]) -> _Answer:
    try:
        return client.call(op, timeout_s, **fields)
    except (PeerUnreachable, CallFailed) as error:
        return error
