"""Where the local door is: listens on the addresses at which containers reach this host, and knows who runs."""

from __future__ import annotations

import asyncio
import logging
import secrets
import socket
from typing import Final

from invoker_ext.containers.local.account import Account

logger = logging.getLogger(__name__)

_CONNECTIONS: Final = 256
"""Of all containers together; more are closed unanswered."""
_TOKEN_BYTES: Final = 24


class LocalDoor:
    """The functions that run, by their tokens. Used on the loop.

    A token is made for each function and dies with it: nobody can guess it, so whoever has it is that function, or was
    told by it.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._accounts: dict[str, Account] = {}
        self._bases: dict[str, str] = {}
        self._servers: list[asyncio.Server] = []
        self._checking = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    def base(self, address: str | tuple[str, int]) -> str | None:
        """Return the URL, without a token, at which a container reaches this host; listen there from now on.

        Args:
            address: Of the container: a Unix socket, so it shares this host's loopback, or host and port.

        Returns:
            None: This host cannot listen; the log says why.
        """
        try:
            host = "127.0.0.1" if isinstance(address, str) else _facing(address)
            if host not in self._bases:
                sock = socket.create_server((host, 0), backlog=_CONNECTIONS)
                self._bases[host] = f"http://{host}:{sock.getsockname()[1]}"
                self._keep(self._loop.create_task(self._listen(sock), name="local door"))
        except OSError as error:
            logger.warning("no local door", extra={"address": str(address), "reason": str(error)})
            return None
        return self._bases[host]

    def admit(self, account: Account) -> str:
        """Return the token of a function that begins."""
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        self._accounts[token] = account
        return token

    def dismiss(self, token: str) -> None:
        """Forget a function. Idempotent."""
        self._accounts.pop(token, None)

    async def close(self) -> None:
        """End all connections. Idempotent."""
        for server in self._servers:
            server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _listen(self, sock: socket.socket) -> None:
        self._servers.append(await asyncio.start_server(self._visited, sock=sock))

    def _visited(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._tasks) >= _CONNECTIONS:
            writer.close()
        else:
            self._keep(self._loop.create_task(self._serve(reader, writer), name="local door visit"))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        import h11  # only where somebody comes

        from invoker_ext.containers.local.visit import Visit

        try:
            await Visit(reader, writer, self._accounts.get, self._checking).serve()
        except (OSError, h11.RemoteProtocolError) as error:
            logger.info("local door: connection ended", extra={"reason": str(error)})
        finally:
            writer.close()

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _facing(address: tuple[str, int]) -> str:
    """Return this host's address on the way to another one; sends nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(address)
        return str(probe.getsockname()[0])
