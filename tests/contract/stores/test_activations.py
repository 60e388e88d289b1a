from __future__ import annotations

import json
import multiprocessing
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from invoker_ext.contract.records import Activation
from invoker_ext.store import ActivationQuery, ActivationStore, StoreUnavailable
from invoker_ext.stores.sqlite import SqliteActivations
from tests.contract.stores.conftest import STORES


def a_record(number: int, start_ms: int = 1000, path: str | None = "guest/a", **changes: Any) -> Activation:
    annotations = () if path is None else ({"key": "path", "value": path}, {"key": "kind", "value": "python:3"})
    record = Activation(
        activation_id=f"{number:032x}",
        namespace="guest",
        name=(path or "trigger").rpartition("/")[2],
        subject="guest",
        version="0.0.1",
        start_ms=start_ms,
        end_ms=start_ms + 5,
        duration_ms=5,
        status=0,
        result=b'{"n":1}',
        annotations=annotations,
    )
    return replace(record, **changes)


def plain(record: Activation | None) -> Activation | None:
    """Return a record with its result in one form: a store may keep the value of a JSON text, not the text."""
    if record is None or record.result is None:
        return record
    return replace(record, result=json.dumps(json.loads(record.result)).encode())


def ids(records: Any) -> list[int]:
    return [int(record.activation_id, 16) for record in records]


@pytest.mark.parametrize(
    "record",
    [
        a_record(1, size=7, logs=("TIME stdout: hü",), cause="c" * 32),
        a_record(2, result=None, end_ms=None, duration_ms=None, path=None),
        a_record(3, result=b'{"raw" :  [1,2] }', status=2, dataflow={"started": 1.5}, publish=True),
    ],
)
def test_a_record_is_read_back_as_it_was(activations: ActivationStore, record: Activation):
    activations.put_many([record])
    assert plain(activations.get("guest", record.activation_id)) == plain(record)
    assert list(map(plain, activations.list(ActivationQuery(namespace="guest")))) == [plain(record)]


LARGE = b'"' + b"x" * 200_000 + b'"'


def test_a_large_result_is_read_back_alone_and_in_lists(open_activations: Callable[[], ActivationStore]):
    here, there = open_activations(), open_activations()
    here.put_many([a_record(1, result=LARGE), a_record(2, 2000)])
    assert there.get("guest", f"{1:032x}") == a_record(1, result=LARGE)
    expected = [a_record(2, 2000), a_record(1, result=LARGE)]
    assert list(there.list(ActivationQuery(namespace="guest"))) == expected


def test_a_large_result_written_twice_stays_as_it_was(activations: ActivationStore):
    activations.put_many([a_record(1, result=LARGE)])
    activations.put_many([a_record(1, result=LARGE + b" ")])
    assert activations.get("guest", f"{1:032x}") == a_record(1, result=LARGE)


def test_a_result_kept_ahead_of_its_record_is_there_before_and_after_it(activations: ActivationStore):
    record = a_record(1, result=LARGE)
    place = activations.keep_result(LARGE)
    if place is not None:
        assert activations.kept_result(place) == LARGE
    activations.put_many([replace(record, place=place)])
    assert activations.get("guest", record.activation_id) == record


def test_a_record_belongs_to_one_namespace(activations: ActivationStore):
    activations.put_many([a_record(1)])
    assert activations.get("other", f"{1:032x}") is None
    assert activations.list(ActivationQuery(namespace="other")) == []


def test_a_record_written_twice_stays_as_it_was(activations: ActivationStore):
    activations.put_many([a_record(1)])
    activations.put_many([a_record(1, status=3), a_record(2)])
    first = activations.get("guest", f"{1:032x}")
    assert first is not None
    assert first.status == 0
    assert activations.count(ActivationQuery(namespace="guest")) == 2


def test_lists_are_newest_start_first(activations: ActivationStore):
    activations.put_many([a_record(1, 1000), a_record(2, 3000), a_record(3, 2000)])
    assert ids(activations.list(ActivationQuery(namespace="guest"))) == [2, 3, 1]


@pytest.mark.parametrize("open_activations", ["sqlite"], indirect=True)
def test_of_equal_starts_the_later_written_comes_first_and_a_run_comes_after_its_parts(activations: ActivationStore):
    run = a_record(3, annotations=({"key": "kind", "value": "sequence"},))
    activations.put_many([a_record(1), a_record(2), run])
    assert ids(activations.list(ActivationQuery(namespace="guest"))) == [2, 1, 3]


def test_of_equal_starts_a_run_comes_after_its_parts_wherever_the_list_is_cut(activations: ActivationStore):
    run = a_record(9, 2, annotations=({"key": "kind", "value": "sequence"},))
    activations.put_many([run, a_record(1, 1), a_record(2, 2), a_record(3, 3)])
    cut = [activations.list(ActivationQuery(namespace="guest", skip=skip, limit=1)) for skip in range(5)]
    assert list(map(ids, cut)) == [[3], [2], [9], [1], []]


def test_a_window_of_the_list(activations: ActivationStore):
    activations.put_many([a_record(n, n) for n in range(1, 8)])
    assert ids(activations.list(ActivationQuery(namespace="guest", skip=1, limit=2))) == [6, 5]
    assert ids(activations.list(ActivationQuery(namespace="guest", skip=5, limit=0))) == [2, 1]
    assert ids(activations.list(ActivationQuery(namespace="guest", name="a", skip=1, limit=2))) == [6, 5]


def test_bounds_of_the_start_are_inclusive(activations: ActivationStore):
    activations.put_many([a_record(n, n) for n in range(1, 6)])
    query = ActivationQuery(namespace="guest", since_ms=2, upto_ms=4)
    assert ids(activations.list(query)) == [4, 3, 2]
    assert activations.count(query) == 3


@pytest.mark.parametrize(("since_ms", "upto_ms"), [(None, -1), (5, 4), (10**30, -(10**30))])
def test_between_bounds_the_wrong_way_round_is_nothing(
    activations: ActivationStore, since_ms: int | None, upto_ms: int | None
):
    activations.put_many([a_record(n, n) for n in range(1, 6)])
    for name in (None, "a"):
        query = ActivationQuery(namespace="guest", name=name, since_ms=since_ms, upto_ms=upto_ms)
        assert (list(activations.list(query)), activations.count(query)) == ([], 0)


def test_bounds_beyond_any_time_are_taken(activations: ActivationStore):
    activations.put_many([a_record(1)])
    query = ActivationQuery(namespace="guest", since_ms=-(10**30), upto_ms=10**30)
    assert ids(activations.list(query)) == [1]


NAMED: list[tuple[str, list[int]]] = [("a", [1]), ("b/a", [3]), ("trigger", [4]), ("nosuch", []), ("p", [])]


@pytest.mark.parametrize(
    ("open_activations", "name", "found"),
    [
        *((store, *one) for store in STORES for one in NAMED),
        ("sqlite", "p/a", [3, 2]),
        ("couchdb", "p/a", [2]),  # stock's view knows an activation through a binding by that alone
    ],
    indirect=["open_activations"],
)
def test_a_name_finds_by_package_and_binding(activations: ActivationStore, name: str, found: list[int]):
    bound = a_record(3, 3, "guest/p/a")
    bound = replace(bound, annotations=({"key": "binding", "value": "guest/b"}, *bound.annotations))
    activations.put_many([a_record(1, 1), a_record(2, 2, "guest/p/a"), bound, a_record(4, 4, None)])
    query = ActivationQuery(namespace="guest", name=name)
    assert ids(activations.list(query)) == found
    assert activations.count(query) == len(found)


def test_a_binding_named_like_its_package_is_counted_once(activations: ActivationStore):
    record = a_record(1, 1, "other/p/a")
    record = replace(record, annotations=({"key": "binding", "value": "guest/p"}, *record.annotations))
    activations.put_many([record])
    assert activations.count(ActivationQuery(namespace="guest", name="p/a")) == 1


def test_a_count_subtracts_skip_and_ignores_the_limit(activations: ActivationStore):
    activations.put_many([a_record(n, n) for n in range(1, 6)])
    assert activations.count(ActivationQuery(namespace="guest", skip=2, limit=1)) == 3
    assert activations.count(ActivationQuery(namespace="guest", skip=9)) == 0


def test_a_list_without_docs_may_leave_results_out(activations: ActivationStore):
    activations.put_many([a_record(1, logs=("x",))])
    (record,) = activations.list(ActivationQuery(namespace="guest", docs=False))
    assert record.summary() == a_record(1).summary()


def left(activations: ActivationStore, namespace: str = "guest") -> list[int]:
    return ids(activations.list(ActivationQuery(namespace=namespace)))


def test_old_records_expire(activations: ActivationStore):
    activations.put_many([a_record(n, n) for n in range(1, 6)])
    assert activations.expire(3, None, 100) == 2
    assert left(activations) == [5, 4, 3]
    assert activations.expire(3, None, 100) == 0


def test_of_too_many_records_the_oldest_of_each_namespace_expire(activations: ActivationStore):
    activations.put_many([a_record(n, n) for n in (3, 1, 4, 2, 5)])
    activations.put_many([a_record(n, n, namespace="other") for n in range(10, 15)])
    activations.put_many([a_record(20, 1, namespace="small")])
    assert activations.expire(None, 3, 100) == 4
    assert left(activations) == [5, 4, 3]
    assert left(activations, "other") == [14, 13, 12]
    assert left(activations, "small") == [20]
    assert activations.expire(None, 3, 100) == 0


def test_records_expire_a_few_at_a_time_and_by_both_bounds(activations: ActivationStore):
    activations.put_many([a_record(n, n) for n in range(1, 9)])
    activations.put_many([a_record(20, 1, namespace="other")])
    assert activations.expire(3, 4, 3) == 3
    assert left(activations)[:4] == [8, 7, 6, 5]
    assert activations.expire(3, 4, 3) == 2
    assert (left(activations), left(activations, "other")) == ([8, 7, 6, 5], [])
    assert activations.expire(3, 4, 3) == 0
    assert activations.expire(None, None, 3) == 0


@pytest.mark.parametrize("open_activations", ["sqlite"], indirect=True)
def test_room_of_expired_records_is_given_back(activations: ActivationStore, tmp_path: Path):
    def size() -> int:
        return sum(path.stat().st_size for path in tmp_path.iterdir())

    for first in range(0, 1000, 100):
        activations.put_many([a_record(n, n, result=b"1" * 60_000) for n in range(first, first + 100)])
    full = size()
    while activations.expire(990, None, 200):
        pass
    activations.reclaim(0)
    activations.close()
    assert full > 50_000_000
    assert size() < 15_000_000


def _write(path: Path, first: int, count: int) -> None:
    store = SqliteActivations(path)
    for number in range(first, first + count, 10):
        store.put_many([a_record(n, n) for n in range(number, number + 10)])
    store.close()


def test_two_processes_write_at_once_and_lose_nothing(tmp_path: Path):
    path = tmp_path / "activations.db"
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_write, args=(path, first, 500)) for first in (1000, 2000)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(20)
    assert [process.exitcode for process in processes] == [0, 0]
    store = SqliteActivations(path)
    assert store.count(ActivationQuery(namespace="guest")) == 1000
    store.close()


def test_what_one_process_wrote_another_reads(open_activations: Callable[[], ActivationStore]):
    here, there = open_activations(), open_activations()
    here.put_many([a_record(1)])
    assert there.get("guest", f"{1:032x}") == a_record(1)


def test_a_full_disk_writes_none_of_the_records(tmp_path: Path):
    store = SqliteActivations(tmp_path / "activations.db")
    store._connections._writer.execute("PRAGMA max_page_count = 12")
    with pytest.raises(StoreUnavailable, match=r"is full: free space"):
        store.put_many([a_record(1), a_record(2, result=b'"' + b"x" * 60_000 + b'"')])
    assert store.count(ActivationQuery(namespace="guest")) == 0
    store.close()
