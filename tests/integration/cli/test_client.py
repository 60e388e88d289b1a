import pytest

from controller_ext.cli.client import Client, RequestRefused, RunStillGoing, ServerUnreachable, action_path
from controller_ext.cli.options import Endpoint
from tests.support.activations import a_record
from tests.support.rest_stub import rest_stub

ID = "a" * 32
INVOKE = "POST namespaces/_/actions/hello"
RECORD = f"GET namespaces/_/activations/{ID}"


def client(url: str) -> Client:
    return Client(Endpoint(url, "user:key"))


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("hello", "namespaces/_/actions/hello"),
        ("tools/hello", "namespaces/_/actions/tools/hello"),
        ("/guest/tools/my hello?", "namespaces/guest/actions/tools/my%20hello%3F"),
    ],
)
def test_names_become_paths(name, path):
    assert action_path(name) == path


@pytest.mark.parametrize("status", [200, 502, 500])
def test_invoke_returns_the_record_whether_the_run_went_well_or_not(status):
    record = a_record(ID, "hello", [])
    with rest_stub({INVOKE: (status, record)}) as stub, client(stub.url) as one:
        assert one.invoke("hello", {"a": 1}) == record
    assert stub.asked == [(INVOKE + "?blocking=true", {"a": 1})]


def test_invoke_waits_for_a_run_that_outlasts_the_blocking_wait():
    record = a_record(ID, "hello", [])
    missing = (404, {"error": "The requested resource does not exist.", "code": "x"})
    answers = {INVOKE: (202, {"activationId": ID}), RECORD: [missing, (200, record)]}
    with rest_stub(answers) as stub, client(stub.url) as one:
        assert one.invoke("hello", {}) == record


def test_invoke_says_how_to_follow_a_run_that_does_not_end_in_time():
    with (
        rest_stub({INVOKE: (202, {"activationId": ID})}) as stub,
        client(stub.url) as one,
        pytest.raises(RunStillGoing, match=f"trace --follow {ID}"),
    ):
        one.invoke("hello", {}, wait_s=0)


def test_a_refusal_carries_the_servers_words():
    with (
        rest_stub({INVOKE: (413, {"error": "Request larger than allowed: 2 > 1 bytes.", "code": "x"})}) as stub,
        client(stub.url) as one,
        pytest.raises(RequestRefused, match=r"HTTP 413\): Request larger than allowed"),
    ):
        one.invoke("hello", {})


def test_a_wrong_key_tells_where_to_name_the_right_one():
    with (
        rest_stub({"GET namespaces/_/actions/hello": (401, {"error": "no", "code": "x"})}) as stub,
        client(stub.url) as one,
        pytest.raises(RequestRefused, match="--auth"),
    ):
        one.action("hello")


def test_an_answer_that_is_no_json_asks_for_another_address():
    with (
        rest_stub({"GET namespaces/_/actions/hello": (200, b"<html>")}) as stub,
        client(stub.url) as one,
        pytest.raises(RequestRefused, match="--apihost"),
    ):
        one.action("hello")


def test_a_server_that_is_not_there_tells_how_to_start_one(free_port):
    with (
        client(f"http://127.0.0.1:{free_port}") as one,
        pytest.raises(ServerUnreachable, match="dataflower standalone"),
    ):
        one.action("hello")
