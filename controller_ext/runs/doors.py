"""The invokers' peer doors as the API sees them: implements `ports.Door`."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from controller_ext.runs.ports import Cancelled, DataGone, DoorUnavailable
from invoker_ext.door.client import DoorClient
from invoker_ext.door.errors import CallFailed, NotHeld, PeerUnreachable
from invoker_ext.door.hello import Role

logger = logging.getLogger(__name__)

SETTLE_S: Final = 1.0
CALL_S: Final = 5.0
PIECE_S: Final = 10.0


class Doors:
    """Asks every invoker; thread-safe; make it after the fork."""

    def __init__(self, invokers: Sequence[Path], *, token: str) -> None:
        """Connect nothing yet.

        Args:
            invokers: Addresses of the invokers' doors.
            token: The installation's secret.
        """
        self._token = token
        self._clients = {str(path): self._client(path) for path in invokers}

    def settle(self) -> None:
        """See `ports.Door.settle`."""
        for address, client in self._clients.items():
            try:
                client.call("flush", SETTLE_S)
            except (PeerUnreachable, CallFailed) as error:
                logger.info("invoker did not flush", extra={"door": address, "error": str(error)})

    def cancel(self, namespace: str, activation_id: str) -> Cancelled:
        """See `ports.Door.cancel`."""
        outcome = Cancelled.UNKNOWN
        for client in self._asked():
            outcome = Cancelled(self._call(client, "cancel", namespace, activation_id).get("outcome"))
            if outcome is not Cancelled.UNKNOWN:
                break
        return outcome

    def trace(self, namespace: str, activation_id: str) -> dict[str, Any] | None:
        """See `ports.Door.trace`."""
        for client in self._asked():
            found = self._call(client, "trace", namespace, activation_id).get("trace")
            if isinstance(found, dict):
                return found
        return None

    def pull(self, door: str, name: str, size_bytes: int) -> Iterator[bytes]:
        """See `ports.Door.pull`."""
        client = self._clients.get(door)
        if client is None:
            client = self._clients[door] = self._client(Path(door))
        try:
            yield from client.pull(name, size_bytes, PIECE_S)
        except PeerUnreachable as error:
            raise DoorUnavailable(str(error)) from error
        except CallFailed as error:
            raise (DataGone if error.reason == NotHeld.code else DoorUnavailable)(str(error)) from error

    def close(self) -> None:
        """Disconnect; idempotent."""
        for client in self._clients.values():
            client.close()

    def _asked(self) -> list[DoorClient]:
        if not self._clients:
            raise DoorUnavailable("this controller knows no door of an invoker that could be asked")
        return list(self._clients.values())

    def _client(self, path: Path) -> DoorClient:
        return DoorClient(path, role=Role.WORKER, token=self._token)

    def _call(self, client: DoorClient, op: str, namespace: str, activation_id: str) -> dict[str, Any]:
        try:
            return client.call(op, CALL_S, id=activation_id, namespace=namespace)
        except (PeerUnreachable, CallFailed) as error:
            raise DoorUnavailable(str(error)) from error
