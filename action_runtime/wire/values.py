"""How a value is described on the wire: its head. The bytes travel beside it, inline or in a segment."""

from __future__ import annotations

from enum import Enum

from action_runtime.wire.errors import ProtocolViolation

TYPE_CHECKING = False  # `typing` and `dataclasses` would cost 10 ms of each cold start
if TYPE_CHECKING:
    from typing import Any, Final

WHOLE: Final = ""
"""Name of the output that is the whole result object, and of the input that is all parameters."""
ERROR: Final = "$error"
"""Name of the output that is live iff the step failed."""
RUN: Final = "$run"
"""Name of the pseudo step whose outputs are the run's parameters."""


class Media(Enum):
    """What the bytes of a value are."""

    JSON = "json"
    BYTES = "bytes"
    ARRAY = "array"


class Head:
    """Describes the bytes of one value. Immutable by agreement; compares and hashes by value.

    Attributes:
        media: What the bytes are.
        size_bytes: How many there are.
        shape: Lengths of the axes, outermost first, C order; arrays only.
        dtype: Item format, NumPy's `dtype.str` (`<f8`); arrays only.
    """

    __match_args__ = ("media", "size_bytes", "shape", "dtype")
    __slots__ = ("dtype", "media", "shape", "size_bytes")

    def __init__(
        self, media: Media, size_bytes: int, shape: tuple[int, ...] | None = None, dtype: str | None = None
    ) -> None:
        self.media = media
        self.size_bytes = size_bytes
        self.shape = shape
        self.dtype = dtype

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Head):
            return NotImplemented
        return self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __repr__(self) -> str:
        return f"Head({self.media!r}, {self.size_bytes!r}, shape={self.shape!r}, dtype={self.dtype!r})"

    def _key(self) -> tuple[object, ...]:
        return (self.media, self.size_bytes, self.shape, self.dtype)

    def to_meta(self) -> dict[str, Any]:
        """Return the wire form: `{"t", "n"[, "shape", "dtype"]}`."""
        meta: dict[str, Any] = {"t": self.media.value, "n": self.size_bytes}
        if self.shape is not None:
            meta["shape"] = list(self.shape)
            meta["dtype"] = self.dtype
        return meta

    @staticmethod
    def from_meta(meta: dict[str, Any]) -> Head:
        """Read the wire form.

        Raises:
            ProtocolViolation: A field is missing or has the wrong type.
        """
        try:
            media = Media(meta["t"])
            size = meta["n"]
            shape = meta.get("shape")
            dtype = meta.get("dtype")
            if type(size) is not int or size < 0:
                raise ValueError(size)
            if media is Media.ARRAY:
                if (
                    not isinstance(dtype, str)
                    or not isinstance(shape, list)
                    or not all(type(n) is int and n >= 0 for n in shape)
                ):
                    raise ValueError(dtype)
                return Head(media, size, tuple(shape), dtype)
        except (KeyError, TypeError, ValueError) as error:
            raise ProtocolViolation("the head of a value is malformed") from error
        return Head(media, size)
