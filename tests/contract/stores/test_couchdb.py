"""The store in CouchDB and what a stock deployment has in it: documents, views, attachments; and its failures."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from invoker_ext.contract.records import Activation
from invoker_ext.store import ActivationQuery, RevisionConflict, StoreRefused, StoreUnavailable
from invoker_ext.stores.couchdb import CouchActivations, CouchEntities, Place, designs, documents, records
from invoker_ext.stores.couchdb.client import Database, Server
from invoker_ext.stores.subjects import seed_subjects
from tests.contract.stores.test_activations import a_record
from tests.contract.stores.test_entities import an_action
from tests.support.couchdb import CouchServer
from tests.support.waiting import wait_until


def recorded(shared_dir: Path, name: str) -> list[dict[str, Any]]:
    """Return the documents that a real deployment had in a database."""
    lines = (shared_dir / "recordings" / "couchdb" / f"{name}.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def written(document: dict[str, Any]) -> dict[str, Any]:
    """Return a document without what each write changes."""
    return {name: value for name, value in document.items() if name not in ("_rev", "updated")}


@pytest.fixture
def database(couch_server: CouchServer, couch_place: Place):
    """Return one of the databases, as it is seen by others than the store."""
    server: Server = couch_server.client()
    yield lambda name: server.database(couch_place.prefix + name)
    server.close()


@pytest.fixture
def entities(open_couch: Callable[[], CouchEntities]) -> CouchEntities:
    return open_couch()


@pytest.fixture
def activations(open_couch_activations: Callable[[], CouchActivations]) -> CouchActivations:
    return open_couch_activations()


Open = Callable[[str], Database]


class TestAStockDeployment:
    def test_its_entities_are_read_and_written_equal(self, entities: CouchEntities, database: Open, shared_dir: Path):
        whisks = database("whisks")
        found = recorded(shared_dir, "whisks")
        for document in found:
            whisks.put(document["_id"], {name: one for name, one in document.items() if name != "_rev"})

        for document in found:
            read = entities.get(document["_id"])
            assert read is not None
            code = document.get("exec", {}).get("code")
            if isinstance(code, str):
                assert read.body["exec"]["code"] == code
                continue
            entities.put(document["_id"], read.body, read.revision)
            again = whisks.get(document["_id"])
            assert again is not None
            assert written(again) == written(document)

    def test_its_lists_are_ours(self, entities: CouchEntities, database: Open, shared_dir: Path):
        for document in recorded(shared_dir, "whisks"):
            database("whisks").put(document["_id"], {name: one for name, one in document.items() if name != "_rev"})

        newest_first = ["kkey", "kweb", "kcond", "kseq", "inc", "knolog", "kexit", "kh"]
        assert [one.body["name"] for one in entities.list("action", "guest")] == newest_first
        assert [one.id for one in entities.list("trigger", "guest")] == ["guest/kt"]
        assert [one.id for one in entities.list("rule", "guest")] == ["guest/kr"]
        assert entities.list("package", "guest") == []

    def test_its_records_are_read_and_written_equal(
        self, activations: CouchActivations, database: Open, shared_dir: Path
    ):
        stock, ours = database("activations"), []
        for document in recorded(shared_dir, "activations"):
            stock.put(document["_id"], {name: one for name, one in document.items() if name != "_rev"})
            record = activations.get(document["namespace"], document["activationId"])
            assert record is not None
            # Of the same document at a place of its own: what is there already is left as it is.
            ours.append((document, replace(record, activation_id=f"f{record.activation_id[1:]}")))
        activations.put_many([record for _, record in ours])

        for document, record in ours:
            again = stock.get(f"{record.namespace}/{record.activation_id}")
            assert again is not None
            expected = {**document, "_id": again["_id"], "activationId": record.activation_id}
            assert written(again) == written(expected)

    def test_its_records_are_listed_by_time_and_by_name(
        self, activations: CouchActivations, database: Open, shared_dir: Path
    ):
        found = recorded(shared_dir, "activations")
        for document in found:
            database("activations").put(
                document["_id"], {name: one for name, one in document.items() if name != "_rev"}
            )

        def starts(**query: Any) -> list[int]:
            return [one.start_ms for one in activations.list(ActivationQuery(namespace="guest", **query))]

        expected = sorted((one["start"] for one in found if one["namespace"] == "guest"), reverse=True)
        assert starts() == starts(docs=False) == expected
        named = sorted((one["start"] for one in found if one["name"] == "kh"), reverse=True)
        assert starts(name="kh") == named
        assert activations.count(ActivationQuery(namespace="guest", name="kh")) == len(named)

    def test_its_subjects_are_known(self, entities: CouchEntities, database: Open, shared_dir: Path):
        found = recorded(shared_dir, "subjects")
        for document in found:
            database("subjects").put(document["_id"], {name: one for name, one in document.items() if name != "_rev"})

        (guest,) = entities.identities("guest")
        assert guest["limits"] == {
            "invocationsPerMinute": 1000000,
            "concurrentInvocations": 1000,
            "firesPerMinute": 1000000,
        }
        assert entities.subject_by_uuid(guest["uuid"]) == guest
        assert entities.has_subjects()

    def test_it_finds_our_stock_users(self, entities: CouchEntities, database: Open, shared_dir: Path):
        seed_subjects(entities)
        for document in recorded(shared_dir, "subjects"):
            if "subject" in document:
                ours = database("subjects").get(document["_id"])
                assert ours is not None
                assert written(ours) == written(document)

    def test_its_older_documents_are_read(self, entities: CouchEntities, database: Open):
        action = an_action() | {"limits": {"timeout": 1, "memory": 128}}
        del action["entityType"]
        database("whisks").put("guest/a", action)
        rule = {"namespace": "guest", "name": "r", "trigger": "guest/t", "action": "/guest/p/a", "updated": 1}
        database("whisks").put("guest/r", rule)

        read = entities.get("guest/a")
        assert read is not None
        assert (read.body["entityType"], read.body["exec"]["code"]) == ("action", "x")
        assert read.body["limits"] == {"timeout": 1, "memory": 128, "logs": 10, "concurrency": 1}
        read = entities.get("guest/r")
        assert read is not None
        assert read.body["action"] == {"path": "guest/p", "name": "a"}

    def test_it_lists_a_native_workflow_and_can_delete_it(self, entities: CouchEntities, database: Open):
        body = an_action(code="dataflow: 1") | {"limits": {"timeout": 1, "memory": 128, "logs": 10, "concurrency": 1}}
        body["exec"] |= {"kind": "dataflow:1"}
        entities.put("guest/a", body, None)

        stored = database("whisks").get("guest/a")
        assert stored is not None
        # What stock's reader asks of an action: a kind that it knows, an image, `binary`, code as an attachment.
        assert (stored["exec"]["kind"], stored["exec"]["image"]) == ("blackbox", documents.WORKFLOW_IMAGE)
        assert stored["exec"]["binary"] is False
        assert stored["exec"]["code"]["attachmentName"].startswith("mem:")
        (row,) = database("whisks").view(f"{designs.ENTITIES}/actions", reduce=False)
        assert row["value"]["exec"] == {"binary": False}
        read = entities.get("guest/a")
        assert read is not None
        assert read.body == body


class TestCode:
    @pytest.mark.parametrize(
        ("code", "binary", "content_type"),
        [("é" * 10_000, False, "text/plain; charset=UTF-8"), ("UEsDBAoA" * 5_000, True, "application/octet-stream")],
    )
    def test_large_code_is_one_attachment_and_an_update_replaces_it(
        self, entities: CouchEntities, database: Open, code: str, binary: bool, content_type: str
    ):
        body = an_action(code=code)
        body["exec"]["binary"] = binary
        first = entities.put("guest/a", body, None)
        entities.put("guest/a", body | {"updated": 2}, first.revision)

        stored = database("whisks").get("guest/a")
        assert stored is not None
        ((name, stub),) = stored["_attachments"].items()
        assert stored["exec"]["code"] == {"attachmentName": f"couch:{name}", "attachmentType": content_type}
        assert stub["content_type"] == content_type
        read = entities.get("guest/a")
        assert read is not None
        assert read.body["exec"] == body["exec"]

    def test_code_of_many_megabytes_is_kept(self, entities: CouchEntities):
        code = "x" * 20_000_000
        entities.put("guest/a", an_action(code=code), None)
        read = entities.get("guest/a")
        assert read is not None
        assert read.body["exec"]["code"] == code

    def test_lists_leave_it_out(self, entities: CouchEntities):
        entities.put("guest/a", an_action(code="x" * 20_000), None)
        (found,) = entities.list("action", "guest")
        assert found.body["exec"] == {"kind": "python:3", "binary": False}


class TestRecords:
    def test_results_and_logs_beyond_what_a_document_may_hold_are_attached(
        self, activations: CouchActivations, database: Open
    ):
        result = b'"' + b"x" * 5_000_000 + b'"'
        record = a_record(1, result=result, logs=("y" * 5_000_000,))
        activations.put_many([record, a_record(2)])

        stored = database("activations").get(records.doc_id("guest", record.activation_id))
        assert stored is not None
        assert set(stored["_attachments"]) == {records.RESULT, records.LOGS}
        assert (stored["logs"], "result" in stored["response"]) == ([], False)
        assert activations.get("guest", record.activation_id) == record

    def test_more_than_one_request_takes_are_written_in_several(
        self, activations: CouchActivations, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setattr("invoker_ext.stores.couchdb.activations.REQUEST_BYTES", 1000)
        activations.put_many([a_record(number, number) for number in range(1, 20)])
        assert activations.count(ActivationQuery(namespace="guest")) == 19

    def test_one_that_couchdb_refuses_is_attached_and_keeps_no_other_from_being_written(
        self, activations: CouchActivations, monkeypatch: pytest.MonkeyPatch
    ):
        write = Database.write_all

        def picky(database: Database, texts: list[bytes], **how: bool) -> list[dict[str, Any]]:
            if any(b"\\ud800" in text for text in texts):
                raise StoreRefused("400 bad_request: invalid UTF-8 JSON")
            return write(database, texts, **how)

        monkeypatch.setattr(Database, "write_all", picky)
        odd = a_record(1, 1, result=b'{"half":"\\ud800"}')
        activations.put_many([odd, a_record(2, 2)])
        assert activations.get("guest", odd.activation_id) == odd
        assert activations.count(ActivationQuery(namespace="guest")) == 2

    def test_one_that_is_there_stays_as_it_is_and_has_one_revision(self, activations: CouchActivations, database: Open):
        first, again = a_record(1, result=b'{"n":1}'), a_record(1, result=b'{"n":2}')
        for written in ([first], [again, a_record(2, 2)]):
            activations.put_many(written)
        assert activations.get("guest", first.activation_id) == first
        doc_id = records.doc_id("guest", first.activation_id)
        (row,) = database("activations").all_docs(keys=[doc_id], include_docs=True, conflicts=True)
        assert (row["value"]["rev"], "_conflicts" in row["doc"]) == (f"1-{first.activation_id}", False)
        assert activations.count(ActivationQuery(namespace="guest")) == 2

    def test_one_that_was_removed_does_not_come_back(self, activations: CouchActivations):
        record = a_record(1)
        activations.put_many([record])
        assert activations.expire(record.start_ms + 1, None, 10) == 1
        activations.put_many([record])  # an owner that did not hear that the store had it
        assert activations.get("guest", record.activation_id) is None

    def test_a_record_of_a_trigger_ends_at_zero(self, activations: CouchActivations, database: Open):
        activations.put_many([a_record(1, end_ms=None, duration_ms=None, path=None)])
        stored = database("activations").get(records.doc_id("guest", f"{1:032x}"))
        assert stored is not None
        assert (stored["end"], "duration" in stored) == (0, False)
        (listed,) = activations.list(ActivationQuery(namespace="guest", docs=False))
        assert listed.end_ms is None


class TestSetUp:
    def test_it_makes_what_is_missing_and_leaves_what_is_there(
        self, couch_place: Place, database: Open, activations: CouchActivations
    ):
        assert not couch_place.set_up()
        theirs = {"language": "javascript", "views": {"byDate": {"map": "function (doc) { emit(doc.start, 7); }"}}}
        for name in ("activations", "logCleanup"):
            there = database("activations").get(["_design", name])
            assert there is not None
            database("activations").put(["_design", name], {**theirs, "_id": there["_id"], "_rev": there["_rev"]})
        assert couch_place.set_up()

        kept = database("activations").get(["_design", "activations"])
        completed = database("activations").get(["_design", "logCleanup"])
        assert kept is not None
        assert completed is not None
        assert kept["views"] == theirs["views"]
        assert set(completed["views"]) == {"byDate", "byDateWithLogs"}

    def test_databases_that_are_not_there_say_what_to_do(self, couch_server: CouchServer, tmp_path: Path):
        place = couch_server.place()
        store = place.entities(tmp_path / "mark", follow=False)
        records_ = place.activations()
        with pytest.raises(StoreUnavailable, match="dataflower admin db init"):
            store.get("guest/a")
        with pytest.raises(StoreUnavailable, match="dataflower admin db init"):
            records_.put_many([a_record(1)])
        store.close()
        records_.close()


class TestWhatIsKeptInMemory:
    def test_what_another_host_writes_is_seen_soon(self, couch_place: Place, tmp_path: Path, open_couch: Any):
        here = open_couch()
        there = couch_place.entities(tmp_path / "mark of another host", follow=False)
        try:
            made = there.put("guest/a", an_action(), None)
            wait_until(lambda: here.get("guest/a") is not None)
            version = here.version()
            there.put("guest/a", an_action(code="new"), made.revision)
            wait_until(lambda: here.version() != version)
            read = here.get("guest/a")
            assert read is not None
            assert read.body["exec"]["code"] == "new"
        finally:
            there.close()

    def test_who_is_blocked_elsewhere_is_refused_soon(self, couch_place: Place, tmp_path: Path, open_couch: Any):
        here = open_couch()
        seed_subjects(here)
        uuid = here.identities("guest")[0]["uuid"]
        there = couch_place.entities(tmp_path / "mark of another host", follow=False)
        guest = there.subject_document("guest")
        assert guest is not None
        there.put_subject_document("guest", {**guest.body, "blocked": True}, guest.revision)
        wait_until(lambda: here.subject_by_uuid(uuid) is None)
        there.close()

    def test_after_a_conflict_the_newest_is_read_before_the_feed_tells(
        self, couch_place: Place, tmp_path: Path, open_couch: Any
    ):
        here = open_couch()
        made = here.put("guest/a", an_action(), None)
        wait_until(lambda: here.get("guest/a") is here.get("guest/a"))
        there = couch_place.entities(tmp_path / "mark of another host", follow=False)
        newest = there.put("guest/a", an_action(code="new"), made.revision)
        with pytest.raises(RevisionConflict):
            here.put("guest/a", an_action(code="mine"), made.revision)
        read = here.get("guest/a")
        assert read is not None
        assert read.revision == newest.revision
        there.close()

    def test_what_is_said_to_have_changed_is_read_again(self, entities: CouchEntities):
        entities.put("guest/a", an_action(), None)
        version = entities.version()
        entities.invalidate("guest/a")
        assert entities.version() != version

    def test_all_of_a_host_read_again_what_another_host_is_said_to_have_written(
        self, entities: CouchEntities, open_couch: Any
    ):
        balancer = open_couch()
        entities.put("guest/a", an_action(), None)
        wait_until(lambda: entities.version() == entities.version())
        version = entities.version()
        balancer.invalidate("guest/b")
        assert entities.version() != version

    def test_stocks_controllers_are_told_of_what_they_keep(self, entities: CouchEntities):
        told: list[str] = []
        entities.on_write(told.append)
        made = [
            entities.put(
                f"guest/{name}", {**an_action(), "entityType": name, "trigger": "guest/t", "action": "guest/a"}, None
            )
            for name in ("action", "package", "trigger", "rule")
        ]
        for one in made:
            entities.delete(one.id, one.revision)
        assert told == ["guest/action", "guest/package", "guest/trigger"] * 2

    def test_without_the_feed_nothing_is_kept(self, couch_place: Place, tmp_path: Path):
        here = couch_place.entities(tmp_path / "mark", follow=False)
        there = couch_place.entities(None, follow=False)
        made = there.put("guest/a", an_action(), None)
        assert here.version() != here.version()
        assert here.get("guest/a") == made
        newest = there.put("guest/a", an_action(code="new"), made.revision)
        assert here.get("guest/a") == newest
        here.close()
        there.close()


class TestOutages:
    def test_a_server_that_was_restarted_is_used_again(self, tmp_path: Path):
        server = CouchServer(lasting=True).start()
        try:
            place = server.place()
            place.set_up()
            store, kept = place.entities(tmp_path / "mark"), place.activations()
            store.put("guest/a", an_action(), None)
            wait_until(lambda: store.get("guest/a") is store.get("guest/a"), message="a document that is kept")
            without_feed = place.entities(None, follow=False)
            assert without_feed.get("guest/a") is not None
            kept.put_many([a_record(1)])
            server.kill()

            # What is in use is served on, also after a write that failed.
            with pytest.raises(StoreUnavailable, match="cannot be reached"):
                store.put("guest/c", an_action("c"), None)
            assert store.get("guest/a") is not None
            with pytest.raises(StoreUnavailable, match="cannot be reached"):  # it would not hear of a newer revision
                without_feed.get("guest/a")
            with pytest.raises(StoreUnavailable, match="cannot be reached"):
                store.get("guest/b")
            with pytest.raises(StoreUnavailable, match="cannot be reached"):
                kept.put_many([a_record(2)])

            server.start()
            kept.put_many([a_record(1), a_record(2)])
            assert kept.count(ActivationQuery(namespace="guest")) == 2
            version = store.version()
            other = place.entities(tmp_path / "mark of another host", follow=False)
            other.put("guest/b", an_action("b"), None)
            wait_until(lambda: store.version() != version, 20.0, message="the feed")
            assert store.get("guest/b") is not None
            for one in (store, kept, other, without_feed):
                one.close()
        finally:
            server.remove()

    def test_a_closed_store_is_unavailable(self, activations: CouchActivations):
        activations.close()
        with pytest.raises(StoreUnavailable, match="closed"):
            activations.put_many([a_record(1)])


def test_a_record_of_any_result_is_spliced():
    record: Activation = a_record(1, result=b'{"raw" : [1, 2]}')
    assert b'"result":{"raw" : [1, 2]}' in records.encode(record, 7)
