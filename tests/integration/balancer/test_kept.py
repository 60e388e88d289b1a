"""Accepted runs on a real disk: what the next balancer knows."""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from pathlib import Path

import pytest

from controller_ext.balancer.kept import Kept, KeptRuns
from controller_ext.balancer.slots import Charge
from controller_ext.balancer.wire import Invoke, Limits

A, B = "a" * 32, "b" * 32


def a_run(name: str = A, payload: bytes = b'{"x": 1}', epoch: int = 0) -> Invoke:
    return Invoke(
        activation_id=name,
        headers={"id": name, "run": True, "e": epoch},
        payload=payload,
        limits=Limits("uuid", 100, 10, "guest", "guest"),
        counted=True,
        charge=Charge(memory_mb=256, home=7, action="guest/flow@0.0.1"),
        ends_s=None,
        wait_s=None,
        spool="s",
    )


def test_what_has_not_ended_is_known_to_the_next_and_to_the_one_after_that(tmp_path: Path):
    first = KeptRuns(tmp_path)
    assert first.recover() == []
    first.note(Kept(a_run(), 3))
    first.note(Kept(a_run(B, b"1" * 1_000_000), 4, sent=False))
    first.note(Kept(a_run("c" * 32, b""), 5, accepted=False))

    for _ in range(2):
        found = KeptRuns(tmp_path).recover()  # the one before was killed: it closed nothing
        assert found == [
            Kept(a_run(), 3),
            Kept(a_run(B, b"1" * 1_000_000), 4, sent=False),
            Kept(a_run("c" * 32, b""), 5, accepted=False),
        ]


def test_what_has_ended_leaves_nothing(tmp_path: Path):
    runs = KeptRuns(tmp_path)
    runs.note(Kept(a_run(), 3))
    runs.drop(A)
    runs.drop(B)

    runs.close()
    again = KeptRuns(tmp_path)
    assert again.recover() == []
    again.close()
    assert not list(tmp_path.iterdir())


def test_a_run_that_was_passed_on_is_its_next_owners(tmp_path: Path):
    runs = KeptRuns(tmp_path)
    runs.note(Kept(a_run(), 3))
    runs.note(Kept(a_run(epoch=1), 4, sent=False))
    runs.note(Kept(a_run(epoch=1), 4))

    again = KeptRuns(tmp_path)
    assert again.recover() == [Kept(a_run(epoch=1), 4)]
    again.drop(A)
    assert KeptRuns(tmp_path).recover() == []


def test_what_cannot_be_read_is_told_and_hides_no_other(tmp_path: Path, caplog):
    runs = KeptRuns(tmp_path)
    runs.note(Kept(replace(a_run(), headers={}), 1))
    runs._journal.accepted(B, b"?")
    runs.note(Kept(a_run("c" * 32), 1))

    assert [kept.invoke.activation_id for kept in KeptRuns(tmp_path).recover()] == [A, "c" * 32]
    assert "accepted run cannot be read" in caplog.messages


def test_a_full_disk_is_told_and_what_ends_is_forgotten_once_there_is_room(
    tmp_path: Path, caplog, monkeypatch: pytest.MonkeyPatch
):
    runs = KeptRuns(tmp_path)
    runs.note(Kept(a_run(), 1))

    def full(descriptor, parts):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as there_is_no_room:
        there_is_no_room.setattr(os, "writev", full)
        runs.note(Kept(a_run(B), 1))
        runs.drop(A)
    runs.note(Kept(a_run("c" * 32), 1))

    assert "accepted runs are not noted" in caplog.messages
    assert [kept.invoke.activation_id for kept in KeptRuns(tmp_path).recover()] == ["c" * 32]
