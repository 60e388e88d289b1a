"""The behaviours that OpenWhisk's own suites assert of every runtime."""

import http.client
import json

import pytest


@pytest.mark.parametrize("body", [{"value": {"code": ""}}, {"value": {}}, {}])
def test_init_without_code_is_refused(any_container, body):
    reply = any_container.post("/init", json.dumps(body).encode())

    assert reply.status == 403
    assert reply.body == {"error": "Missing main/no code to execute."}
    assert any_container.logs(sentinels=0) == ("", "")


def test_a_good_init_says_ok_and_leaves_the_log_open(any_container):
    reply = any_container.load("echo")

    assert (reply.status, reply.body) == (200, json.loads(any_container.dialect.ok))
    assert any_container.logs(sentinels=0) == ("", "")


@pytest.mark.parametrize("code", ["text", "number"])
def test_a_result_that_is_no_object_is_refused(any_container, code):
    assert any_container.load(code).status == 200

    reply = any_container.run()

    assert (reply.status, reply.body) == (502, {"error": any_container.dialect.not_an_object})
    assert any_container.logs(sentinels=1)[0] == ""


def test_a_second_init_is_refused_without_a_sentinel(any_container):
    assert any_container.load("echo").status == 200

    reply = any_container.load("echo")

    assert (reply.status, reply.body) == (403, {"error": "Cannot initialize the action more than once."})
    out, err = any_container.logs(sentinels=0)
    assert "Cannot initialize the action more than once." in out + err


def test_code_that_cannot_be_read_fails_the_init(any_container):
    reply = any_container.load("broken")

    assert reply.status == 502
    out, err = any_container.logs(sentinels=1)
    assert out == ""
    assert any_container.dialect.broken_log in err


def test_the_entry_point_may_have_another_name(any_container):
    assert any_container.load("niam", main="niam").status == 200

    assert any_container.run({"payload": "x"}).body == {"payload": "x"}
    assert any_container.logs(sentinels=1) == ("", "")


def test_arguments_come_back_equal_and_the_log_holds_what_was_printed(any_container):
    any_container.load("print")
    arguments = [
        {"string": "hello"},
        {"string": "❄ ☃ ❄"},
        {"numbers": [1, -2, 3.5, 1e300]},
        {"object": {"nested": {"list": [True, False, None, {}]}}},
    ]

    replies = [any_container.run(argument) for argument in arguments]

    assert [(reply.status, reply.body) for reply in replies] == [(200, argument) for argument in arguments]
    assert any_container.logs(sentinels=4) == ("hello stdout\n" * 4, "hello stderr\n" * 4)


def test_unicode_survives_in_source_input_log_and_result(any_container):
    any_container.load("snow")

    reply = any_container.run({"delimiter": "❄"})

    assert reply.body == {"winter": "❄ ☃ ❄"}
    assert "☃".encode() in reply.raw
    assert any_container.logs(sentinels=1) == ("❄ ☃ ❄\n", "")


def test_init_variables_are_visible_at_import(any_container):
    any_container.load("environment", env={"SOME_VAR": "xyz", "ANOTHER_VAR": "", "N": {"a": 1}})

    assert any_container.run().body == {"SOME_VAR": "xyz", "ANOTHER_VAR": "", "N": '{"a":1}'}
    assert any_container.logs(sentinels=1) == ("xyz\n", "")


def test_each_run_exports_its_context(start_any):
    container = start_any(__OW_API_HOST="https://api")
    container.load("context")
    members = {
        "api_key": "uuid:key", "namespace": "guest", "action_name": "/guest/demo/hello", "action_version": "0.0.3",
        "activation_id": "44794bd6aab74415b4e42a308d880727", "deadline": "1760000060262",
    }  # fmt: skip
    names = ["api_host", *members]

    assert container.run({"names": names}, **members).body == {"api_host": "https://api", **members}
    later = {**members, "activation_id": "0" * 32}
    assert container.run({"names": ["activation_id"]}, **later).body == {"activation_id": "0" * 32}


def test_a_large_argument_comes_back_intact(any_container):
    any_container.load("echo")
    argument = {"text": "x" * (1024 * 1024)}

    reply = any_container.run(argument)

    assert reply.body == argument
    assert any_container.logs(sentinels=1) == ("", "")


def test_an_error_result_is_a_good_reply(any_container):
    any_container.load("error")

    reply = any_container.run()

    assert (reply.status, reply.body) == (200, {"error": "sorry"})
    assert any_container.logs(sentinels=1) == ("", "")


def test_arrays_go_in_and_out(any_container):
    any_container.load("append")

    reply = any_container.run(["a", "b"])

    assert (reply.status, reply.body) == (200, ["a", "b", "c"])


def test_a_run_without_a_value_has_an_empty_argument(any_container):
    any_container.load("wrap")

    assert any_container.post("/run", b"{}").body == {"args": {}}


def test_printing_at_import_belongs_to_the_first_run(any_container):
    any_container.load("import")
    any_container.run()

    assert any_container.raw_logs()[0].startswith("importing\n")
    assert any_container.logs(sentinels=1)[0] == "importing\n"


def test_output_of_child_processes_comes_before_the_sentinel(any_container):
    any_container.load("child")
    any_container.run()

    assert sorted(any_container.raw_logs()[0].splitlines()[:2]) == ["child", "own"]


def test_a_crash_of_the_process_closes_the_connection(any_container):
    any_container.load("crash")

    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        any_container.run()
