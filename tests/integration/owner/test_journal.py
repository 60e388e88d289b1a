"""The journal on a real disk: what survives, what goes away."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from invoker_ext import journal as module
from invoker_ext.contract.records import Activation
from invoker_ext.journal import Journal

A, B = "a" * 32, "b" * 32


def a_record(activation_id: str) -> Activation:
    return Activation(
        activation_id=activation_id,
        namespace="guest",
        name="hello",
        subject="guest",
        version="0.0.1",
        start_ms=1,
        end_ms=2,
        duration_ms=1,
        status=0,
        result=b"{}",
        annotations=(),
    )


def test_a_run_that_did_not_end_is_found_again(tmp_path: Path):
    journal = Journal(tmp_path)
    journal.accepted(A, b"message a")
    journal.accepted(B, b"message b")
    journal.began(B)
    journal.flush()
    found = Journal(tmp_path).recover()
    assert [(run, left.message, left.began) for run, left in found.runs.items()] == [
        (A, b"message a", False),
        (B, b"message b", True),
    ]


def test_a_run_that_ended_is_not_and_its_record_is(tmp_path: Path):
    journal = Journal(tmp_path)
    journal.accepted(A, b"message")
    record = a_record(A)
    journal.record(record)
    journal.ended(A)
    journal.flush()
    found = Journal(tmp_path).recover()
    assert found.runs == {}
    assert found.ended == {A: b"message"}
    assert found.records == [record]


def test_a_record_takes_the_place_of_the_one_without_its_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "ROTATE_BYTES", 200)
    journal = Journal(tmp_path)
    journal.record(a_record(A))
    journal.flush()
    whole = replace(a_record(A), logs=("a line",))
    journal.record(whole)
    journal.flush()
    assert len(list(tmp_path.iterdir())) == 2  # the one with the record, and the next one
    assert Journal(tmp_path).recover().records == [whole]


def test_a_result_that_the_store_keeps_is_left_out(tmp_path: Path):
    journal = Journal(tmp_path)
    record = replace(a_record(A), result=b'{"a":"' + b"x" * 1000 + b'"}', place="pack:0:1008")
    journal.record(record)
    journal.record(a_record(B))
    journal.flush()
    (path,) = tmp_path.glob("*.journal")
    assert b"xxx" not in path.read_bytes()
    assert Journal(tmp_path).recover().records == [replace(record, result=None), a_record(B)]


def test_what_was_not_flushed_is_not_there(tmp_path: Path):
    journal = Journal(tmp_path)
    journal.accepted(A, b"message")
    assert Journal(tmp_path).recover().runs == {}


@pytest.mark.parametrize("cut", range(1, 12))
def test_a_torn_last_entry_costs_only_itself(tmp_path: Path, cut: int):
    journal = Journal(tmp_path)
    journal.accepted(A, b"first")
    journal.accepted(B, b"second")
    journal.flush()
    (path,) = tmp_path.glob("*.journal")
    path.write_bytes(path.read_bytes()[:-cut])
    assert list(Journal(tmp_path).recover().runs) == [A]


def test_a_damaged_entry_ends_the_reading(tmp_path: Path):
    journal = Journal(tmp_path)
    journal.accepted(A, b"first")
    journal.accepted(B, b"second")
    journal.flush()
    (path,) = tmp_path.glob("*.journal")
    path.write_bytes(path.read_bytes().replace(b"second", b"sEcond"))
    assert list(Journal(tmp_path).recover().runs) == [A]


def test_a_full_file_goes_when_nothing_in_it_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "ROTATE_BYTES", 100)
    journal = Journal(tmp_path)
    journal.accepted(A, b"x" * 200)
    journal.flush()
    journal.record(a_record(A))
    journal.ended(A)
    journal.flush()
    assert len(list(tmp_path.glob("*.journal"))) == 2
    journal.stored(A)
    assert len(list(tmp_path.glob("*.journal"))) == 1
    journal.close()
    assert list(tmp_path.glob("*.journal")) == []


def test_files_of_an_earlier_process_stay_until_they_are_settled(tmp_path: Path):
    first = Journal(tmp_path)
    first.accepted(A, b"message")
    first.flush()
    second = Journal(tmp_path)
    second.recover()
    second.accepted(A, b"message")
    second.flush()
    second.settle()
    assert list(Journal(tmp_path).recover().runs) == [A]


def rotated(journal: Journal) -> None:
    """Fill the file at hand, so that what follows stands in the next one."""
    journal.accepted("f" * 32, b"x" * 300)
    journal.flush()


def test_an_end_outlives_the_file_it_stands_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "ROTATE_BYTES", 200)
    journal = Journal(tmp_path)
    journal.accepted(A, b"run")
    journal.accepted(B, b"a long one, which keeps the file" + b"x" * 200)
    journal.flush()
    journal.began(A)
    journal.record(a_record(A))
    journal.ended(A)
    rotated(journal)
    journal.stored(A)
    journal.ended("f" * 32)
    rotated(journal)
    found = Journal(tmp_path).recover()
    assert A in found.ended
    assert A not in found.runs


def test_a_beginning_outlives_the_file_it_stands_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "ROTATE_BYTES", 200)
    journal = Journal(tmp_path)
    journal.accepted(A, b"run" + b"x" * 200)
    journal.flush()
    journal.began(A)
    rotated(journal)
    journal.ended("f" * 32)
    rotated(journal)
    assert Journal(tmp_path).recover().runs[A].began


@pytest.mark.parametrize("result", [b'{"n": 100000000000000000000}', b'{"s": "\\ud800"}', b"[" * 3000 + b"]" * 3000])
def test_a_result_is_taken_over_whatever_it_is(tmp_path: Path, result: bytes):
    journal = Journal(tmp_path)
    journal.record(replace(a_record(A), result=result))
    journal.flush()
    assert [record.result for record in Journal(tmp_path).recover().records] == [result]


def test_a_full_disk_costs_no_end_and_no_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    journal = Journal(tmp_path)
    journal.accepted(A, b"run")
    journal.flush()
    journal.record(a_record(A))
    journal.ended(A)
    journal.accepted(B, b"refused")

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.writev", full)
        with pytest.raises(OSError, match="No space"):
            journal.flush()
    journal.flush()
    found = Journal(tmp_path).recover()
    assert (list(found.runs), list(found.ended), [one.activation_id for one in found.records]) == ([], [A], [A])


def test_a_large_result_that_two_records_share_is_written_once(tmp_path: Path):
    result = b'"' + b"x" * module.LARGE_BYTES + b'"'
    step, sequence = (replace(a_record(one), result=result) for one in (A, B))
    journal = Journal(tmp_path)
    journal.record(step)
    journal.record(sequence)
    journal.flush()
    [file] = tmp_path.iterdir()
    assert file.stat().st_size < 1.5 * len(result)
    journal.stored(A)  # the other one still needs what stands there
    assert Journal(tmp_path).recover().records == [step, sequence]


def test_a_record_of_the_next_flush_has_its_result_in_itself(tmp_path: Path):
    result = b'"' + b"x" * module.LARGE_BYTES + b'"'
    step, sequence = (replace(a_record(one), result=result) for one in (A, B))
    journal = Journal(tmp_path)
    journal.record(step)
    journal.flush()
    journal.record(sequence)
    journal.flush()
    [file] = tmp_path.iterdir()
    assert file.stat().st_size > 2 * len(result)
    assert Journal(tmp_path).recover().records == [step, sequence]
