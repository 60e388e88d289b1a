"""The owner's journal: what this invoker has accepted and not yet put where others keep it.

Append-only files of entries; no payload passes through here between steps. A file is deleted as
soon as nothing in it is needed:
every run it accepted has ended and every record it holds is in the store. Written with `write`,
which survives the death of the process;
`fsync` (a setting) is for those who also fear for the power.

Entry, integers big-endian: `u32 length` of what follows · `u32 crc32` of what follows it · `u8
kind` · 16 bytes activation id · body.
A torn last entry is what a kill in the middle of a write leaves: reading stops there.
"""

from __future__ import annotations

import logging
import os
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum
from pathlib import Path
from typing import Final

from action_runtime.wire.errors import DataflowError
from invoker_ext.contract.records import Activation

_log = logging.getLogger(__name__)

_HEAD: Final = struct.Struct(">IIB16s")
_SKIP: Final = 4
_ID_BYTES: Final = 16
LARGE_BYTES: Final = 64 * 1024
"""Results from here on are written once for records that share them."""
RETRY_BYTES: Final = 64 * 1024 * 1024
"""Of ends and records that wait for a disk that has no room."""
ROTATE_BYTES: Final = 16 * 1024 * 1024
"""A file that reaches this is closed and the next one begun; small enough to go away soon, large enough to be rare."""


class JournalFull(DataflowError):
    """The disk does not take what must be written down before anything may happen."""

    code = "journal-full"
    retryable = True

    def __init__(self) -> None:
        super().__init__(
            "The invoker cannot write its journal; its operator must free space on the disk of the data directory."
        )


class Entry(IntEnum):
    """What an entry says."""

    ACCEPTED = 1
    """Body: the message, as it came from the bus."""
    BEGAN = 2
    """A function that must not run twice has begun."""
    ENDED = 3
    """The run is over; its record stands before this."""
    RECORD = 4
    """Body: two lengths, then an activation record (document form)."""
    RECORD_AS = 5
    """Body: the id of a record in front of this one, whose result it has, then as RECORD, without a result."""


@dataclass(slots=True)
class Unfinished:
    """A run that was accepted before the restart and has not ended."""

    message: bytes
    began: bool = False


@dataclass(slots=True)
class Recovered:
    """What the journal knew at start.

    Attributes:
        runs: Activation id → what is left to do, in order of acceptance.
        records: Records that may not be in the store yet; with a place instead of a result that the store keeps.
        ended: Activation id → message, of runs that are over; their controllers may not have heard.
    """

    runs: dict[str, Unfinished] = field(default_factory=dict)
    records: list[Activation] = field(default_factory=list)
    ended: dict[str, bytes] = field(default_factory=dict)


class Journal:
    """One owner's journal. Not thread-safe: lives on the loop.

    Entries are buffered until `flush`; the owner flushes before anybody can see the effect of what
    they say.
    """

    def __init__(self, directory: Path, *, fsync: bool = False) -> None:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._directory = directory
        self._fsync = fsync
        self._buffer: list[_Pending] = []
        self._large: tuple[bytes, str] | None = None
        """The last large result in the buffer, and of which record: a sequence has that of its last step."""
        self._needed: dict[int, set[tuple[str, str]]] = {}
        """File number → what keeps it: ("run", id), ("began", id), ("ended", id) and ("record", id)."""
        self._where: dict[tuple[str, str], int] = {}
        self._ends: dict[int, list[str]] = {}
        """File number → runs accepted in it whose end stands in a later file, which must outlive this one."""
        old = self._files()
        self._number = (old[-1] if old else 0) + 1
        self._old = old
        self._file = self._open()
        self._written_bytes = 0

    def recover(self) -> Recovered:
        """Read what earlier processes left. Call once, before anything is appended; `settle` then drops those files."""
        found = Recovered()
        records: dict[str, Activation] = {}
        for number in self._old:
            for kind, run, body in _read(self._path(number)):
                match kind:
                    case Entry.ACCEPTED:
                        found.runs.setdefault(run, Unfinished(body))
                    case Entry.BEGAN:
                        if run in found.runs:
                            found.runs[run].began = True
                    case Entry.ENDED:
                        if run in found.runs:
                            found.ended[run] = found.runs.pop(run).message
                    case Entry.RECORD | Entry.RECORD_AS:
                        record = _record(kind, body, records)
                        if record is not None:
                            records[run] = record  # one without its log may stand in front
        found.records = list(records.values())
        return found

    def settle(self) -> None:
        """Forget the files of earlier processes: what they held has been taken over by new entries or by the store."""
        for number in self._old:
            self._path(number).unlink(missing_ok=True)
        self._old = []

    def accepted(self, run: str, message: bytes | memoryview) -> None:
        """Note that this run is ours; it keeps its file until `ended`."""
        self._append(Entry.ACCEPTED, run, message)
        self._keep(("run", run))

    def began(self, run: str) -> None:
        """Note that a function of the run began that must not begin twice."""
        self._append(Entry.BEGAN, run)
        if self._where.get(("run", run), self._number) != self._number:
            self._keep(("began", run))

    def ended(self, run: str) -> None:
        """Note that the run is over; the note stays for as long as the one of its acceptance does."""
        self._append(Entry.ENDED, run)
        accepted_in = self._where.get(("run", run), self._number)
        if accepted_in != self._number:
            self._keep(("ended", run))
            self._ends.setdefault(accepted_in, []).append(run)
        self._drop(("began", run))
        self._drop(("run", run))

    def record(self, record: Activation) -> None:
        """Hold a record until `stored`; without its result if that has a place in the store, or stands in front of it.

        Copies nothing.

        One that is held already is replaced: it had no log.
        """
        shown = record if record.place is None else replace(record, result=None)
        front, result, back = shown.document_parts()
        if result is not None and self._large is not None and self._large[0] is result:
            like, shown = self._large[1], replace(shown, result=None)
            front, result, back = shown.document_parts()
            places = bytes.fromhex(like) + _PLACES.pack(len(front), 0)
            self._append(Entry.RECORD_AS, record.activation_id, places, front, back)
        else:
            places = _PLACES.pack(len(front), len(result or b""))
            self._append(Entry.RECORD, record.activation_id, places, front, result or b"", back)
            if result is not None and len(result) >= LARGE_BYTES:
                self._large = result, record.activation_id
        self._drop(("record", record.activation_id))
        self._keep(("record", record.activation_id))

    def stored(self, activation_id: str) -> None:
        """Note that the store has the record. Writes nothing: after a kill it is simply stored once more."""
        self._drop(("record", activation_id))

    def flush(self) -> None:
        """Write what was appended.

        Raises:
            OSError: The disk is full or broken. What was accepted or began is forgotten: the caller must refuse it.
                Ends and records stay in the buffer for the next try.
        """
        if not self._buffer:
            return
        pending, self._buffer = self._buffer, []
        self._large = None
        parts = [part for one in pending for part in one.parts]
        size = sum(map(len, parts))
        at = self._written_bytes
        try:
            done = os.writev(self._file, parts) if len(parts) <= _IOV_MAX else 0
            if done < size:
                rest = memoryview(b"".join(parts))[done:]
                while rest:
                    rest = rest[os.write(self._file, rest) :]
            if self._fsync:
                os.fdatasync(self._file)
        except OSError:
            os.ftruncate(self._file, at)
            self._buffer = _kept(pending)
            raise
        self._written_bytes = at + size
        if self._written_bytes >= ROTATE_BYTES:
            self._rotate()

    def close(self) -> None:
        """Flush and let go of the file; files that nothing keeps are deleted."""
        if self._file >= 0:
            self.flush()
            os.close(self._file)
            self._file = -1
            if not self._needed.get(self._number):
                self._path(self._number).unlink(missing_ok=True)

    def _append(self, kind: Entry, run: str, *body: bytes | memoryview) -> None:
        tail = bytes((kind,)) + bytes.fromhex(run)
        crc = zlib.crc32(tail)
        for part in body:
            crc = zlib.crc32(part, crc)
        size = len(tail) + sum(map(len, body))
        self._buffer.append(_Pending(kind, (struct.pack(">II", size + _SKIP, crc) + tail, *body)))

    def _keep(self, what: tuple[str, str]) -> None:
        self._needed.setdefault(self._number, set()).add(what)
        self._where[what] = self._number

    def _drop(self, what: tuple[str, str]) -> None:
        number = self._where.pop(what, None)
        if number is None:
            return
        needed = self._needed[number]
        needed.discard(what)
        if not needed and number != self._number:
            self._delete(number)

    def _delete(self, number: int) -> None:
        self._needed.pop(number, None)
        self._path(number).unlink(missing_ok=True)
        for run in self._ends.pop(number, ()):
            self._drop(("ended", run))

    def _rotate(self) -> None:
        os.close(self._file)
        if not self._needed.get(self._number):
            self._delete(self._number)
        self._number += 1
        self._file = self._open()
        self._written_bytes = 0

    def _open(self) -> int:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        return os.open(self._path(self._number), flags, 0o600)

    def _path(self, number: int) -> Path:
        return self._directory / f"{number:012d}.journal"

    def _files(self) -> list[int]:
        return sorted(int(path.stem) for path in self._directory.glob("*.journal"))


_IOV_MAX: Final = 1024
_PLACES: Final = struct.Struct(">II")
"""In front of a record: bytes before its result, bytes of its result; so it is taken over unparsed, whatever it is."""


@dataclass(slots=True)
class _Pending:
    kind: Entry
    parts: tuple[bytes | memoryview, ...]


def _kept(pending: list[_Pending]) -> list[_Pending]:
    """Return what stays to be written after a failure: ends and records, the newest within the bound."""
    kept: list[_Pending] = []
    room_bytes = RETRY_BYTES
    for one in reversed(pending):
        room_bytes -= sum(map(len, one.parts))
        if room_bytes < 0:
            break
        if one.kind in (Entry.ENDED, Entry.RECORD, Entry.RECORD_AS):
            kept.append(one)
    return kept[::-1]


def _record(kind: Entry, body: bytes, found: Mapping[str, Activation]) -> Activation | None:
    like = None
    if kind is Entry.RECORD_AS:
        like, body = found.get(body[:_ID_BYTES].hex()), body[_ID_BYTES:]
        if like is None:  # beyond what was kept for a disk without room
            return None
    front, result = _PLACES.unpack_from(body)
    try:
        record = Activation.from_document(body[_PLACES.size :], front, result)
    except (ValueError, RecursionError):
        _log.exception("journalled record cannot be read")
        return None
    return record if like is None else replace(record, result=like.result)


def _read(path: Path) -> Iterator[tuple[Entry, str, bytes]]:
    data = memoryview(path.read_bytes())
    at = 0
    while at + _HEAD.size <= len(data):
        length, crc, kind, run = _HEAD.unpack_from(data, at)
        end = at + 4 + length
        if end > len(data) or zlib.crc32(data[at + 8 : end]) != crc:
            return
        yield Entry(kind), run.hex(), bytes(data[at + _HEAD.size : end])
        at = end
