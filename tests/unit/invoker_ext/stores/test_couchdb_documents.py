"""Documents of a real deployment, read and written again without a database."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from invoker_ext.stores.couchdb import documents, records


def recorded(shared_dir: Path, name: str) -> list[dict[str, Any]]:
    lines = (shared_dir / "recordings" / "couchdb" / f"{name}.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def no_attachment(name: str) -> bytes:
    raise AssertionError(f"the recorded documents have no attachment {name}")


def test_recorded_entities_are_written_as_they_were(shared_dir: Path):
    for document in recorded(shared_dir, "whisks"):
        if isinstance(document.get("exec", {}).get("code"), str):
            continue  # only stock's health action is written with its code in it
        entity = documents.decode(document, no_attachment)
        assert entity is not None
        assert {**documents.encode(entity.body, entity.revision), "_id": entity.id} == document


def test_recorded_records_are_written_as_they_were(shared_dir: Path):
    for document in recorded(shared_dir, "activations"):
        record = records.decode(document, no_attachment)
        again = json.loads(records.encode(record, document["updated"]))
        assert {**again, "_rev": document["_rev"]} == document


def a_document(code: object, **exec_: Any) -> dict[str, Any]:
    return {
        "_id": "guest/a",
        "_rev": "1-x",
        "entityType": "action",
        "exec": {"kind": "python:3", "code": code, **exec_},
    }


def test_attachments_of_any_age_are_read():
    for name in ("couch:u", "u"):
        attached = {"attachmentName": name, "attachmentType": "text/plain; charset=UTF-8"}
        entity = documents.decode(a_document(attached), lambda asked: b"code" if asked == "u" else None)
        assert entity is not None
        assert entity.body["exec"]["code"] == "code"


def test_code_that_is_gone_is_no_entity():
    attached = {"attachmentName": "couch:u", "attachmentType": "application/octet-stream"}
    assert documents.decode(a_document(attached), lambda name: None) is None


def test_code_that_is_no_base64_whatever_its_writer_said_stays_text():
    stored = documents.encode(a_document("never base64!", binary=True), None)
    assert stored["exec"]["code"]["attachmentType"].startswith("text/plain")


def test_what_is_no_record_is_told():
    with pytest.raises(ValueError, match="no response"):
        records.decode({"activationId": "x"}, no_attachment)
