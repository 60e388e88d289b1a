"""The container's side of PROTOCOL.md: opening, running, returning."""

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from action_runtime.wire.frames import KNEE_BYTES, PROTOCOL_VERSION, FrameKind
from tests.support.relay import sealed

NO_BINARY = "The action failed to generate or locate a binary. See logs for details."


def test_the_container_says_hello_first(relay):
    assert relay.hello.meta["protocol"] == PROTOCOL_VERSION
    assert relay.hello.meta["pid"] == relay.process.pid
    assert relay.hello.meta["python"].startswith(f"{sys.version_info[0]}.{sys.version_info[1]}")


def test_init_and_run_without_sentinels(relay):
    assert relay.init("def main(args):\n    print('hello')\n    return {'got': args}\n") == {"ok": True}

    returned = relay.call({"name": "Ada"})

    assert returned.payload == b'{"got": {"name": "Ada"}}'
    assert returned.meta == {"f": 1, "status": "ok", "n": 25, "counts": {}}
    assert relay.next(FrameKind.DRAINED).meta == {"f": 1, "held_bytes": 0}
    assert relay.close() == ("hello\n", "")


def test_what_a_function_printed_is_out_before_it_returned(relay):
    relay.init("import sys\ndef main(args):\n    sys.stdout.write('no newline')\n    return {}\n")
    relay.call()

    assert os.read(relay.process.stdout.fileno(), 100) == b"no newline"


def test_a_failed_init_says_why_and_may_be_tried_again(relay):
    failed = relay.init("def main(:\n")

    assert failed == {"ok": False, "status": 502, "error": NO_BINARY}
    assert relay.init("def main(args):\n    return {}\n") == {"ok": True}
    assert relay.init("def main(args):\n    return {}\n")["status"] == 403


def test_code_may_come_in_a_segment(relay):
    code = "# " + "x" * 2_000_000 + "\ndef main(args):\n    return {'long': True}\n"
    descriptor = sealed(code.encode())
    relay.send(
        FrameKind.INIT,
        {"name": "t", "main": "main", "binary": False, "env": {}, "n": len(code)},
        descriptors=(descriptor,),
    )
    os.close(descriptor)

    assert relay.next(FrameKind.INITED).meta == {"ok": True}
    assert relay.call().payload == b'{"long": true}'


def test_the_context_is_that_of_the_run(relay):
    relay.init(
        "import os\nfrom action_runtime import context\n"
        "def main(args):\n    return {'id': context.activation_id, 'ns': os.environ['__OW_NAMESPACE']}\n"
    )

    bodies = [relay.call().payload for _ in range(2)]

    assert bodies == [b'{"id": "%032x", "ns": "guest"}' % number for number in (1, 2)]


def test_the_session_is_hidden_from_user_code(relay):
    relay.init("import os\ndef main(args):\n    return {'names': [n for n in os.environ if 'DATAFLOW' in n]}\n")

    assert relay.call().payload == b'{"names": []}'


@pytest.mark.parametrize(
    ("source", "status", "body"),
    [
        ("return {'error': 'sorry'}", "error", b'{"error": "sorry"}'),
        ("return [1, 2]", "ok", b"[1, 2]"),
        ("return None", "null", b"null"),
        ("return 'text'", "invalid", b'{"error":"The action did not return a dictionary or array."}'),
        ("raise ValueError('bad')", "error", b'{"error": "bad"}'),
        ("import sys; sys.exit(3)", "exited", b'{"error":"command exited"}'),
        ("return {'a': {1}}", "exited", b'{"error":"command exited"}'),
    ],
)
def test_the_status_says_what_stock_would_answer(relay, source, status, body):
    relay.init(f"def main(args):\n    {source}\n")

    returned = relay.call()

    assert (returned.meta["status"], returned.payload) == (status, body)
    assert returned.meta["n"] == len(body) + 1


def test_after_an_exit_every_run_is_exited(relay):
    relay.init("import sys\ndef main(args):\n    sys.exit(0)\n")

    assert [relay.call().meta["status"] for _ in range(2)] == ["exited", "exited"]


def test_wanted_fields_leave_before_the_return_and_lists_are_spread_where_items_are_wanted(relay):
    relay.init("def main(args):\n    return {'one': [1, 2], 'items': ['a', 'b'], 'none': [], 'unwanted': 1}\n")

    returned = relay.call({}, {"one": "value", "items": "items", "none": "items", "absent": "value"})

    assert [(e.output, e.index, e.how, e.value) for e in relay.emitted] == [
        ("one", 0, "field", [1, 2]),
        ("items", 0, "spread", "a"),
        ("items", 1, "spread", "b"),
    ]
    assert returned.meta["counts"] == {"one": ["field", 1], "items": ["spread", 2], "none": ["spread", 0]}


def test_fields_of_an_error_result_do_not_leave(relay):
    relay.init("def main(args):\n    return {'error': 'sorry', 'x': 1}\n")

    returned = relay.call({}, {"x": "value"})

    assert (relay.emitted, returned.meta["counts"]) == ([], {})


def test_a_name_emitted_and_returned_is_reported(relay):
    relay.init("from action_runtime import emit\ndef main(args):\n    emit('x', 1)\n    return {'x': 2}\n")

    returned = relay.call({}, {"x": "value"})

    assert [(e.how, e.value) for e in relay.emitted] == [("emit", 1)]
    assert returned.meta["counts"] == {"x": ["emit", 1]}
    assert returned.meta["clash"] == ["x"]
    assert relay.call({}, {"": "value"}).meta["clash"] == ["x"]
    assert "clash" not in relay.call({}, {"y": "value"}).meta


def test_a_large_body_that_is_wanted_is_emitted_whole_before_the_return(relay):
    relay.init("def main(args):\n    return {'text': 'ü' * 20000}\n")

    returned = relay.call({}, {"": "value"})

    assert [(e.output, e.how, e.value) for e in relay.emitted] == [("", "whole", {"text": "ü" * 20000})]
    assert (returned.payload, returned.meta["n"]) == (b"", 20000 + len('{"text": ""}\n'))
    assert "digest" not in returned.meta


def test_a_large_body_that_nobody_wants_stays_and_is_digested(relay):
    import hashlib

    relay.init("def main(args):\n    return {'text': 'x' * 20000}\n")

    returned = relay.call()

    body = '{"text": "%s"}' % ("x" * 20000)
    assert relay.emitted == []
    assert returned.payload == b""
    assert returned.meta["n"] == len(body) + 1
    assert returned.meta["digest"] == f"sha256-{hashlib.sha256(body.encode()).hexdigest()}"


@pytest.mark.parametrize("rest", ["", ", 'rest': 1, 'more': 'x'"])
def test_the_size_of_a_body_that_was_never_built_is_exact(relay, rest):
    relay.init(
        "import array, json\n"
        "def result():\n"
        f"    return {{'big': bytes(30001), 'list': ['a', 'ü' * 9], 'numbers': array.array('d', [1.5]){rest}}}\n"
        "def main(args):\n    return result()\n"
    )

    measured = relay.call({}, {"big": "value", "list": "items", "numbers": "value"})
    built = relay.call({}, {"": "value"})

    assert "digest" in measured.meta
    assert measured.meta["n"] == built.meta["n"]


def test_emitted_values_are_merged_into_the_whole_result_if_that_is_wanted(relay):
    relay.init("from action_runtime import emit\ndef main(args):\n    emit('x', 1)\n    return {'y': 2}\n")

    assert relay.call({}, {"": "value"}).payload == b'{"y": 2, "x": 1}'
    assert relay.call({}, {"x": "value"}).payload == b'{"y": 2}'


def test_a_function_that_emits_and_returns_nothing_is_ok(relay):
    relay.init("from action_runtime import emit\ndef main(args):\n    emit('x', 1)\n")

    returned = relay.call({}, {"x": "value"})

    assert (returned.meta["status"], returned.payload) == ("ok", b"{}")


def test_an_async_function_may_emit(relay):
    relay.init(
        "import asyncio\nfrom action_runtime import emit\n"
        "async def main(args):\n    emit('x', 1)\n    await asyncio.sleep(0)\n    emit('x', 2)\n    return {}\n"
    )

    assert relay.call({}, {"x": "value"}).meta["counts"] == {"x": ["emit", 2]}


def test_the_process_ends_with_the_session_while_user_code_computes(relay, tmp_path):
    mark = tmp_path / "started"
    relay.init(f"def main(args):\n    open({str(mark)!r}, 'w').close()\n    while True: pass\n")
    relay.run()
    deadline = time.monotonic() + 10
    while not mark.exists():
        assert time.monotonic() < deadline
    relay.socket.close()

    assert relay.process.wait(timeout=10) == 0


def test_the_process_ends_with_an_idle_session_and_leaves_no_file(open_relay, tmp_path):
    relay = open_relay(env={"TMPDIR": str(tmp_path)})
    relay.init("def main(args):\n    return {}\n")
    relay.call()
    assert len(list(tmp_path.iterdir())) == 1
    relay.socket.close()

    assert relay.process.wait(timeout=10) == 0
    assert list(tmp_path.iterdir()) == []


def test_the_process_ends_on_sigterm_and_leaves_no_file(open_relay, tmp_path):
    relay = open_relay(env={"TMPDIR": str(tmp_path)})
    relay.init("def main(args):\n    return {}\n")
    relay.process.send_signal(signal.SIGTERM)

    assert relay.process.wait(timeout=10) == 128 + signal.SIGTERM
    assert list(tmp_path.iterdir()) == []


def test_bytes_that_are_no_frame_end_the_process_with_a_message(relay):
    relay.socket.sendall(b"\xff" * 64)

    assert relay.process.wait(timeout=10) == 1
    assert "frame" in relay.process.stderr.read().decode()


def test_a_relay_of_a_distant_version_is_refused(open_relay, monkeypatch):
    monkeypatch.setattr("tests.support.relay.PROTOCOL_VERSION", 7)
    relay = open_relay()

    assert relay.process.wait(timeout=10) == 1
    assert "update the older one" in relay.process.stderr.read().decode()


def test_child_processes_of_user_code_do_not_inherit_the_session(relay):
    relay.init(
        "import os, subprocess, sys\n"
        "def main(args):\n"
        "    out = subprocess.run([sys.executable, '-c', 'import os; print(len(os.listdir(\"/proc/self/fd\")))'],\n"
        "                         capture_output=True, close_fds=False)\n"
        "    return {'open': int(out.stdout)}\n"
    )

    assert relay.call().payload == b'{"open": 4}'


def test_one_thread_beside_the_main_one(relay):
    relay.init("def main(args):\n    return {}\n")
    relay.call()

    assert len(list(Path(f"/proc/{relay.process.pid}/task").iterdir())) == 2


def test_a_body_of_just_the_knee_does_not_go_inline(relay):
    relay.init("def main(args):\n    return {'x': 'a' * args['n']}\n")
    frame = len('{"x": ""}')

    below = relay.call({"n": KNEE_BYTES - frame - 1}, {"": "value"})
    at = relay.call({"n": KNEE_BYTES - frame}, {"": "value"})

    assert (len(below.payload), len(at.payload)) == (KNEE_BYTES - 1, 0)
    assert [e.head.size_bytes for e in relay.emitted] == [KNEE_BYTES]


@pytest.mark.parametrize(
    "source",
    [
        "import sys; sys.stdout.close()",
        "import sys; sys.stdout = sys.stderr = None",
        "import os; os.closerange(1, 3)",
        "import os; os.chdir('/')",
        "import os; os.environ.clear()",
    ],
)
def test_what_user_code_does_to_its_process_does_not_end_the_session(relay, source):
    relay.init(f"def main(args):\n    {source}\n    return {{}}\n")

    assert [relay.call().meta["status"] for _ in range(2)] == ["ok", "ok"]


@pytest.mark.parametrize(
    ("source", "status"),
    [
        ("class E(Exception):\n    def __str__(self): raise ValueError\ndef main(args): raise E", "error"),
        ("class D(dict):\n    def items(self): raise OSError\ndef main(args): return D(a=1)", "exited"),
        ("def main(args): raise KeyboardInterrupt", "exited"),
        ("def main(args): return {'a': '\\ud800'}", "exited"),
        ("def main(args):\n    x = []\n    x.append(x)\n    return {'x': x}", "exited"),
    ],
)
def test_results_that_fight_back_are_answered(relay, source, status):
    relay.init(f"{source}\n")

    assert relay.call().meta["status"] == status


def test_a_forked_child_that_returns_has_no_part_in_the_session(open_relay, tmp_path):
    relay = open_relay(env={"TMPDIR": str(tmp_path)})
    relay.init(
        "import os\n"
        "def main(args):\n"
        "    child = os.fork()\n"
        "    if child: return {'status': os.waitpid(child, 0)[1]}\n"
        "    return {'child': True}\n"
    )

    assert [relay.call().payload for _ in range(2)] == [b'{"status": 0}'] * 2
    assert len(list(tmp_path.iterdir())) == 1
