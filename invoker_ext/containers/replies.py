"""HTTP replies of stock runtimes, read from any split of the bytes. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_HEAD_BYTES: Final = 64 * 1024
_END: Final = b"\r\n\r\n"


@dataclass(slots=True, frozen=True)
class Reply:
    """A whole reply.

    Attributes:
        status: Of HTTP.
        body: As it came.
        stays: The connection takes another request.
    """

    status: int
    body: bytes
    stays: bool


class ReplyReader:
    """Reads one reply after the other from a connection.

    A reply without `Content-Length` is none: stock's runtimes and invokers agree on that.
    """

    def __init__(self) -> None:
        self._head = b""
        self._status = 0
        self._stays = False
        self._parts: list[bytes] = []
        self._missing: int | None = None

    def feed(self, data: bytes) -> Reply | None:
        """Take what one read returned; return the reply once it is whole.

        Raises:
            ValueError: This is no usable reply, or more than one.
        """
        if self._missing is None:
            head, end, data = (self._head + data).partition(_END)
            if not end:
                self._head = head
                if len(head) > _HEAD_BYTES:
                    raise ValueError("the head of a reply does not end")
                return None
            self._status, self._missing, self._stays = _read_head(head)
        self._missing -= len(data)
        self._parts.append(data)
        if self._missing > 0:
            return None
        if self._missing < 0:
            raise ValueError("a reply is longer than it says")
        body = b"".join(self._parts)
        self._head, self._parts, self._missing = b"", [], None
        return Reply(self._status, body, self._stays)


def _read_head(head: bytes) -> tuple[int, int, bool]:
    """Return status, length of the body, and whether the connection stays."""
    first, *lines = head.decode("latin-1").split("\r\n")
    version, _, rest = first.partition(" ")
    status = rest[:3]
    fields = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    length = fields.get("content-length", "")
    if not version.startswith("HTTP/1.") or not _is_number(status) or not _is_number(length):
        raise ValueError("a reply without status or Content-Length is no reply")
    options = {one.strip() for one in fields.get("connection", "").lower().split(",")}
    stays = "close" not in options and (version != "HTTP/1.0" or "keep-alive" in options)
    return int(status), int(length), stays


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()
