"""Which life of an invoker a process is: a number that only grows, whatever a clock says.

It is made of two counts. How often the invoker was started on its data directory stands there, so that a restart needs
nobody. How many data directories the invoker's number has had stands in the store, which is asked when a directory is
new: what an earlier one counted is not known any more, and counts less than the least of the next.
"""

from __future__ import annotations

import json
import os
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Final

from invoker_ext.store import EntityStore, RevisionConflict, StoreUnavailable

STARTS_BITS: Final = 32
"""Starts on one data directory: one a second for a century."""
_FILE: Final = "life"
_HOME: Final = ".lives"
_NAMESPACE: Final = "whisk.system"
_TRIES: Final = 100
"""For a document that others write at the same time: then two hosts are set to one number."""


@dataclass(slots=True, frozen=True)
class _Count:
    number: int
    directories: int
    starts: int


def next_life(data_dir: Path, number: int, store: EntityStore, now_ms: int) -> int:
    """Return the life that begins; greater than any before of this invoker. Blocks.

    Args:
        data_dir: Of the invoker; there is one process on it.
        number: Of the invoker.
        store: That all invokers share; asked only where the directory does not know the number.
        now_ms: Milliseconds of the epoch, for the document.

    Raises:
        StoreUnavailable: It is needed and cannot be asked; nothing was counted.
        OSError: The directory cannot be written.
    """
    found = _read(data_dir / _FILE)
    if found is None or found.number != number:
        found = _Count(number, _another_directory(store, number, now_ms), 0)
    count = _Count(number, found.directories, found.starts + 1)
    _write(data_dir / _FILE, json.dumps(astuple(count)))
    return (count.directories << STARTS_BITS) + count.starts


def _read(file: Path) -> _Count | None:
    """Return what a directory has counted; None: nothing, or nothing that can be read."""
    try:
        number, directories, starts = json.loads(file.read_text())
        return _Count(int(number), int(directories), int(starts))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def _write(file: Path, text: str) -> None:
    """Write a file that is whole or not there, and on the disk before anybody hears what it says."""
    draft = file.with_suffix(".new")
    with draft.open("w") as opened:
        opened.write(text)
        opened.flush()
        os.fsync(opened.fileno())
    draft.replace(file)
    folder = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _another_directory(store: EntityStore, number: int, now_ms: int) -> int:
    """Count one more data directory of an invoker; return how many there are."""
    doc_id = f"{_HOME}/{number}"
    for _ in range(_TRIES):
        found = store.get(doc_id)
        directories = 1 if found is None else int(found.body["directories"]) + 1
        body = {
            "namespace": f"{_NAMESPACE}/{_HOME}",
            "name": str(number),
            "entityType": "lives",
            "updated": now_ms,
            "directories": directories,
        }
        try:
            store.put(doc_id, body, None if found is None else found.revision)
        except RevisionConflict:
            continue
        return directories
    raise StoreUnavailable(f"{doc_id} is written by others all the time; give each invoker a number of its own")
