"""A way between two hosts that can be cut and frozen: forwards TCP connections to one address."""

from __future__ import annotations

import asyncio
from typing import Final

_PIECE_BYTES: Final = 256 * 1024


class Way:
    """Listens on a port of 127.0.0.1.

    Attributes:
        address: Where it listens.
        back_bytes: That came back from the far side.
        most_back_bytes: Cuts all connections when so many have come back since the last call of `open_for`.
        connections: That were made.
    """

    def __init__(self, target: str) -> None:
        host, _, port = target.rpartition(":")
        self._target = host, int(port)
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._open = asyncio.Event()
        self._open.set()
        self.address = ""
        self.back_bytes = 0
        self.most_back_bytes: int | None = None
        self.connections = 0

    async def start(self) -> Way:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.address = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    def cut(self) -> None:
        """Break all connections; further ones are served."""
        for writer in list(self._writers):
            writer.transport.abort()

    def freeze(self) -> None:
        """Pass nothing on, and close nothing."""
        self._open.clear()

    def thaw(self) -> None:
        self._open.set()

    async def close(self) -> None:
        if self._server is None:
            return
        self._server.close()
        self.cut()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        far: asyncio.StreamWriter | None = None
        try:
            await self._open.wait()
            back, far = await asyncio.open_connection(*self._target)
            self._writers.add(far)
            await asyncio.gather(self._pass(reader, far, False), self._pass(back, writer, True))
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            for one in (writer, far):
                if one is not None:
                    self._writers.discard(one)
                    one.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, back: bool) -> None:
        while piece := await reader.read(_PIECE_BYTES):
            await self._open.wait()
            if back:
                self.back_bytes += len(piece)
                if self.most_back_bytes is not None and self.back_bytes > self.most_back_bytes:
                    self.most_back_bytes = None
                    self.cut()
                    return
            writer.write(piece)
            await writer.drain()
        writer.write_eof()
