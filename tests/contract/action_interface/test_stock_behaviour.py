"""The behaviours that OpenWhisk's own suites assert of Python runtimes."""

import pytest

NOT_AN_OBJECT = "The action did not return a dictionary or array."
NO_BINARY = "The action failed to generate or locate a binary. See logs for details."
NO_START = "Cannot start action. Check logs for details."
ECHO = "def main(args):\n    return args\n"


@pytest.mark.parametrize("result", ["'a string'", "42", "1.5", "True", "float('nan')", "{'a': float('inf')}"])
def test_a_result_that_is_no_object_is_refused(container, result):
    assert container.init(f"def main(args):\n    return {result}\n").status == 200

    reply = container.run()

    assert (reply.status, reply.body) == (502, {"error": NOT_AN_OBJECT})
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
