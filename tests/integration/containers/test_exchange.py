"""Connections to a container, against a server that answers as it is told."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from invoker_ext.containers.exchange import Exchange
from tests.support.waiting import until

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


class Runtime:
    """Answers each request with the next of its replies; None: it closes instead."""

    def __init__(self, path, replies):
        self.path = path
        self.replies = list(replies)
        self.requests = []
        self.connections = 0
        self.held = asyncio.Event()
        self.held.set()

    async def serve(self, reader, writer):
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                (length,) = [
                    int(one.split(b":")[1]) for one in head.split(b"\r\n") if one.startswith(b"Content-Length")
                ]
                self.requests.append((head.split(b" ", 2)[1], await reader.readexactly(length)))
                await self.held.wait()
                reply = self.replies.pop(0) if self.replies else OK
                if reply is None:
                    return
                writer.write(reply)
        except asyncio.IncompleteReadError:
            return
        finally:
            writer.close()


@asynccontextmanager
async def a_runtime(tmp_path, *replies, now=(0.0,)):
    runtime = Runtime(str(tmp_path / "s"), replies)
    times = list(now)
    exchange = Exchange(asyncio.get_running_loop(), runtime.path, lambda: times.pop(0) if len(times) > 1 else times[0])
    async with await asyncio.start_unix_server(runtime.serve, runtime.path):
        yield runtime, exchange
        exchange.close()
        await asyncio.sleep(0)  # the server hears of it


async def post(exchange, *body, **kwargs):
    answer = asyncio.get_running_loop().create_future()
    exchange.post("/run", body or (b"{}",), answer.set_result, **kwargs)
    async with asyncio.timeout(10):
        return await answer


async def test_requests_one_after_the_other_share_a_connection(tmp_path, no_leaks):
    large = b"x" * 300_000
    async with a_runtime(tmp_path) as (runtime, exchange):
        replies = [await post(exchange, b'{"a":', b"1}"), await post(exchange, large), await post(exchange)]
    assert [one.body for one in replies] == [b"{}"] * 3
    assert runtime.requests == [(b"/run", b'{"a":1}'), (b"/run", large), (b"/run", b"{}")]
    assert runtime.connections == 1


async def test_requests_at_the_same_time_have_connections_of_their_own(tmp_path, no_leaks):
    async with a_runtime(tmp_path) as (runtime, exchange):
        await asyncio.gather(*(post(exchange) for _ in range(3)))
        await asyncio.gather(*(post(exchange) for _ in range(3)))
    assert runtime.connections == 3


async def test_a_connection_that_was_idle_for_long_or_that_its_server_closes_is_not_used_again(tmp_path, no_leaks):
    async with a_runtime(tmp_path, now=[0.0, 5.0]) as (runtime, exchange):
        await post(exchange)
        await post(exchange)
        assert runtime.connections == 2
    closing = OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    async with a_runtime(tmp_path, closing) as (runtime, exchange):
        await post(exchange)
        await post(exchange)
        assert runtime.connections == 2


@pytest.mark.parametrize("reply", [None, b"nonsense\r\n\r\n", OK + OK, OK[:-1] + b"}}"])
async def test_a_server_that_closes_or_talks_nonsense_is_no_reply_and_the_next_request_has_a_connection(
    tmp_path, no_leaks, reply
):
    async with a_runtime(tmp_path, reply) as (runtime, exchange):
        assert await post(exchange) is None
        assert (await post(exchange)).status == 200
    assert runtime.connections == 2


async def test_a_server_that_is_not_up_is_waited_for_only_by_whoever_asks_for_that(tmp_path, no_leaks):
    path = str(tmp_path / "s")
    exchange = Exchange(asyncio.get_running_loop(), path)
    assert await post(exchange) is None
    waiting = asyncio.create_task(post(exchange, until_up=True))
    await asyncio.sleep(0)
    runtime = Runtime(path, [])
    async with await asyncio.start_unix_server(runtime.serve, path):
        assert (await waiting).status == 200
        exchange.close()
        await asyncio.sleep(0)


async def test_a_request_that_is_given_up_is_heard_of_no_more(tmp_path, no_leaks):
    heard: list[object] = []
    async with a_runtime(tmp_path) as (runtime, exchange):
        runtime.held.clear()
        request = exchange.post("/run", [b"{}"], heard.append)
        await until(lambda: runtime.requests)
        request.cancel()
        request.cancel()
        unconnected = exchange.post("/run", [b"{}"], heard.append)
        unconnected.cancel()
        runtime.held.set()
        assert (await post(exchange)).status == 200
    assert heard == []
