"""The local door: functions of node hand outputs over, and read inputs, by `__OW_DATAFLOW_URL`."""

import asyncio
import contextlib
import json
from functools import partial

import pytest

from action_runtime.wire.values import Head, Media
from invoker_ext.containers.job import Failure
from invoker_ext.containers.local import visit
from invoker_ext.containers.local.visit import UNTOLD_BYTES
from invoker_ext.dataflow.commands import Bound, Constant, Streamed
from invoker_ext.sink.errors import SinkFull
from tests.conftest import needs
from tests.support.containers import MIB, a_call, a_fleet, a_job
from tests.support.dialects import NODE
from tests.support.waiting import until

CLIENT = """
const url = () => process.env.__OW_DATAFLOW_URL;
async function post(path, body, type, more) {
  const headers = type ? {'Content-Type': type} : {};
  const reply = await fetch(`${url()}/${path}`, {method: 'POST', body, headers, ...more});
  return [reply.status, reply.status === 204 ? '' : (await reply.json()).error];
}
const JSON_TYPE = 'application/json', BYTES = 'application/octet-stream';
const emit = (name, value) => post(`outputs/${name}`, JSON.stringify(value), JSON_TYPE);
"""


@pytest.fixture(autouse=True)
def _node():
    needs("node", NODE is not None, "install nodejs 18 or newer")


@contextlib.asynccontextmanager
async def open_fleet(tmp_path, **bounds):
    async with a_fleet(tmp_path, **bounds) as pair:
        yield pair


def door_job(fleet, code, *, memory_mb=512, **kwargs):
    kind = next(one for one in fleet.kinds if one.startswith("nodejs"))
    return a_job(CLIENT + code, call=a_call("guest/door", kind=kind, memory_mb=memory_mb), **kwargs)


async def a_reserve(sink):
    """Room that somebody writes: requests behind it wait, and may hope."""
    granted = asyncio.get_running_loop().create_future()
    sink.reserve(32 * MIB, "guest/other", granted.set_result, granted.set_exception)
    return await granted


def _has(heard, count):
    return len(heard.outputs) == count


async def run(fleet, code, **kwargs):
    job, heard = door_job(fleet, code, **kwargs)
    fleet.submit(job)
    return await heard.end()


async def test_an_item_is_there_before_its_function_returns(tmp_path, no_leaks):
    code = """
    async function main() {
      const first = await emit('item', {n: 1});
      await emit('item', 'zwei');
      await new Promise((resolve) => { globalThis.goOn = resolve; setTimeout(resolve, 300); });
      return {first};
    }"""
    async with open_fleet(tmp_path) as (fleet, _):
        job, heard = door_job(fleet, code, wants={"item": "items"})
        fleet.submit(job)
        await until(lambda: len(heard.outputs) == 2, within_s=10)
        assert "returned" not in heard.heard
        await heard.end()
    assert heard.outputs == [("item", 0, "emit", b'{"n":1}'), ("item", 1, "emit", b'"zwei"')]
    assert heard.report.counts == {"item": ("emit", 2), "first": ("field", 1)}
    assert heard.report.body == b'{"first":[204,""]}'


async def test_bytes_and_values_of_any_size_arrive_as_they_are(tmp_path, no_leaks):
    code = """
    async function main() {
      const large = Buffer.alloc(40 << 20, 'ab');
      const text = 'ü'.repeat(300000);
      const parts = new ReadableStream({start(c) { c.enqueue(large.subarray(0, 50000)); c.enqueue(large.subarray(0, 3)); c.close(); }});
      return {statuses: [
        await post('outputs/o', large, BYTES), await post('outputs/o', 'abc', 'image/png'), await post('outputs/o', '', BYTES),
        await emit('o', text), await post('outputs/o', parts, BYTES, {duplex: 'half'}),
        await emit('o', {$data: {type: 'bytes', base64: 'YWJj'}}),
        await emit('o', {$data: {type: 'bytes', base64: large.subarray(0, 60000).toString('base64')}}),
      ].map(([status]) => status)};
    }"""  # noqa: E501
    async with open_fleet(tmp_path) as (fleet, sink):
        heard = await run(fleet, code, wants={"o": "items"})
        await until(lambda: sink.usage.segments == 0)
    assert set(json.loads(heard.report.body)["statuses"]) == {204}
    large = b"ab" * (20 << 20)
    assert [data for _, _, _, data in heard.outputs] == [
        large, b"abc", b"", b'"' + "ü".encode() * 300000 + b'"', large[:50000] + b"aba", b"abc", large[:60000],
    ]  # fmt: skip


async def test_items_are_members_of_a_result_that_is_wanted_whole(tmp_path):
    code = """
    async function main({own}) {
      await emit('one', {a: 1}); await emit('many', 1); await post('outputs/many', 'abc', BYTES);
      return own;
    }"""
    data = {"$data": {"type": "bytes", "base64": "YWJj"}}
    async with open_fleet(tmp_path) as (fleet, sink):
        some = await run(fleet, code, wants={"": "value"}, arguments='{"own": {"x": 2}}')
        none = await run(fleet, code, wants={"": "value"}, arguments='{"own": {}}')
        clash = await run(fleet, code, wants={"": "value"}, arguments='{"own": {"one": 2}}')
        unread = await run(fleet, code, wants={"many": "items"}, arguments='{"own": {"one": 2}}')
        assert sink.usage.inline_bytes == 0
    assert json.loads(some.report.body) == {"x": 2, "one": {"a": 1}, "many": [1, data]}
    assert some.outputs[-1][:2] == ("", 0)
    assert json.loads(some.outputs[-1][3]) == json.loads(some.report.body)
    assert json.loads(none.report.body) == {"one": {"a": 1}, "many": [1, data]}
    assert (some.report.clashes, clash.report.clashes, unread.report.clashes) == ((), ("one",), ())


async def test_inputs_are_read_as_bytes_as_json_or_part_by_part(tmp_path, no_leaks):
    code = """
    async function main() {
      const seen = {};
      for (const name of ['text', 'large', 'list', 'words', 'file', 'nothing', '']) {
        const reply = await fetch(`${url()}/inputs/${name}`);
        const body = Buffer.from(await reply.arrayBuffer());
        seen[name] = [reply.status, reply.headers.get('content-type'), body.length, body.toString().slice(0, 90)];
      }
      return seen;
    }"""
    async with open_fleet(tmp_path) as (fleet, sink):
        large = sink.put_bytes(Head(Media.BYTES, 3 * MIB), b"x" * (3 * MIB))
        items = tuple(sink.put_inline(Head(Media.JSON, 1), one) for one in (b"1", b"2"))
        inputs = [Bound("text", Constant('"t"')), Bound("large", large), Bound("list", items)]
        job, heard = door_job(fleet, code, inputs=[*inputs, Bound("words", Streamed()), Bound("file", Streamed())])
        fleet.submit(job)
        for name, media in (("words", Media.JSON), ("file", Media.BYTES)):
            for text in (b'"a"', b'"b"'):
                part = sink.put_inline(Head(media, 3), text)
                fleet.feed(job, name, part)
                part.release()
            fleet.feed_end(job, name, None)
        await heard.end()
        for one in (large, *items):
            one.release()
    json_type, bytes_type = "application/json", "application/octet-stream"
    seen = json.loads(heard.report.body)
    assert seen["text"] == [200, json_type, 3, '"t"']
    assert seen["large"] == [200, bytes_type, 3 * MIB, "x" * 90]
    assert seen["list"] == [200, json_type, 5, "[1,2]"]
    assert seen["words"] == [200, "application/x-ndjson", 8, '"a"\n"b"\n']
    assert seen["file"] == [200, bytes_type, 6, '"a""b"']
    assert seen["nothing"][0] == seen[""][0] == 404
    assert "no edge leads to an input 'nothing'; those there are: text, large, list" in seen["nothing"][3]


@pytest.mark.parametrize("broken", [False, True])
async def test_a_stream_is_read_while_its_producer_still_writes(tmp_path, no_leaks, broken):
    code = """
    async function main(args) {
      const reply = await fetch(`${url()}/inputs/words`);
      const seen = [];
      try {
        for await (const part of reply.body) {
          seen.push(Buffer.from(part).toString());
          await emit('seen', seen.length);
        }
      } catch (error) { return {args, seen, broken: true}; }
      return {args, seen};
    }"""
    async with open_fleet(tmp_path) as (fleet, sink):
        inputs = [Bound("", Constant('{"a": 1}')), Bound("words", Streamed())]
        job, heard = door_job(fleet, code, inputs=inputs, wants={"seen": "items"}, opens_streams=True)
        fleet.submit(job)
        for count, text in enumerate((b"one", b"two"), 1):
            part = sink.put_inline(Head(Media.BYTES, 3), text)
            fleet.feed(job, "words", part)
            part.release()
            await until(partial(_has, heard, count))
        await until(lambda: next(iter(fleet._containers.values())).waits_for_parts)
        fleet.feed_end(job, "words", "it broke off" if broken else None)
        await heard.end()
        assert sink.usage.inline_bytes == 0
    result = json.loads(heard.report.body)
    assert result == {"args": {"a": 1}, "seen": ["one", "two"]} | ({"broken": True} if broken else {})
    assert heard.heard.count("taken") == 2


async def test_what_is_wrong_is_told_and_harms_nothing(tmp_path, no_leaks):
    code = """
    async function main() {
      const long = new ReadableStream({start(c) { for (let n = 0; n < 40; n++) c.enqueue(Buffer.alloc(65536)); c.close(); }});
      const other = await fetch(url().replace(/[^/]*$/, 'guessed') + '/outputs/o', {method: 'POST', body: '1'});
      return {statuses: [
        await post('outputs/o', '{', JSON_TYPE), await post('outputs/o', '{' + ' '.repeat(500000), JSON_TYPE),
        await post('outputs/o', '1'), await post('outputs/' + 'n'.repeat(300), '1', JSON_TYPE), await post('outputs/', '1', JSON_TYPE),
        await post('inputs/o', '1', JSON_TYPE), await post('others/o', '1', JSON_TYPE), await post('outputs/o/p', '1', JSON_TYPE),
        await post('outputs/o', long, BYTES, {duplex: 'half'}), [other.status, (await other.json()).error],
        await emit('o', 1),
      ]};
    }"""  # noqa: E501
    async with open_fleet(tmp_path) as (fleet, _):
        heard = await run(fleet, code, wants={"o": "items"})
    statuses = json.loads(heard.report.body)["statuses"]
    assert [status for status, _ in statuses] == [400, 400, 415, 400, 400, 405, 404, 404, 411, 404, 204]
    assert statuses[2][1].startswith("say Content-Type: application/json for a JSON value, or")
    assert statuses[8][1] == f"a body of more than {UNTOLD_BYTES} bytes needs a Content-Length"
    assert "read __OW_DATAFLOW_URL anew" in statuses[9][1]
    assert heard.outputs == [("o", 0, "emit", b"1")]


async def test_after_the_return_nothing_is_taken(tmp_path, no_leaks):
    code = """
    let late;
    async function main({again}) {
      if (again) return {late: await late};
      const old = `${url()}/outputs/o`;
      late = new Promise((resolve) => setTimeout(async () => {
        resolve((await fetch(old, {method: 'POST', body: '1', headers: {'Content-Type': JSON_TYPE}})).status);
      }, 200));
      return {};
    }"""
    async with open_fleet(tmp_path) as (fleet, _):
        first = await run(fleet, code, wants={"o": "items"})
        second = await run(fleet, code, wants={"o": "items"}, arguments='{"again": true}')
    assert (first.outputs, second.outputs) == ([], [])
    assert json.loads(second.report.body) == {"late": 404}


async def test_a_body_that_goes_on_after_the_return_gives_its_room_back(tmp_path, no_leaks):
    code = """
    let more;
    async function main({again}) {
      if (again) { more.enqueue(Buffer.alloc(1)); return {}; }
      const headers = {'Content-Type': BYTES, 'Content-Length': 1 << 20};
      const target = new URL(`${url()}/outputs/o`);
      const request = require('http').request(target, {method: 'POST', headers});
      request.on('error', () => {});
      more = {enqueue: (part) => request.write(part)};
      request.write(Buffer.alloc(1000));
      await new Promise((resolve) => setTimeout(resolve, 100));
      return {};
    }"""
    async with open_fleet(tmp_path) as (fleet, sink):
        first = await run(fleet, code, wants={"o": "items"})
        assert sink.usage.segments == 1
        await run(fleet, code, wants={"o": "items"}, arguments='{"again": true}')
        await until(lambda: sink.usage.segments == 0)
    assert first.outputs == []


async def test_items_of_a_whole_result_are_bounded(tmp_path, no_leaks):
    code = """
    async function main() {
      const half = Buffer.alloc(10 << 20);
      return {answers: [await post('outputs/o', half, BYTES), await post('outputs/o', half, BYTES)]};
    }"""
    async with open_fleet(tmp_path) as (fleet, sink):
        whole = await run(fleet, code, wants={"": "value"})
        named = await run(fleet, code, wants={"o": "items"})
        await until(lambda: sink.usage.segments == 0)
    answers = json.loads(next(data for name, _, _, data in whole.outputs if not name))["answers"]
    assert [status for status, _ in answers] == [204, 413]
    assert f"have at most {16 * MIB} bytes together" in answers[1][1]
    assert whole.report.counts["o"] == ("emit", 2)
    assert [status for status, _ in json.loads(named.report.body)["answers"]] == [204, 204]


async def test_a_json_text_that_is_too_long_to_be_checked_is_refused_and_missed_in_the_end(tmp_path, monkeypatch):
    monkeypatch.setattr(visit, "JSON_BYTES", 1000)
    code = """
    async function main() {
      return {answers: [await emit('o', 'x'.repeat(998)), await emit('o', 'x'.repeat(999))]};
    }"""
    async with open_fleet(tmp_path) as (fleet, _):
        heard = await run(fleet, code, wants={"o": "items"})
    (taken, _), refused = json.loads(heard.report.body)["answers"]
    assert (taken, refused[0], refused[1].split(":")[0]) == (204, 413, "a JSON text has at most 1000 bytes here")
    assert heard.report.counts["o"] == ("emit", 2)
    assert len(heard.outputs) == 1


async def test_an_item_that_the_system_has_no_memory_for_is_missed_in_the_end(tmp_path, monkeypatch):
    def full(*_):
        raise SinkFull("no descriptors left")

    async with open_fleet(tmp_path) as (fleet, sink):
        monkeypatch.setattr(sink, "put_bytes", full)
        heard = await run(fleet, "async function main() { return {answer: await emit('o', 1)}; }", wants={"o": "items"})
    assert json.loads(heard.report.body)["answer"][0] == 507
    assert heard.report.counts["o"] == ("emit", 1)


async def test_an_item_waits_for_room_in_the_sink(tmp_path, no_leaks):
    code = "async function main() { return {status: (await post('outputs/o', Buffer.alloc(24 << 20), BYTES))[0]}; }"
    async with open_fleet(tmp_path, sink_mb=48) as (fleet, sink):
        stopper = await a_reserve(sink)
        job, heard = door_job(fleet, code, wants={"o": "items"})
        fleet.submit(job)
        await until(lambda: bool(sink.usage.waiting))
        (container,) = fleet._containers.values()
        assert container.waits_for_room
        assert heard.outputs == []
        sink.give_back(stopper)
        await heard.end()
    assert json.loads(heard.report.body) == {"status": 204}
    assert len(heard.outputs[0][3]) == 24 * MIB


async def test_an_item_that_never_fits_is_refused_and_missed_in_the_end(tmp_path, no_leaks):
    code = "async function main() { return {answer: await post('outputs/o', Buffer.alloc(64 << 20), BYTES)}; }"
    async with open_fleet(tmp_path, sink_mb=48) as (fleet, _):
        heard = await run(fleet, code, wants={"o": "items"})
    status, text = json.loads(heard.report.body)["answer"]
    assert status == 507
    assert text.startswith(f"a value of {64 * MIB} bytes can never fit the data sink")
    assert heard.report.counts["o"] == ("emit", 1)
    assert heard.outputs == []


async def test_a_container_that_dies_while_it_hands_over_leaves_nothing_behind(tmp_path, no_leaks):
    code = """
    function main() {
      const parts = new ReadableStream({start(c) { c.enqueue(Buffer.alloc(100000)); }});
      fetch(`${url()}/outputs/o`, {method: 'POST', body: parts, duplex: 'half', headers: {'Content-Type': BYTES}});
      fetch(`${url()}/outputs/o`, {method: 'POST', body: Buffer.alloc(30 << 20), headers: {'Content-Type': BYTES}});
      return new Promise(() => {});
    }"""
    async with open_fleet(tmp_path, sink_mb=48) as (fleet, sink):
        stopper = await a_reserve(sink)
        job, heard = door_job(fleet, code, wants={"o": "items"})
        fleet.submit(job)
        await until(lambda: bool(sink.usage.waiting))
        fleet.kill(job)
        await heard.end()
        assert (heard.failure, heard.outputs) == (Failure.RUN_DIED, [])
        sink.give_back(stopper)
        await until(lambda: sink.usage.segments == 0)


async def test_many_items_at_a_time_all_arrive(tmp_path, no_leaks):
    code = """
    async function main() {
      const all = await Promise.all([...Array(200).keys()].map((n) => emit('o', n)));
      return {ok: all.every(([status]) => status === 204)};
    }"""
    async with open_fleet(tmp_path) as (fleet, _):
        heard = await run(fleet, code, wants={"o": "items"})
    assert json.loads(heard.report.body) == {"ok": True}
    assert [index for _, index, _, _ in heard.outputs] == list(range(200))
    assert sorted(int(data) for _, _, _, data in heard.outputs) == list(range(200))


async def test_whoever_says_no_http_is_sent_away(tmp_path, no_leaks):
    async with open_fleet(tmp_path) as (fleet, _):
        heard = await run(fleet, "function main() { return {url: url()}; }")
        host, port = json.loads(heard.report.body)["url"].split("/")[2].split(":")
        for garbage in (
            b"\x00\x01\r\n\r\n",
            b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 10_000,
            b"POST /a/outputs/b HTTP/1.1\r\n",
        ):
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(garbage)
            if garbage.startswith(b"POST"):
                writer.write_eof()
            with contextlib.suppress(ConnectionError):
                await asyncio.wait_for(reader.read(), 10)
            writer.close()
        again = await run(fleet, "function main() { return {url: url()}; }")
    assert again.report.status == "ok"
