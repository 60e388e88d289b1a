"""Values to bytes and back: JSON, bytes-like, and buffers with a shape, known by their looks."""

from __future__ import annotations

import binascii
import json
import sys
from importlib import import_module

from action_runtime.long_text import printed
from action_runtime.wire.values import Head, Media

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

    from _typeshed import ReadableBuffer

_PLAIN: Final = frozenset({str, dict, list, tuple, int, float, bool, type(None)})
_FORMATS: Final = dict.fromkeys("bhilqn", "i") | dict.fromkeys("BHILQN", "u") | dict.fromkeys("efd", "f") | {"?": "b"}
"""Item formats of the buffer protocol (`struct` letters) and NumPy's letter for the same kind of number."""
_BYTE_FORMATS: Final = frozenset({"B", "c"})
_NATIVE: Final = "<" if sys.byteorder == "little" else ">"
_CODES: Final[dict[str, Any]] = {
    "i1": "b", "i2": "h", "i4": "i", "i8": "q", "u1": "B", "u2": "H", "u4": "I", "u8": "Q",
    "f4": "f", "f8": "d", "b1": "?",
}  # fmt: skip


class Encoded:
    """A value as it travels.

    Attributes:
        head: Describes the bytes.
        data: The bytes, uncopied where the value has them.
        mutable: The value's owner could still change `data`.
        text: JSON text of a JSON value; None otherwise.
    """

    __slots__ = ("data", "head", "mutable", "text")

    def __init__(self, head: Head, data: bytes | memoryview, mutable: bool = False, text: str | None = None) -> None:
        self.head = head
        self.data = data
        self.mutable = mutable
        self.text = text


def encode(value: Any) -> Encoded:
    """Describe a value and its bytes. Copies only what is not contiguous.

    Raises:
        TypeError: It is not JSON, not bytes-like and not a buffer of numbers.
        ValueError: A number in it has no JSON form.
    """
    kind = type(value)
    if kind is bytes:
        return Encoded(Head(Media.BYTES, len(value)), value)
    if kind not in _PLAIN:
        found = _buffer(value)
        if found is not None:
            return found
    text = printed(value, _encode_json)
    data = text.encode()
    return Encoded(Head(Media.JSON, len(data)), data, text=text)


def dumps(value: Any) -> str:
    """Return the JSON text as the stock runtime writes it; bytes and arrays inside become `{"$data": …}`.

    Raises:
        TypeError: Something in it has no JSON form.
        ValueError: A number in it has no JSON form, or it holds itself.
    """
    return printed(value, _encode_json)


def json_text(value: Encoded) -> str:
    """Return the JSON form of any value. Copies."""
    if value.text is not None:
        return value.text
    return _encode_json(_as_data(value))


def json_length(value: Encoded) -> int:
    """Return how many characters `json_text` would have, without building it."""
    if value.text is not None:
        return len(value.text)
    empty = Encoded(value.head, b"")
    return len(_encode_json(_as_data(empty))) + (value.head.size_bytes + 2) // 3 * 4


def decode(head: Head, data: ReadableBuffer) -> Any:
    """Return the value. Bytes and arrays lie over `data`, read-only and uncopied.

    Raises:
        ValueError: The bytes do not fit the head.
        TypeError: An array of such items needs NumPy, which is not there.
    """
    if head.media is Media.JSON:
        return revive(_decode_json(str(data, "utf-8")))
    view = memoryview(data).toreadonly()
    if head.media is Media.BYTES:
        return view
    return _array(view, head.shape or (), head.dtype or "")


def revive(value: Any) -> Any:
    """Turn a JSON value that is exactly `{"$data": …}` into bytes or an array; give back anything else as it is."""
    if type(value) is not dict or len(value) != 1 or "$data" not in value:
        return value
    data = value["$data"]
    try:
        raw = binascii.a2b_base64(data["base64"], strict_mode=True)
        if data["type"] == "bytes":
            return memoryview(raw)
        if data["type"] == "array":
            head = Head.from_meta({"t": "array", "n": len(raw), "shape": data["shape"], "dtype": data["dtype"]})
            return decode(head, raw)
    except (KeyError, TypeError, ValueError):
        return value  # it only looked like one: the user's own object
    return value


def as_bytes(value: Any) -> memoryview:
    """Return the bytes that a file over the value holds: its own, text as UTF-8, anything else as JSON."""
    if isinstance(value, str):
        return memoryview(value.encode())
    return memoryview(encode(value).data)


def _default(value: Any) -> Any:
    found = _buffer(value)
    if found is not None:
        return _as_data(found)
    if getattr(value, "shape", None) == () and hasattr(value, "dtype"):
        return value.item()  # a NumPy number
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


_encode_json: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, default=_default).encode
_decode_json: Final = json.JSONDecoder().decode


def _as_data(value: Encoded) -> dict[str, Any]:
    described: dict[str, Any] = {"type": value.head.media.value}
    if value.head.media is Media.ARRAY:
        described |= {"shape": list(value.head.shape or ()), "dtype": value.head.dtype}
    described["base64"] = binascii.b2a_base64(value.data, newline=False).decode()
    return {"$data": described}


def _buffer(value: Any) -> Encoded | None:
    """Return bytes-like values and arrays encoded, None for anything else."""
    shape = getattr(value, "shape", None)
    dtype = getattr(value, "dtype", None)
    if dtype is not None and isinstance(shape, tuple):
        return _described_array(value, shape, dtype) if shape else None
    try:
        view = memoryview(value)
    except TypeError:
        return None
    if view.ndim == 1 and view.format in _BYTE_FORMATS:
        data, mutable = _flat(view)
        return Encoded(Head(Media.BYTES, view.nbytes), data, mutable)
    data, mutable = _flat(view)
    return Encoded(Head(Media.ARRAY, view.nbytes, tuple(view.shape or ()), _dtype_of(view)), data, mutable)


def _described_array(value: Any, shape: tuple[int, ...], dtype: Any) -> Encoded:
    name = getattr(dtype, "str", None)
    if not isinstance(name, str) or getattr(dtype, "hasobject", False) or getattr(dtype, "names", None):
        raise TypeError(
            f"an array of {dtype} cannot be sent: only arrays of plain numbers, dates or fixed-size text can"
        )
    try:
        data, mutable = _flat(memoryview(value))
    except (TypeError, ValueError, BufferError):
        data, mutable = value.tobytes(), False  # dates have no buffer format
    return Encoded(Head(Media.ARRAY, len(data), tuple(int(n) for n in shape), name), data, mutable)


def _flat(view: memoryview) -> tuple[bytes | memoryview, bool]:
    """Return the bytes in C order, and whether somebody else could change them."""
    if not view.nbytes:
        return b"", False
    if not view.c_contiguous:
        return view.tobytes(), False
    owner = view.obj
    fixed = view.readonly and (type(owner) is bytes or getattr(owner, "sealed", False))
    return view.cast("B"), not fixed


def _dtype_of(view: memoryview) -> str:
    order, code = (view.format[0], view.format[1:]) if view.format[:1] in "@=<>!" else ("@", view.format)
    kind = _FORMATS.get(code)
    if kind is None:
        raise TypeError(f"a buffer of items {view.format!r} cannot be sent")
    if view.itemsize == 1:
        return f"|{kind}1"
    return f"{ {'@': _NATIVE, '=': _NATIVE, '!': '>'}.get(order, order) }{kind}{view.itemsize}"


def _array(view: memoryview, shape: tuple[int, ...], dtype: str) -> Any:
    numpy = _numpy()
    if numpy is not None:
        if not view.nbytes:
            return numpy.empty(shape, dtype)
        return numpy.frombuffer(view, dtype).reshape(shape)
    code = _CODES.get(dtype[1:])
    if code is None or dtype[0] not in (_NATIVE, "|", "="):
        raise TypeError(f"an array of dtype {dtype} needs NumPy in the action's image or archive")
    if not view.nbytes:
        return view.cast(code)
    return view.cast(code, list(shape))


def _numpy() -> Any:
    """Return NumPy if the container has it. Only an array that arrives makes us look."""
    try:
        return import_module("numpy")
    except ImportError:
        return None
