"""The container's end of a session, driven by a test on the same loop."""

from __future__ import annotations

import array
import asyncio
import os
import socket
from collections import deque
from typing import Any

from action_runtime.wire.codec import Decoder, encode
from action_runtime.wire.frames import Frame, FrameKind


class FarEnd:
    """Sends what a test says and hands out what the relay sends."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self.sock = sock
        self._decoder = Decoder()
        self._frames: deque[Frame] = deque()
        self._handed_out: list[int] = []

    async def send(self, kind: FrameKind, meta: dict[str, Any], payload: bytes = b"") -> None:
        await self.send_raw(encode(kind, meta, payload))

    async def send_raw(self, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self.sock, data)

    async def next(self, kind: FrameKind) -> Frame:
        """Return the next frame, which must be of this kind. Its descriptors are closed by `close`."""
        async with asyncio.timeout(5):
            while not self._frames:
                await self._receive()
        frame = self._frames.popleft()
        assert frame.kind is kind, frame
        return frame

    async def ended(self) -> None:
        """Wait until the relay has closed the connection."""
        async with asyncio.timeout(5):
            while await self._receive():
                pass

    async def _receive(self) -> bool:
        loop = asyncio.get_running_loop()
        readable = asyncio.Event()
        loop.add_reader(self.sock, readable.set)
        try:
            await readable.wait()
        finally:
            loop.remove_reader(self.sock)
        try:
            data, ancillary, _, _ = self.sock.recvmsg(65536, socket.CMSG_SPACE(4 * 253))
        except ConnectionError:
            return False
        descriptors: list[int] = []
        for _, _, content in ancillary:
            numbers = array.array("i")
            numbers.frombytes(content)
            descriptors.extend(numbers)
        self._handed_out.extend(descriptors)
        self._frames.extend(self._decoder.feed(data, descriptors))
        return bool(data)

    def close(self) -> None:
        """Close the socket and every descriptor that came over it."""
        self.sock.close()
        for descriptor in self._handed_out:
            os.close(descriptor)
        self._handed_out.clear()
