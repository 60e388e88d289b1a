import json

import pytest
from hypothesis import given, settings, strategies as st

from invoker_ext.contract.records import Activation

RECORD = Activation(
    activation_id="a" * 32,
    namespace="guest",
    name="hello",
    subject="guest-user",
    version="0.0.1",
    start_ms=1_000,
    end_ms=1_020,
    duration_ms=15,
    status=0,
    result=b'{"greeting":"hi"}',
    annotations=({"key": "path", "value": "guest/hello"}, {"key": "waitTime", "value": 3}),
    size=17,
    logs=("2024-01-31T10:00:00.123456789Z stdout: hi",),
    cause="b" * 32,
)

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
_RESULTS = st.none() | _JSON.map(lambda value: json.dumps(value, separators=(",", ":"), ensure_ascii=False))


def a_record(**members):
    fields = {name: getattr(RECORD, name) for name in Activation.__dataclass_fields__}
    return Activation(**(fields | members))


def documents(shared_dir, name):
    text = (shared_dir / "recordings" / name).read_text()
    return [json.loads(line) for line in text.splitlines()]


@settings(max_examples=100, deadline=None)
@given(
    result=_RESULTS.map(lambda text: text if text is None else text.encode("utf-8", "replace")),
    size=st.none() | st.integers(0, 10**9),
    cause=st.none() | st.text(st.characters(codec="utf-8")),
    logs=st.lists(st.text(st.characters(codec="utf-8")), max_size=3).map(tuple),
    status=st.integers(0, 3),
)
def test_a_record_survives_its_stored_form_with_its_result_untouched(result, size, cause, logs, status):
    record = a_record(result=result, size=size, cause=cause, logs=logs, status=status)
    document, at, length = record.document_json()
    assert json.loads(document)["response"].get("result") == (None if result is None else json.loads(result))
    assert Activation.from_document(document, at, length) == record
    if length:
        assert document[at : at + length] == result


def test_that_a_record_is_not_to_be_stored_outlives_the_journal_and_is_shown_to_nobody():
    record = a_record(unstored=True)
    assert Activation.from_document(*record.document_json()).unstored
    assert b"unstored" not in record.api_json() + a_record().document_json()[0]


def test_a_result_is_spliced_in_and_never_parsed():
    record = a_record(result=b'{"n": 1.00, "n": 2}')
    assert b'"result":{"n": 1.00, "n": 2}' in record.api_json()
    document, at, length = record.document_json()
    assert Activation.from_document(document, at, length).result == b'{"n": 1.00, "n": 2}'


def test_the_api_shows_words_for_the_status_the_store_a_number():
    record = a_record(status=1, result=b'{"error":"no"}', size=14)
    assert json.loads(record.api_json())["response"] == {
        "result": {"error": "no"}, "status": "application error", "success": False, "size": 14,
    }  # fmt: skip
    assert json.loads(record.document_json()[0])["response"] == {"result": {"error": "no"}, "statusCode": 1, "size": 14}


def test_a_record_without_result_or_size_has_no_such_members():
    record = a_record(result=None, size=None)
    assert json.loads(record.response_json()) == {"status": "success", "success": True}
    assert record.document_json()[1:] == (0, 0)


def test_a_summary_takes_its_duration_from_the_clock():
    summary = RECORD.summary()
    assert summary["duration"] == 20
    assert summary["statusCode"] == 0
    assert summary["cause"] == "b" * 32
    assert not summary.keys() & {"logs", "subject", "response"}


def test_a_summary_of_a_trigger_has_no_end():
    assert not a_record(end_ms=None, duration_ms=None).summary().keys() & {"end", "duration", "statusCode"}


def test_a_blocking_reply_has_no_logs_and_a_time_line_is_kept_beside_the_record():
    assert RECORD.without_logs().logs == ()
    record = a_record(dataflow={"queued": 1})
    document, at, length = record.document_json()
    assert Activation.from_document(document, at, length) == record
    assert b"dataflow" not in record.api_json()


def test_annotations_are_found_by_key():
    assert RECORD.annotation("waitTime") == 3
    assert RECORD.annotation("nope") is None


@pytest.mark.parametrize("document", [b"", b"[]", b"{}", b'{"response": 3}', b'{"response": {}}', b"\xff", b"null"])
def test_what_is_no_record_is_refused(document):
    with pytest.raises(ValueError, match=r"."):
        Activation.from_document(document)


def test_records_of_a_real_couchdb_are_read_and_written_alike(shared_dir):
    recorded = documents(shared_dir, "couchdb/activations.jsonl")
    assert recorded
    for document in recorded:
        kept = {key: value for key, value in document.items() if key not in {"_id", "_rev", "entityType", "updated"}}
        record = Activation.from_document(json.dumps(kept).encode())
        written = json.loads(record.document_json()[0])
        if kept["end"] == 0:  # a trigger's
            assert record.end_ms is None
            del kept["end"]
        assert written == kept


def test_records_in_acknowledgements_of_a_real_invoker_are_read_and_written_alike(shared_dir):
    recorded = [line["value"] for line in documents(shared_dir, "kafka/completed0.jsonl")]
    records = [value["response"] for value in recorded if isinstance(value.get("response"), dict)]
    assert records
    for record in records:
        read = Activation.from_document(json.dumps(record).encode())
        assert json.loads(read.document_json()[0]) == record
