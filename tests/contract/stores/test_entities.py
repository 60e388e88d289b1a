from __future__ import annotations

import contextlib
import itertools
import multiprocessing
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from invoker_ext.store import EntityStore, RevisionConflict, StoreUnavailable
from invoker_ext.stores.sqlite import SqliteEntities, connections
from invoker_ext.stores.subjects import GUEST_KEY, seed_subjects, subject
from tests.support.waiting import wait_until

UUID = GUEST_KEY.partition(":")[0]


def an_action(name: str = "a", namespace: str = "guest", updated: int = 1, code: str = "x") -> dict[str, Any]:
    return {
        "namespace": namespace,
        "name": name,
        "entityType": "action",
        "updated": updated,
        "exec": {"kind": "python:3", "code": code, "binary": False},
    }


def test_what_was_put_is_read_back(entities: EntityStore):
    written = entities.put("guest/a", an_action(code="é" * 10), None)
    read = entities.get("guest/a")
    assert read is not None
    assert (read.id, read.revision) == ("guest/a", written.revision)
    assert read.body == an_action(code="é" * 10)


def test_a_missing_document_is_none(entities: EntityStore):
    assert entities.get("guest/nosuch") is None


def test_creating_what_exists_is_a_conflict(entities: EntityStore):
    entities.put("guest/a", an_action(), None)
    with pytest.raises(RevisionConflict):
        entities.put("guest/a", an_action(), None)


def test_replacing_needs_the_newest_revision(entities: EntityStore):
    first = entities.put("guest/a", an_action(), None)
    second = entities.put("guest/a", an_action(code="y"), first.revision)
    assert second.revision != first.revision
    with pytest.raises(RevisionConflict):
        entities.put("guest/a", an_action(code="z"), first.revision)
    read = entities.get("guest/a")
    assert read is not None
    assert read.body["exec"]["code"] == "y"


def test_deleting_needs_the_newest_revision(entities: EntityStore):
    document = entities.put("guest/a", an_action(), None)
    with pytest.raises(RevisionConflict):
        entities.delete("guest/a", "0-0")
    entities.delete("guest/a", document.revision)
    assert entities.get("guest/a") is None
    with pytest.raises(RevisionConflict):
        entities.delete("guest/a", document.revision)


def test_lists_are_newest_first_by_type_namespace_and_package(entities: EntityStore):
    entities.put("guest/a", an_action("a", updated=1), None)
    entities.put("guest/p/b", an_action("b", "guest/p", updated=3), None)
    entities.put("guest/c", an_action("c", updated=2), None)
    entities.put("other/d", an_action("d", "other"), None)
    package = {"namespace": "guest", "name": "p", "entityType": "package", "updated": 9, "binding": {}}
    entities.put("guest/p", package, None)
    assert [one.id for one in entities.list("action", "guest")] == ["guest/p/b", "guest/c", "guest/a"]
    assert [one.id for one in entities.list("action", "guest", "p")] == ["guest/p/b"]
    assert [one.id for one in entities.list("package", "guest")] == ["guest/p"]


def test_apis_are_documents_that_no_other_list_shows(entities: EntityStore):
    body = {"namespace": "guest", "name": "/base/path", "entityType": "api", "updated": 1, "document": {"paths": {}}}
    entities.put("guest/a", an_action(), None)
    entities.put("guest/api:/base/path", body, None)

    read = entities.get("guest/api:/base/path")
    assert read is not None
    assert read.body == body
    assert [one.body for one in entities.list("api", "guest")] == [body]
    assert [one.id for one in entities.list("action", "guest")] == ["guest/a"]
    assert entities.list("api", "other") == []


def test_documents_of_any_type_are_listed_by_namespace_and_package_whatever_their_ids(entities: EntityStore):
    for number, name in enumerate(("guest/a", "guest/b", "team/a")):
        body = {"namespace": "whisk.system/.alarms", "name": name, "entityType": "alarm", "updated": number}
        entities.put(f".alarms/{name}", body, None)

    newest_first = [".alarms/team/a", ".alarms/guest/b", ".alarms/guest/a"]
    assert [one.id for one in entities.list("alarm", "whisk.system", ".alarms")] == newest_first
    assert [one.id for one in entities.list("alarm", "whisk.system")] == newest_first
    assert [one.id for one in entities.list("api", "whisk.system")] == []


def test_a_write_by_another_process_is_seen_at_once(open_entities: Callable[[], EntityStore]):
    here, there = open_entities(), open_entities()
    first = here.put("guest/a", an_action(), None)
    assert here.get("guest/a") is not None
    there.put("guest/a", an_action(code="new"), first.revision)
    read = here.get("guest/a")
    assert read is not None
    assert read.body["exec"]["code"] == "new"


def test_the_version_changes_with_writes_only(open_entities: Callable[[], EntityStore]):
    here, there = open_entities(), open_entities()
    before = here.version()
    here.get("guest/a")
    assert here.version() == before
    there.put("guest/a", an_action(), None)
    after = here.version()
    assert after != before
    here.put("guest/b", an_action("b"), None)
    assert here.version() != after


def test_the_stock_users_are_found_by_uuid(entities: EntityStore):
    seed_subjects(entities)
    before = entities.subject_document("guest")
    seed_subjects(entities)
    assert entities.subject_document("guest") == before
    assert entities.subject_by_uuid(UUID) == {
        "subject": "guest",
        "namespace": "guest",
        "uuid": UUID,
        "key": GUEST_KEY.partition(":")[2],
        "blocked": False,
        "limits": {},
    }
    assert entities.subject_by_uuid("00000000-0000-0000-0000-000000000000") is None


def test_a_replaced_subject_loses_its_old_keys(entities: EntityStore):
    entities.put_subject(subject("guest", GUEST_KEY))
    assert entities.subject_by_uuid(UUID) is not None
    entities.put_subject({**subject("guest", f"other:{'k' * 64}"), "blocked": True})
    assert entities.subject_by_uuid(UUID) is None
    other = entities.subject_by_uuid("other")
    assert other is None or other["blocked"] is True


def test_a_graph_is_kept_once_under_its_digest(open_entities: Callable[[], EntityStore]):
    here, there = open_entities(), open_entities()
    assert here.graph("d") is None
    here.put_graph("d", {"steps": []})
    there.put_graph("d", {"steps": []})
    assert there.graph("d") == {"steps": []}
    version = here.version()
    here.put_graph("d", {"steps": []})
    assert here.version() == version


def _count_up(path: Path, times: int) -> None:
    store = SqliteEntities(path)
    done = 0
    while done < times:
        document = store.get("guest/counter")
        assert document is not None
        body = {**document.body, "n": document.body["n"] + 1}
        try:
            store.put("guest/counter", body, document.revision)
        except RevisionConflict:
            continue
        done += 1
    store.close()


def test_two_processes_that_write_the_same_document_lose_no_update(tmp_path: Path):
    path = tmp_path / "entities.db"
    store = SqliteEntities(path)
    store.put("guest/counter", {**an_action("counter"), "n": 0}, None)
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_count_up, args=(path, 50)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(20)
    assert [process.exitcode for process in processes] == [0, 0]
    read = store.get("guest/counter")
    assert read is not None
    assert read.body["n"] == 100
    store.close()


def test_many_threads_read_and_write_at_once(entities: EntityStore):
    def work(n: int) -> bool:
        entities.put(f"guest/a{n}", an_action(f"a{n}"), None)
        return entities.get(f"guest/a{n}") is not None and entities.get("guest/nosuch") is None

    with ThreadPoolExecutor(32) as pool:
        assert all(pool.map(work, range(64)))
    assert len(entities.list("action", "guest")) == 64


def test_opening_a_new_file_many_times_at_once_works(tmp_path: Path):
    with ThreadPoolExecutor(8) as pool:
        stores = list(pool.map(lambda _: SqliteEntities(tmp_path / "new.db"), range(8)))
    for store in stores:
        store.close()


def test_a_file_locked_for_too_long_is_unavailable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(connections, "BUSY_S", 0.05)
    store = SqliteEntities(tmp_path / "entities.db")
    other = sqlite3.connect(tmp_path / "entities.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable, match="locked by another process"):
        store.put("guest/a", an_action(), None)
    other.execute("ROLLBACK")
    other.close()
    store.put("guest/a", an_action(), None)
    store.close()


def test_a_full_disk_says_so_and_loses_nothing(tmp_path: Path):
    store = SqliteEntities(tmp_path / "entities.db")
    store.put("guest/a", an_action(), None)
    store._connections._writer.execute("PRAGMA max_page_count = 12")
    with pytest.raises(StoreUnavailable, match=r"is full: free space"):
        store.put("guest/b", an_action("b", code="x" * 200_000), None)
    assert store.get("guest/b") is None
    assert store.get("guest/a") is not None
    store.close()


def test_a_file_that_is_no_database_is_unavailable(tmp_path: Path):
    (tmp_path / "entities.db").write_text("no database, whatever its name says" * 100)
    with pytest.raises(StoreUnavailable, match="cannot be used"):
        SqliteEntities(tmp_path / "entities.db")


def test_a_closed_store_is_unavailable(entities: EntityStore):
    entities.close()
    entities.close()
    with pytest.raises(StoreUnavailable, match="closed"):
        entities.get("guest/a")
    with pytest.raises(StoreUnavailable, match="closed"):
        entities.put("guest/a", an_action(), None)


def test_a_store_that_has_subjects_is_not_seeded_again(entities: EntityStore):
    seed_subjects(entities)
    guest = entities.subject_document("guest")
    assert guest is not None
    entities.delete_subject_document("guest", guest.revision)
    seed_subjects(entities)
    assert entities.subject_by_uuid(UUID) is None
    assert entities.has_subjects()


def test_documents_of_subjects_are_replaced_by_revision_only(entities: EntityStore):
    made = entities.put_subject_document("alice", subject("alice", f"{UUID}:{'k' * 64}"), None)
    with pytest.raises(RevisionConflict):
        entities.put_subject_document("alice", subject("alice", GUEST_KEY), None)
    changed = entities.put_subject_document("alice", {**made.body, "blocked": True}, made.revision)
    with pytest.raises(RevisionConflict):
        entities.put_subject_document("alice", made.body, made.revision)
    with pytest.raises(RevisionConflict):
        entities.delete_subject_document("alice", made.revision)
    assert entities.subject_document("alice") == changed
    entities.delete_subject_document("alice", changed.revision)
    assert entities.subject_document("alice") is None
    assert not entities.has_subjects()


def test_limits_of_a_namespace_are_those_of_all_who_have_a_key_to_it(entities: EntityStore):
    for name, uuid in (("bobby", "uuid-b"), ("alice", "uuid-a"), ("blocked", "uuid-c")):
        document = {"subject": name, "namespaces": [{"name": "team", "uuid": uuid, "key": "k" * 64}]}
        entities.put_subject({**document, "blocked": name == "blocked"})
    limits = entities.put_subject_document("team/limits", {"invocationsPerMinute": 0}, None)
    found = entities.identities("team")
    assert [(one["subject"], one["limits"]) for one in found] == [
        ("alice", {"invocationsPerMinute": 0}),
        ("bobby", {"invocationsPerMinute": 0}),
    ]
    first = entities.subject_by_namespace("team")
    assert first == entities.subject_by_uuid("uuid-a")
    assert entities.subject_by_namespace("nobody") is None
    entities.delete_subject_document("team/limits", limits.revision)
    assert [one["limits"] for one in entities.identities("team")] == [{}, {}]


def test_what_another_process_changes_of_a_subject_is_seen_at_once(open_entities: Callable[[], EntityStore]):
    here, there = open_entities(), open_entities()
    seed_subjects(here)
    assert there.subject_by_uuid(UUID) is not None
    here.put_subject_document("guest/limits", {"firesPerMinute": 3}, None)
    found = there.subject_by_uuid(UUID)
    assert found is not None
    assert found["limits"] == {"firesPerMinute": 3}


def test_a_store_is_closed_while_others_ask_it(open_entities: Callable[[], EntityStore]):
    store = open_entities()
    store.put("guest/a", an_action(), None)

    def ask() -> None:
        with contextlib.suppress(StoreUnavailable):
            while True:
                store.get(f"guest/{threading.get_ident()}-{next(numbers)}")

    numbers = itertools.count()
    with ThreadPoolExecutor(4) as pool:
        asking = [pool.submit(ask) for _ in range(4)]
        wait_until(lambda: next(numbers) > 200, message="reads")
        store.close()
        for one in asking:
            one.result(10)
