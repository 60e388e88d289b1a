"""The same API where no relay is: the runtime of a stock invoker."""

import base64
import json
import socket

import pytest


def test_emitted_values_are_merged_into_the_result(container):
    container.init(
        "from action_runtime import emit\n"
        "def main(args):\n"
        "    emit('one', {'a': 1})\n"
        "    emit('many', 1)\n    emit('many', 'zwei')\n"
        "    return {'own': True}\n"
    )

    assert container.run().body == {"own": True, "one": {"a": 1}, "many": [1, "zwei"]}


def test_a_function_that_only_emits_has_an_object_as_result(container):
    container.init("from action_runtime import emit\ndef main(args):\n    emit('x', 1)\n")

    reply = container.run()

    assert (reply.status, reply.body) == (200, {"x": 1})


def test_a_name_emitted_and_returned_is_an_error(container):
    container.init("from action_runtime import emit\ndef main(args):\n    emit('x', 1)\n    return {'x': 2}\n")

    reply = container.run()

    assert (reply.status, reply.body) == (200, {"error": "output 'x' was both emitted and returned; use two names"})


def test_an_emitted_value_is_a_snapshot(container):
    container.init(
        "from action_runtime import emit\n"
        "def main(args):\n    x = [1]\n    emit('x', x)\n    x.append(2)\n    return {}\n"
    )

    assert container.run().body == {"x": [1]}


def test_bytes_and_arrays_appear_as_data(container):
    container.init(
        "from action_runtime import emit\nimport array\n"
        "def main(args):\n    emit('raw', b'ab')\n    return {'numbers': array.array('d', [1.0, 2.0])}\n"
    )

    body = container.run().body

    assert body["raw"] == {"$data": {"type": "bytes", "base64": base64.b64encode(b"ab").decode()}}
    assert body["numbers"]["$data"]["type"] == "array"
    assert body["numbers"]["$data"]["shape"] == [2]
    assert body["numbers"]["$data"]["dtype"] == "<f8"


def test_data_in_parameters_arrive_as_bytes(container):
    container.init(
        "def main(args):\n    return {'text': bytes(args['x']).decode(), 'kind': type(args['x']).__name__}\n"
    )
    data = {"$data": {"type": "bytes", "base64": base64.b64encode(b"hello").decode()}}

    assert container.run({"x": data}).body == {"text": "hello", "kind": "memoryview"}


def test_files_work_on_parameters_and_results(container):
    container.init(
        "from action_runtime import open_input, open_output\n"
        "def main(args):\n"
        "    with open_output('copy') as out:\n"
        "        out.write(open_input('text').read())\n"
        "    return {'parts': [part for part in open_input('list')]}\n"
    )

    body = container.run({"text": "grüße", "list": [1, "b"]}).body

    assert body["parts"] == [1, "b"]
    assert base64.b64decode(body["copy"]["$data"]["base64"]).decode() == "grüße"


def test_the_context_knows_the_activation(container):
    container.init(
        "from action_runtime import context\n"
        "def main(args):\n"
        "    return {'id': context.activation_id, 'name': context.action_name, 'deadline': context.deadline_ms,\n"
        "            'left': context.remaining_s, 'version': context.action_version}\n"
    )

    body = container.run({}, activation_id="a" * 32, action_name="/guest/x", deadline="1000").body

    assert body == {"id": "a" * 32, "name": "/guest/x", "deadline": 1000, "left": 0.0, "version": ""}


def test_emit_outside_an_activation_says_so(container):
    container.init("from action_runtime import emit\nemit('x', 1)\ndef main(args):\n    return {}\n")

    assert "while no activation runs" in container.logs(sentinels=1)[1]


def test_emitting_to_an_open_file_is_refused(container):
    container.init(
        "from action_runtime import emit, open_output\n"
        "def main(args):\n    open_output('x')\n    emit('x', 1)\n    return {}\n"
    )

    assert "was opened as a file" in container.run().body["error"]


def test_the_platform_s_own_variables_are_hidden(start):
    container = start(SECRET_OF_THE_HOST="1")
    container.init("import os\ndef main(args):\n    return {'names': sorted(os.environ)}\n")

    names = container.run().body["names"]

    assert not [name for name in names if name.startswith(("DATAFLOWER_", "__OW_DATAFLOW", "SECRET", "PYTHONPATH"))]


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"nonsense\r\n\r\n", b"400"),
        (b"POST /run HTTP/1.1\r\nContent-Length: x\r\n\r\n", b"400"),
        (b"POST /run HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", b"411"),
        (b"POST /run HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n", b"413"),
        (b"POST /run HTTP/1.1\r\nX: " + b"x" * 80000 + b"\r\n\r\n", b"431"),
    ],
)
def test_a_request_that_cannot_be_is_refused_and_the_next_is_served(container, request_bytes, status):
    container.init("def main(args):\n    return {}\n")
    with socket.create_connection(("127.0.0.1", container.port), timeout=10) as client:
        client.sendall(request_bytes)
        assert client.recv(64).split(b" ")[1] == status

    assert container.run().status == 200


def test_a_client_that_waits_for_permission_to_send_its_body_gets_it(container):
    container.init("def main(args):\n    return args\n")
    body = json.dumps({"value": {"a": 1}}).encode()
    with socket.create_connection(("127.0.0.1", container.port), timeout=10) as client:
        client.sendall(b"POST /run HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(body))
        assert client.recv(25) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(body)
        assert b'{"a": 1}\n' in client.makefile("rb").read()


def test_a_wrong_setting_is_named_and_ends_the_start(start):
    container = start(DATAFLOWER_RUNTIME_PROT="1", __OW_DATAFLOW_FD="x")

    assert container.process.wait(10) == 2
    error = container.raw_logs()[1]
    assert "DATAFLOWER_RUNTIME_PROT is not a setting" in error
    assert "__OW_DATAFLOW_FD must be a number" in error
