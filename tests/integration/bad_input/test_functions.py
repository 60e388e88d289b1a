"""Functions that misbehave: each ends in its clear error, and nothing of it stays."""

from __future__ import annotations

import itertools
import textwrap
from pathlib import Path
from typing import Any, Final

import pytest

from invoker_ext.relay.session import MAX_RESERVES
from tests.support.deploying import Deployer
from tests.support.processes import alive

MIB: Final = 1024 * 1024
EXITED: Final = "command exited"
NO_OBJECT: Final = "The action did not return a dictionary or array."
MISSING: Final = "The action did not initialize or run as expected. Log data might be missing."
NO_START: Final = "Cannot start action. Check logs for details."
NO_BINARY: Final = "The action failed to generate or locate a binary. See logs for details."
NO_MEMORY: Final = "The action exhausted its memory and was aborted."
ON_SESSION: Final = """
    import os, stat, time
    from action_runtime.wire.codec import encode
    from action_runtime.wire.frames import FrameKind
    def main(args):
        for descriptor in range(3, 1024):
            try:
                if stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                    os.write(descriptor, {written})
            except OSError:
                pass
        time.sleep(args.get('lingers', 5))
        return {{}}
"""
"""Whatever function finds its session's descriptor can write to it."""

_names = itertools.count()


def deploy(live: Deployer, code: str, **limits: int) -> str:
    """Deploy a function under a name of its own; return that."""
    name = f"bad{next(_names)}"
    live.action(name, textwrap.dedent(code), limits=limits)
    return name


def logs(live: Deployer, name: str, **arguments: Any) -> list[str]:
    """Invoke, and return what the record's log lines say, without times."""
    reply = live.call("POST", f"actions/{name}?blocking=true", json=arguments)
    record = live.finished(reply.headers["X-Openwhisk-Activation-Id"])
    return [line[31:] for line in record["logs"]]


# --- ends


@pytest.mark.parametrize(
    "body", ["sys.exit(3)", "os._exit(3)", "os.kill(os.getpid(), 9)", "ctypes.string_at(0)", "os.killpg(0, 15)"]
)
def test_a_function_that_ends_its_process_is_told_so(live: Deployer, body: str):
    name = deploy(live, f"import ctypes, os, sys\ndef main(args):\n    print('before', flush=True)\n    {body}\n")
    assert live.fail(name) == EXITED
    assert logs(live, name)[:2] == ["stdout: before", f"stderr: {MISSING}"]


@pytest.mark.parametrize("line", ["os._exit(1)", "sys.exit(1)", "raise ValueError('not today')"])
def test_code_that_ends_while_it_is_loaded_is_told_so(live: Deployer, line: str):
    name = deploy(live, f"import os, sys\nprint('loading', flush=True)\n{line}\ndef main(args):\n    return args\n")
    assert live.fail(name) == NO_START
    lines = logs(live, name)
    assert lines[0] == "stdout: loading"
    assert lines[-1] == f"stderr: {MISSING}"
    assert ("stderr: ValueError: not today" in lines) == ("raise" in line)


@pytest.mark.parametrize("code", ["def main(:\n", "\0def main(args):\n    return {}\n"])
def test_code_that_is_none_is_told_so(live: Deployer, code: str):
    name = deploy(live, code)
    assert live.fail(name) == NO_BINARY
    assert any("Error" in line for line in logs(live, name))


def test_a_traceback_of_code_that_is_none_shows_nothing_of_the_runtime(live: Deployer):
    assert not any("action_runtime" in line for line in logs(live, deploy(live, "def main(:\n")))


# --- hangs


def test_a_function_that_hangs_ends_at_its_limit_with_all_it_started(live: Deployer, tmp_path: Path):
    code = """
    import os, subprocess, sys, time
    CHILD = "import os, signal, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); os.setsid(); "
    CHILD += "open(sys.argv[1], 'w').write(str(os.getpid())); time.sleep(100)"
    def main(args):
        subprocess.Popen([sys.executable, '-c', CHILD, args['note']])
        time.sleep(100)
    """
    note = tmp_path / "pid"
    assert live.fail(deploy(live, code, timeout=2000), note=str(note)) == (
        "The action exceeded its time limits of 2000 milliseconds."
    )
    assert not alive({int(note.read_text())})


def test_code_that_hangs_while_it_is_loaded_ends_at_its_limit(live: Deployer):
    assert live.fail(deploy(live, "while True:\n    pass\n", timeout=500)) == (
        "The action exceeded its time limits of 500 milliseconds during initialization."
    )


def test_a_function_that_stops_its_process_ends_at_its_limit(live: Deployer):
    code = "import os\ndef main(args):\n    os.kill(os.getpid(), 19)\n"
    assert live.fail(deploy(live, code, timeout=500)) == "The action exceeded its time limits of 500 milliseconds."


def test_a_bomb_of_processes_ends_with_its_function(live: Deployer):
    code = """
    import os, time
    def main(args):
        for _ in range(150):
            if os.fork() == 0:
                os.setsid()
                time.sleep(100)
                os._exit(0)
        time.sleep(100)
    """
    assert live.fail(deploy(live, code, timeout=1500)) == "The action exceeded its time limits of 1500 milliseconds."


def test_a_function_whose_child_returns_too_answers_once(live: Deployer):
    name = deploy(live, "import os\ndef main(args):\n    return {'child': os.fork() == 0}\n")
    assert live.run(name) == {"child": False}
    assert live.run(name) == {"child": False}


# --- what it prints, what it returns


@pytest.mark.parametrize("end", ["\\n", ""])
def test_a_hundred_megabytes_of_log_are_cut_at_the_limit(live: Deployer, end: str):
    code = f"""
    import sys
    def main(args):
        for _ in range(1600):
            sys.stdout.write('x' * 65535 + '{end}')
        return {{'done': True}}
    """
    name = deploy(live, code, logs=1)
    assert live.run(name) == {"done": True}
    lines = logs(live, name)
    assert lines[-1] == "stderr: Logs were truncated because the total bytes size exceeds the limit of 1048576 bytes."
    assert 0.9 * MIB < sum(map(len, lines)) < 1.1 * MIB


@pytest.mark.parametrize("value", ["'text'", "1", "1.5", "True", "float('nan')", "{'deep': [float('inf')]}"])
def test_a_result_that_is_no_object_is_told_so(live: Deployer, value: str):
    assert live.fail(deploy(live, f"def main(args):\n    return {value}\n")) == NO_OBJECT


def test_nothing_returned_is_told_so(live: Deployer):
    sentence = "The action did not produce a valid JSON or JSON Array response: null\n"
    assert live.fail(deploy(live, "def main(args):\n    pass\n")) == sentence


@pytest.mark.parametrize(
    "value", ["{1, 2}", "object()", "{'a': {1}}", "{(1, 2): 3}", "{'a': '\\ud800'}", "{'a': 10**5000}", "deep", "loop"]
)
def test_a_result_that_no_json_can_hold_ends_like_the_process_of_stock_and_says_why(live: Deployer, value: str):
    code = f"""
    deep = loop = {{}}
    for _ in range(100000):
        deep = {{'x': deep}}
    loop['itself'] = loop
    def main(args):
        return {value}
    """
    name = deploy(live, code)
    assert live.fail(name) == EXITED
    assert any("Error: " in line for line in logs(live, name))


@pytest.mark.parametrize("value", ["'\\ud800'", "float('nan')", "{1}", "object()", "10**5000"])
def test_an_emitted_value_that_no_json_can_hold_raises_at_the_call(live: Deployer, value: str):
    code = f"""
    from action_runtime import emit
    def main(args):
        try:
            emit('x', {value})
        except (TypeError, ValueError) as error:
            return {{'said': str(error)}}
    """
    assert live.run(deploy(live, code))["said"]


def test_a_result_above_a_megabyte_is_told_of_and_cut(live: Deployer):
    error = live.fail(deploy(live, "def main(args):\n    return {'x': 'y' * 2_000_000}\n"))
    said, _, kept = error.partition("The truncated response was: ")
    assert said == "The action produced a response that exceeded the allowed length: 2000010 > 1048576 bytes. "
    assert len(kept) == MIB
    assert set(kept[7:]) == {"y"}


@pytest.mark.parametrize("result", ["huge", "{x: huge.x}"])
def test_a_result_of_a_workflow_above_its_bound_is_told_of(live: Deployer, result: str):
    live.action("huge", "def main(args):\n    return {'x': 'y' * args['n']}\n", limits={"memory": 512})
    live.workflow(f"{{dataflow: 1, steps: {{huge: {{action: huge, inputs: $run}}}}, result: {result}}}", name="large")
    error = live.fail("large", n=70 * MIB)
    assert error.startswith("The workflow produced a result that exceeded the allowed length: 7340")
    assert error.endswith(f"> {64 * MIB} bytes. Return less of it, or keep it elsewhere and return where.")
    assert len(live.run("large", n=3 * MIB)["x"]) == 3 * MIB


# --- takes too much, breaks what it lives in


@pytest.mark.parametrize("body", ["bytearray(400 << 20)", "[bytearray(1 << 20) for _ in range(400)]"])
def test_memory_above_the_limit_is_an_error_of_the_function_and_its_container_goes_on(live: Deployer, body: str):
    code = f"def main(args):\n    if args:\n        return {{'n': len({body})}}\n    return {{'fine': True}}\n"
    name = deploy(live, code)
    assert live.fail(name, takes="much") == NO_MEMORY
    assert live.run(name) == {"fine": True}


def test_a_function_may_have_many_threads_within_its_memory(live: Deployer):
    code = """
    import threading
    def main(args):
        over = threading.Event()
        threads = [threading.Thread(target=over.wait) for _ in range(64)]
        for thread in threads:
            thread.start()
        over.set()
        return {'threads': len(threads)}
    """
    assert live.run(deploy(live, code)) == {"threads": 64}


@pytest.mark.parametrize("first", [0, 3])
def test_a_function_that_closes_its_descriptors_still_answers_or_is_told_of(live: Deployer, first: int):
    name = deploy(live, f"import os\ndef main(args):\n    os.closerange({first}, 1024)\n    return {{'fine': True}}\n")
    for _ in range(2):
        reply = live.invoke(name)
        assert (reply.status_code, reply.json()) in [(200, {"fine": True}), (502, {"error": EXITED})]


def test_a_function_that_removes_its_folder_still_answers(live: Deployer):
    code = "import os, shutil\ndef main(args):\n    shutil.rmtree(os.environ['HOME'])\n    return {'fine': True}\n"
    name = deploy(live, code)
    assert live.run(name) == {"fine": True}
    assert live.fail(name).startswith("[Errno 2] No such file or directory")


@pytest.mark.parametrize(
    "written", ["os.urandom(4096)", "b'\\xff' * 64", "b'{}\\r\\n\\r\\n' * 99"], ids=["random", "ones", "text"]
)
def test_bytes_on_the_session_that_are_no_frame_end_the_container_with_that_reason(live: Deployer, written: str):
    error = live.fail(deploy(live, ON_SESSION.format(written=written)))
    assert error.startswith("The container was ended because something in it broke the protocol of its session: ")


@pytest.mark.parametrize(
    ("frame", "why"),
    [
        (
            "encode(FrameKind.EMIT, {'f': 99999, 'o': 'x', 'i': 0, 'how': 'emit', 't': 'json', 'n': 1}, b'1')",
            "a container speaks of a firing that it does not run",
        ),
        (
            "encode(FrameKind.RETURNED, {'f': 99999, 'status': 'ok', 'n': 3, 'counts': {}}, b'{}')",
            "a container speaks of a firing that it does not run",
        ),
        ("encode(FrameKind.WELCOME, {'protocol': 1})", "a container may not send WELCOME now"),
        ("encode(FrameKind.RESERVE, {'r': 7, 'n': -1})", "RESERVE does not say how many bytes it is for"),
        ("encode(FrameKind.EMIT, {'f': 'x'})", "a container speaks of a firing that it does not run"),
    ],
)
def test_a_frame_that_is_not_the_container_s_to_send_ends_it_with_that_reason(live: Deployer, frame: str, why: str):
    assert live.fail(deploy(live, ON_SESSION.format(written=frame))) == (
        f"The container was ended because something in it broke the protocol of its session: {why}."
    )


def test_more_reserves_than_a_container_may_have_end_it(live: Deployer):
    written = (
        f"b''.join(encode(FrameKind.RESERVE, {{'r': r, 'n': 9}}) for r in range(10**6, 10**6 + {MAX_RESERVES + 1}))"
    )
    error = live.fail(deploy(live, ON_SESSION.format(written=written)))
    assert error.endswith(f"broke the protocol of its session: more than {MAX_RESERVES} reserves at once.")


def test_what_an_action_does_to_its_interpreter_stays_in_its_container(live: Deployer):
    code = "import builtins\ndef main(args):\n    builtins.len = builtins.__import__ = None\n    return {}\n"
    reply = live.invoke(deploy(live, code))
    assert (reply.status_code, reply.json()) in [(200, {}), (502, {"error": EXITED})]
    assert live.run(deploy(live, "def main(args):\n    return {'n': len('four')}\n")) == {"n": 4}


def test_an_action_that_ends_the_parent_of_all_containers_is_told_so_and_others_start_again(live: Deployer):
    code = "import os, time\ndef main(args):\n    os.kill(os.getppid(), 9)\n    time.sleep(5)\n"
    assert live.fail(deploy(live, code)) == EXITED
    assert live.run(deploy(live, "def main(args):\n    return {'fine': True}\n")) == {"fine": True}
