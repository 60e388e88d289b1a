"""Steps in stock runtimes, against a plain HTTP server that stands in for one."""

import asyncio
import json
import os
import socket
import subprocess
import sys
import threading
from contextlib import asynccontextmanager

import pytest

from action_runtime.wire.values import Head, Media
from invoker_ext.containers import stock
from invoker_ext.containers.driver import Driver, Exit, Handle, UnknownKind
from invoker_ext.containers.job import Failure
from invoker_ext.dataflow.commands import Bound, Constant, Streamed
from invoker_ext.relay.results import split_json
from tests.support.containers import a_call, a_fleet, a_job
from tests.support.waiting import until

SERVER = """
import json, os, sys, threading, time
from http.server import BaseHTTPRequestHandler, HTTPServer
SENTINEL = "XXX_THE_END_OF_A_WHISK_ACTIVATION_XXX"

class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/init":
            self.server.code = body["value"].get("code", "")
            status, reply = (502, {"error": "no such code"}) if self.server.code == "bad" else (200, {"ok": True})
        else:
            print("got", sorted(body))
            if self.server.code == "late":
                threading.Thread(target=self.end_log, args=(body["value"]["when"],)).start()
            else:
                print(SENTINEL, flush=True)
                print(SENTINEL, flush=True, file=sys.stderr)
            status, reply = self.answer(body["value"])
        text = (reply if isinstance(reply, str) else json.dumps(reply)).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def end_log(self, when):
        open(when).read()
        print("late", flush=True)
        print(SENTINEL, flush=True)
        print(SENTINEL, flush=True, file=sys.stderr)

    def answer(self, value):
        match self.server.code:
            case "echo" | "late": return 200, value
            case "text": return 502, {"error": "The action did not return a dictionary."}
            case "null": return 200, None
            case "exit": return 400, {"error": "command exited"}
            case "die": sys.exit(1)
            case "hang": time.sleep(60)

    def log_message(self, *_): pass

class Server(HTTPServer):
    def handle_error(self, *_):
        os._exit(3)

time.sleep(0.15)
Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


class StandIn(Handle):
    def __init__(self, port, gone):
        out_reading, out_writing = os.pipe()
        err_reading, err_writing = os.pipe()
        self.process = subprocess.Popen(
            [sys.executable, "-c", SERVER, str(port)], stdout=out_writing, stderr=err_writing
        )
        self._port, self._gone, self._ended = port, gone, False
        self._outputs = (out_reading, err_reading)
        for one in (out_writing, err_writing):
            os.close(one)
        for one in self._outputs:
            os.set_blocking(one, False)

    @property
    def session(self):
        return None

    @property
    def address(self):
        return "127.0.0.1", self._port

    @property
    def outputs(self):
        return self._outputs

    def kill(self, *, ending=False):
        if not self._ended:
            self._ended = True
            self.process.kill()
            self.process.wait()
            asyncio.get_running_loop().call_soon(self._gone, Exit())


class StandInDriver(Driver):
    def __init__(self):
        self.handles = []

    async def open(self):
        pass

    @property
    def kinds(self):
        return ("nodejs:20",)

    def runtime_of(self, kind, image=None):
        if kind not in self.kinds:
            raise UnknownKind(kind, self.kinds)
        return kind

    def start(self, spec, gone):
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
        self.handles.append(StandIn(port, gone))
        return self.handles[-1]

    async def close(self):
        for handle in self.handles:
            handle.kill()


@asynccontextmanager
async def stock_fleet(tmp_path):
    async with a_fleet(tmp_path, driver=StandInDriver()) as pair:
        yield pair


def stock_job(code, **kwargs):
    return a_job(code, call=a_call(kind="nodejs:20"), **kwargs)


async def run(fleet, code, **kwargs):
    job, heard = stock_job(code, **kwargs)
    fleet.submit(job)
    return await heard.end()


async def test_the_result_of_a_stock_runtime_becomes_outputs(tmp_path, no_leaks):
    arguments = '{"words": ["a", "b"], "n": 1, "unwanted": 0}'
    async with stock_fleet(tmp_path) as (fleet, _):
        heard = await run(fleet, "echo", arguments=arguments, wants={"words": "items", "n": "value"})
    assert heard.heard == ["began", "emitted", "emitted", "emitted", "returned", "logs", "drained"]
    assert heard.outputs == [
        ("words", 0, "spread", b'"a"'),
        ("words", 1, "spread", b'"b"'),
        ("n", 0, "field", b"1"),
    ]
    assert heard.report.status == "ok"
    assert heard.report.counts == {"words": ("spread", 2), "n": ("field", 1), "unwanted": ("field", 1)}
    assert heard.text == [
        "stdout: got ['action_name', 'activation_id', 'dataflow_url', 'deadline', 'namespace', 'value']"
    ]


async def test_bytes_and_streams_reach_a_stock_runtime_as_json(tmp_path):
    async with stock_fleet(tmp_path) as (fleet, sink):
        data = sink.put_bytes(Head(Media.BYTES, 3), b"abc")
        inputs = [Bound("", Constant('{"a": 1}')), Bound("data", data), Bound("parts", Streamed())]
        job, heard = stock_job("echo", inputs=inputs)
        fleet.submit(job)
        for text in (b"[1]", b"[2]"):
            part = sink.put_inline(Head(Media.JSON, 3), text)
            fleet.feed(job, "parts", part)
            part.release()
        fleet.feed_end(job, "parts", None)
        await heard.end()
        data.release()
    assert json.loads(heard.report.body) == {
        "a": 1,
        "data": {"$data": {"type": "bytes", "base64": "YWJj"}},
        "parts": [[1], [2]],
    }


async def test_what_a_stock_runtime_cannot_answer_has_its_status(tmp_path):
    async with stock_fleet(tmp_path) as (fleet, _):
        invalid = await run(fleet, "text")
        null = await run(fleet, "null")
        exited = await run(fleet, "exit")
        error = await run(fleet, "echo", arguments='{"error": "sorry"}')
    assert [one.report.status for one in (invalid, null, exited, error)] == ["invalid", "null", "exited", "error"]
    assert len({one.container for one in (invalid, null, exited, error)}) == 4


@pytest.mark.parametrize("streamed", [False, True])
async def test_inputs_that_cannot_be_read_fail_their_job_and_leave_the_container(tmp_path, monkeypatch, streamed):
    def lost(inputs):
        raise OSError(5, "Input/output error")

    async with stock_fleet(tmp_path) as (fleet, _):
        first = await run(fleet, "echo")
        inputs = [Bound("", Constant("{}")), *([Bound("parts", Streamed())] if streamed else [])]
        with monkeypatch.context() as patched:
            patched.setattr(stock, "object_json", lost)
            job, heard = stock_job("echo", inputs=inputs)
            fleet.submit(job)
            fleet.feed_end(job, "parts", None)
            await heard.end()
        last = await run(fleet, "echo")
    assert (heard.failure, heard.detail) == (Failure.NOT_STARTED, "[Errno 5] Input/output error")
    assert first.container == last.container


async def test_a_stock_runtime_that_refuses_dies_or_hangs_fails_the_job(tmp_path):
    async with stock_fleet(tmp_path) as (fleet, _):
        refused = await run(fleet, "bad")
        died = await run(fleet, "die")
        hung = await run(fleet, "hang", timeout_s=0.5)
    assert (refused.failure, refused.detail) == (Failure.INIT_FAILED, "no such code")
    assert (died.failure, died.began_before) == (Failure.RUN_DIED, True)
    assert hung.failure is Failure.RUN_TIMED_OUT


async def test_a_large_reply_is_read_in_a_thread_while_others_go_on(tmp_path, monkeypatch):
    readers = []

    def reading(text, wants):
        readers.append(threading.current_thread())
        return split_json(text, wants)

    monkeypatch.setattr(stock, "split_json", reading)
    arguments = json.dumps({"words": ["x" * stock.THREAD_BYTES, "y"]})
    async with stock_fleet(tmp_path) as (fleet, _):
        large = await run(fleet, "echo", arguments=arguments, wants={"words": "items"})
        small = await run(fleet, "echo", arguments='{"words": []}', wants={"words": "items"})

    assert [len(text) for _, _, _, text in large.outputs] == [stock.THREAD_BYTES + 2, 3]
    assert small.report.status == "ok"
    assert [one is threading.main_thread() for one in readers] == [False, True]


@pytest.fixture
def when(tmp_path):
    """A pipe; what is written into it has the log of code `late` end."""
    path = tmp_path / "when"
    os.mkfifo(path)
    return path


async def test_the_result_is_told_before_the_log_is_whole(tmp_path, when):
    async with stock_fleet(tmp_path) as (fleet, _):
        given = json.dumps({"when": str(when), "more": "x" * 40_000})
        job, heard = stock_job("late", inputs=[Bound("", Constant(given))])
        fleet.submit(job)
        await until(lambda: heard.answer is not None)
        assert json.loads(heard.answer.body) == json.loads(given)
        assert "returned" not in heard.heard
        assert heard.lines == []
        await asyncio.to_thread(when.write_text, "go on")
        await heard.end()
        assert [line.partition("stdout: ")[2] for line in heard.lines][1:] == ["late"]
        assert heard.times["returned"] > heard.times["answered"]


async def test_a_log_that_is_whole_at_the_return_comes_with_it(tmp_path):
    async with stock_fleet(tmp_path) as (fleet, _):
        heard = await run(fleet, "echo")
        assert (heard.answer, heard.heard[-3:]) == (None, ["returned", "logs", "drained"])
