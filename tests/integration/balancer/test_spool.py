"""Spool files on a real disk."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import subprocess
import time
from pathlib import Path

import pytest

from controller_ext.runs.spool import Spooler, SpoolShelf
from invoker_ext.store import StoreUnavailable


def test_a_spool_is_a_json_object_whose_members_are_found_by_their_places(tmp_path: Path):
    members = {"a": b"[1, 2]", 'naïve "key"': b'"x"', "": b"null"}
    spool = Spooler(tmp_path, "/door").put(members)
    content = (tmp_path / spool.name).read_bytes()
    assert json.loads(content) == {name: json.loads(value) for name, value in members.items()}
    assert spool.members is not None
    assert {name: content[at : at + size] for name, (at, size) in spool.members.items()} == members
    assert (spool.door, spool.size_bytes) == ("/door", len(content))
    assert spool.digest == hashlib.sha256(content).hexdigest()


def test_a_text_is_spooled_as_it_is_and_nobody_says_where_its_members_are(tmp_path: Path):
    spool = Spooler(tmp_path, "/door").put_text(b'{"a":  [1]}')
    assert (tmp_path / spool.name).read_bytes() == b'{"a":  [1]}'
    assert (spool.size_bytes, spool.members) == (11, None)
    assert spool.digest == hashlib.sha256(b'{"a":  [1]}').hexdigest()


def test_no_members_are_an_empty_object(tmp_path: Path):
    spool = Spooler(tmp_path, "/door").put({})
    assert (tmp_path / spool.name).read_bytes() == b"{}"


def test_a_spool_is_closed_to_others(tmp_path: Path):
    spool = Spooler(tmp_path, "/door").put({"a": b"1"})
    assert (tmp_path / spool.name).stat().st_mode & 0o077 == 0


def test_a_full_disk_is_said_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(descriptor: int, content: memoryview) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(StoreUnavailable, match="No space left on device") as failed:
        Spooler(tmp_path, "/door").put({"a": b"1"})
    assert str(tmp_path) not in str(failed.value)
    assert list(tmp_path.iterdir()) == []


def test_a_shelf_opens_and_removes_by_name_and_nothing_outside(tmp_path: Path):
    shelf = SpoolShelf(tmp_path)
    spool = Spooler(tmp_path, "/door").put({"a": b"1"})
    descriptor = shelf.open(spool.name)
    assert descriptor is not None
    os.close(descriptor)
    shelf.remove(spool.name)
    shelf.remove(spool.name)
    assert shelf.open(spool.name) is None
    assert shelf.open("../../etc/passwd") is None


def test_old_files_are_removed_and_young_ones_stay(tmp_path: Path):
    spooler = Spooler(tmp_path, "/door")
    old, young = spooler.put({}), spooler.put({})
    os.utime(tmp_path / old.name, (time.time() - 100, time.time() - 100))
    assert SpoolShelf(tmp_path).expire(50.0) == 1
    assert [path.name for path in tmp_path.iterdir()] == [young.name]


def test_what_a_killed_writer_left_is_swept_and_what_a_living_one_writes_stays(tmp_path: Path):
    ended = subprocess.Popen(["true"])
    ended.wait()
    (tmp_path / f"{'a' * 32}.{ended.pid}.part").write_bytes(b"{")
    writing = tmp_path / f"{'b' * 32}.{os.getpid()}.part"
    writing.write_bytes(b"{")

    SpoolShelf(tmp_path).sweep()

    assert list(tmp_path.iterdir()) == [writing]
