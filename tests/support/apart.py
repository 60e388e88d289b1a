"""Two network namespaces with a wire between them that can lose, delay and count; needs root, `ip` and /dev/net/tun.

The wire is a thread that passes packets from one TUN device to another, since not every kernel has netem.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import select
import shutil
import struct
import subprocess
import threading
import time
from collections import deque
from pathlib import Path
from typing import Final

HOW: Final = "run as root, with iproute2 and /dev/net/tun"
ADDRESSES: Final = ("192.0.2.1", "192.0.2.2")
_TUN: Final = Path("/dev/net/tun")
_TUNSETIFF: Final = 0x400454CA
_IFF_TUN_NO_PI: Final = 0x1001
_MTU_BYTES: Final = 16_000
_MOST_PACKETS: Final = 20_000
"""That may be on the wire; more are lost, as in a router."""


def available() -> bool:
    """Return whether namespaces can be made here."""
    if os.geteuid() or shutil.which("ip") is None or not os.access(_TUN, os.W_OK):
        return False
    name = f"dataflower-{secrets.token_hex(3)}"
    if subprocess.run(["ip", "netns", "add", name], capture_output=True).returncode:
        return False
    _ip("netns", "del", name)
    return True


class Apart:
    """Two namespaces, each with one address.

    Attributes:
        losing: Whether every packet is lost.
        delay_s: Of each packet, in either direction.
        passed_bytes: That went over the wire.
        lose_from_bytes: From so many passed bytes on every packet is lost.
    """

    def __init__(self) -> None:
        self.losing = False
        self.delay_s = 0.0
        self.passed_bytes = 0
        self.lose_from_bytes: int | None = None
        mark = secrets.token_hex(3)
        self._names = [f"dataflower-{mark}-{side}" for side in "ab"]
        self._devices = [self._make(name, f"df{mark}{side}") for name, side in zip(self._names, "ab", strict=True)]
        self._end, self._stop = os.pipe()
        self._thread = threading.Thread(target=self._carry, name="wire", daemon=True)
        self._thread.start()

    def prefix(self, side: int) -> list[str]:
        """Return what to put before a command that is to run in a namespace."""
        return ["ip", "netns", "exec", self._names[side]]

    def close(self) -> None:
        """Remove all."""
        os.close(self._stop)
        self._thread.join(5)
        for descriptor in (*self._devices, self._end):
            os.close(descriptor)
        for name in self._names:
            _ip("netns", "del", name)

    def _make(self, name: str, device: str) -> int:
        side = self._names.index(name)
        _ip("netns", "add", name)
        descriptor = os.open(_TUN, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        fcntl.ioctl(descriptor, _TUNSETIFF, struct.pack("16sH22x", device.encode(), _IFF_TUN_NO_PI))
        _ip("link", "set", device, "netns", name)
        _ip("-n", name, "addr", "add", f"{ADDRESSES[side]}/24", "dev", device)
        _ip("-n", name, "link", "set", device, "mtu", str(_MTU_BYTES), "up")
        return descriptor

    def _carry(self) -> None:
        waiting: deque[tuple[float, int, bytes]] = deque()
        while True:
            until_s = max(waiting[0][0] - time.monotonic(), 0.0) if waiting else None
            ready, _, _ = select.select([*self._devices, self._end], [], [], until_s)
            if self._end in ready:
                return
            for number, device in enumerate(self._devices):
                if device in ready:
                    self._read(device, self._devices[1 - number], waiting)
            while waiting and waiting[0][0] <= time.monotonic():
                _, far, packet = waiting.popleft()
                try:
                    os.write(far, packet)
                except OSError:  # the far side takes no more: lost, as on any wire
                    continue

    def _read(self, device: int, far: int, waiting: deque[tuple[float, int, bytes]]) -> None:
        for _ in range(64):
            try:
                packet = os.read(device, 65536)
            except BlockingIOError:
                return
            if self.lose_from_bytes is not None and self.passed_bytes >= self.lose_from_bytes:
                self.losing, self.lose_from_bytes = True, None
            if not self.losing and len(waiting) < _MOST_PACKETS:
                self.passed_bytes += len(packet)
                waiting.append((time.monotonic() + self.delay_s, far, packet))


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)
