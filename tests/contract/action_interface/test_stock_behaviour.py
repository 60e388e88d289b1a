"""The behaviours that OpenWhisk's own suites assert of every runtime, and of Python runtimes."""

import json

import pytest

NOT_AN_OBJECT = "The action did not return a dictionary or array."
NO_BINARY = "The action failed to generate or locate a binary. See logs for details."
NO_START = "Cannot start action. Check logs for details."
ECHO = "def main(args):\n    return args\n"


@pytest.mark.parametrize("value", [{"code": ""}, {}])
def test_init_without_code_is_refused(container, value):
    reply = container.post("/init", json.dumps({"value": value}).encode())

    assert reply.status == 403
    assert reply.body == {"error": "Missing main/no code to execute."}
    assert container.logs(sentinels=0) == ("", "")


def test_init_with_an_empty_body_object_is_refused(container):
    reply = container.post("/init", b"{}")

    assert (reply.status, reply.body) == (403, {"error": "Missing main/no code to execute."})


def test_a_good_init_says_ok_and_leaves_the_log_open(container):
    reply = container.init(ECHO)

    assert (reply.status, reply.body) == (200, {"ok": True})
    assert container.logs(sentinels=0) == ("", "")


@pytest.mark.parametrize("result", ["'a string'", "42", "1.5", "True", "float('nan')", "{'a': float('inf')}"])
def test_a_result_that_is_no_object_is_refused(container, result):
    assert container.init(f"def main(args):\n    return {result}\n").status == 200

    reply = container.run()

    assert (reply.status, reply.body) == (502, {"error": NOT_AN_OBJECT})
    assert container.logs(sentinels=1) == ("", "")


def test_a_second_init_is_refused_without_a_sentinel(container):
    assert container.init(ECHO).status == 200

    reply = container.init(ECHO)

    assert (reply.status, reply.body) == (403, {"error": "Cannot initialize the action more than once."})
    out, err = container.logs(sentinels=0)
    assert "Cannot initialize the action more than once." in out + err


def test_the_entry_point_may_have_another_name(container):
    assert container.init("def niam(args):\n    return args\n", main="niam").status == 200

    assert container.run({"payload": "x"}).body == {"payload": "x"}
    assert container.logs(sentinels=1) == ("", "")


def test_arguments_come_back_equal_and_the_log_holds_what_was_printed(container):
    container.init(
        "import sys\n"
        "def main(args):\n"
        "    print('hello stdout')\n"
        "    print('hello stderr', file=sys.stderr)\n"
        "    return args\n"
    )
    arguments = [
        {"string": "hello"},
        {"string": "❄ ☃ ❄"},
        {"numbers": [1, -2, 3.5, 1e300, 12345678901234567890]},
        {"object": {"nested": {"list": [True, False, None, {}]}}},
    ]

    replies = [container.run(argument) for argument in arguments]

    assert [(reply.status, reply.body) for reply in replies] == [(200, argument) for argument in arguments]
    assert container.logs(sentinels=4) == ("hello stdout\n" * 4, "hello stderr\n" * 4)


def test_unicode_survives_in_source_input_log_and_result(container):
    container.init(
        "def main(args):\n"
        "    sep = args['delimiter']\n"
        "    text = sep + ' ☃ ' + sep\n"
        "    print(text)\n"
        "    return {'winter': text}\n"
    )

    reply = container.run({"delimiter": "❄"})

    assert reply.body == {"winter": "❄ ☃ ❄"}
    assert "☃".encode() in reply.raw
    assert container.logs(sentinels=1) == ("❄ ☃ ❄\n", "")


def test_init_variables_are_visible_at_import(container):
    container.init(
        "import os\nSEEN = {k: os.environ[k] for k in ('SOME_VAR', 'ANOTHER_VAR', 'N')}\nprint(SEEN['SOME_VAR'])\n"
        "def main(args):\n    return SEEN\n",
        env={"SOME_VAR": "xyz", "ANOTHER_VAR": "", "N": {"a": 1}},
    )

    assert container.run().body == {"SOME_VAR": "xyz", "ANOTHER_VAR": "", "N": '{"a":1}'}
    assert container.logs(sentinels=1) == ("xyz\n", "")


def test_each_run_exports_its_context(start):
    container = start(__OW_API_HOST="https://api")
    container.init(
        "import os\ndef main(args):\n"
        "    return {k: os.environ['__OW_' + k.upper()] for k in ('api_host', 'api_key', 'namespace', 'action_name',"
        " 'action_version', 'activation_id', 'deadline')}\n"
    )
    members = {
        "api_key": "uuid:key", "namespace": "guest", "action_name": "/guest/demo/hello", "action_version": "0.0.3",
        "activation_id": "44794bd6aab74415b4e42a308d880727", "deadline": "1760000060262",
    }  # fmt: skip

    assert container.run(**members).body == {"api_host": "https://api", **members}


def test_a_large_argument_comes_back_intact(container):
    container.init(ECHO)
    argument = {"text": "x" * (1024 * 1024)}

    reply = container.run(argument)

    assert reply.body == argument
    assert container.logs(sentinels=1) == ("", "")


def test_an_exception_is_an_error_result_with_its_traceback_in_the_log(container):
    container.init("def main(args):\n    return {'a': 1 / 0}\n")

    reply = container.run()

    assert (reply.status, reply.body) == (200, {"error": "division by zero"})
    out, err = container.logs(sentinels=1)
    assert out == ""
    assert "Traceback" in err
    assert "main__.py" in err
    assert "action_runtime" not in err


def test_a_syntax_error_fails_the_init(container):
    reply = container.init("def main(args):\n  return {}\n    x = 1\n")

    assert (reply.status, reply.body) == (502, {"error": NO_BINARY})
    out, err = container.logs(sentinels=1)
    assert out == ""
    assert "unexpected indent" in err


def test_an_error_result_is_a_good_reply(container):
    container.init("def main(args):\n    return {'error': 'sorry'}\n")

    reply = container.run()

    assert (reply.status, reply.body) == (200, {"error": "sorry"})
    assert container.logs(sentinels=1) == ("", "")


def test_an_unknown_import_fails_the_init(container):
    reply = container.init("import iDoNotExist\ndef main(args):\n    return {}\n")

    assert (reply.status, reply.body) == (502, {"error": NO_START})
    out, err = container.logs(sentinels=1)
    assert out == ""
    assert "Traceback" in err
    assert "Command exited abruptly during initialization." in err


def test_a_missing_entry_point_fails_the_init(container):
    reply = container.init("def niam(args):\n    return {}\n")

    assert (reply.status, reply.body) == (502, {"error": NO_START})
    assert "cannot import name 'main'" in container.logs(sentinels=1)[1]


def test_the_interpreter_is_python(container):
    container.init("import sys\ndef main(args):\n    return {'executable': sys.executable}\n")

    assert "python" in container.run().body["executable"]


def test_arrays_go_in_and_out(container):
    container.init("def main(args):\n    return args + ['c']\n")

    reply = container.run(["a", "b"])

    assert (reply.status, reply.body) == (200, ["a", "b", "c"])


def test_exit_in_a_run_is_answered_and_ends_the_action(container):
    container.init("import sys\ndef main(args):\n    sys.exit(1)\n")

    reply, later = container.run(), container.run()

    assert (reply.status, reply.body) == (400, {"error": "command exited"})
    assert (later.status, later.body) == (500, {"error": "no action defined yet"})
    assert container.logs(sentinels=1) == ("", "")


def test_exit_at_import_fails_the_init(container):
    reply = container.init("import sys\nsys.exit(1)\n")

    assert (reply.status, reply.body) == (502, {"error": NO_START})
    assert "Command exited abruptly during initialization." in container.logs(sentinels=1)[1]


def test_returning_nothing_is_null(container):
    container.init("def main(args):\n    pass\n")

    reply = container.run()

    assert (reply.status, reply.raw) == (200, b"null\n")
    assert container.logs(sentinels=1) == ("", "")


def test_a_result_that_json_cannot_hold_ends_the_action(container):
    container.init("def main(args):\n    return {'a': {1, 2}}\n")

    reply, later = container.run(), container.run()

    assert (reply.status, reply.body) == (400, {"error": "command exited"})
    assert later.status == 500
    assert "not JSON serializable" in container.logs(sentinels=1)[1]


@pytest.mark.parametrize("value", [None, 7])
def test_a_context_member_that_is_no_text_ends_the_action(container, value):
    container.init(ECHO)

    reply = container.run({}, deadline=value)

    assert (reply.status, reply.body) == (400, {"error": "command exited"})
    assert "TypeError" in container.logs(sentinels=1)[1]


def test_a_run_without_a_value_has_an_empty_argument(container):
    container.init("def main(args):\n    return {'args': args}\n")

    assert container.post("/run", b"{}").body == {"args": {}}


def test_a_run_before_the_init_is_refused(container):
    reply = container.run()

    assert (reply.status, reply.body) == (500, {"error": "no action defined yet"})
    assert container.logs(sentinels=0) == ("", "")


def test_a_body_that_is_not_json_is_refused(container):
    reply = container.post("/init", b"XYZ")

    text = "Error unmarshaling request: invalid character 'X' looking for beginning of value"
    assert (reply.status, reply.body) == (400, {"error": text})
    assert container.logs(sentinels=0) == ("", "")


def test_broken_base64_is_refused(container):
    reply = container.init("!!!!", binary=True)

    text = "cannot decode the request: illegal base64 data at input byte 0"
    assert (reply.status, reply.body) == (400, {"error": text})
    assert container.logs(sentinels=0) == ("", "")


def test_source_that_starts_like_a_script_has_no_execution_environment(container):
    reply = container.init("#!/usr/bin/env python\ndef main(args):\n    return {}\n")

    assert (reply.status, reply.body) == (502, {"error": NO_START})
    assert "exec.env" in container.logs(sentinels=1)[1]


def test_a_failed_init_may_be_tried_again(container):
    assert container.init("import iDoNotExist\n", env={"STALE": "1"}).status == 502
    assert container.init("import os\ndef main(args):\n    return {'stale': 'STALE' in os.environ}\n").status == 200

    assert container.run().body == {"stale": False}


def test_other_paths_are_answered_with_nothing(container):
    reply = container.post("/health", b"")

    assert (reply.status, reply.raw) == (200, b"")


def test_async_functions_are_awaited_on_one_loop_and_their_left_tasks_end(container):
    container.init(
        "import asyncio\nleft = []\nloops = set()\n"
        "async def forever():\n"
        "    try:\n        await asyncio.Event().wait()\n"
        "    except asyncio.CancelledError:\n        left.append(1)\n        raise\n"
        "async def main(args):\n"
        "    loops.add(id(asyncio.get_running_loop()))\n"
        "    task = asyncio.create_task(forever())\n    await asyncio.sleep(0)\n"
        "    return {'ended': len(left), 'loops': len(loops)}\n"
    )

    assert [container.run().body for _ in range(2)] == [{"ended": 0, "loops": 1}, {"ended": 1, "loops": 1}]


def test_printing_at_import_belongs_to_the_first_run(container):
    container.init("print('importing')\ndef main(args):\n    return {}\n")
    container.run()

    out, _ = container.raw_logs()

    assert out.startswith("importing\n")
    assert container.logs(sentinels=1)[0] == "importing\n"


def test_output_of_child_processes_and_descriptors_comes_before_the_sentinel(container):
    container.init(
        "import os\ndef main(args):\n    os.system('echo child')\n    os.write(1, b'raw\\n')\n    return {}\n"
    )
    container.run()

    assert container.raw_logs()[0].splitlines()[:2] == ["child", "raw"]


def test_parallel_runs_are_answered_one_after_the_other(container):
    from concurrent.futures import ThreadPoolExecutor

    container.init("def main(args):\n    return args\n")
    with ThreadPoolExecutor(3) as pool:
        replies = list(pool.map(lambda i: container.run({"i": i}), range(3)))

    assert [reply.body for reply in replies] == [{"i": 0}, {"i": 1}, {"i": 2}]
    container.logs(sentinels=3)


def test_a_crash_of_the_process_closes_the_connection(container):
    import http.client

    container.init("import os\ndef main(args):\n    os._exit(3)\n")

    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        container.run()
