"""The peer door over a real Unix socket: calls, bodies, refusals, reconnects."""

from __future__ import annotations

import asyncio
import hashlib
import os
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from invoker_ext.door.async_client import AsyncDoorClient
from invoker_ext.door.body import Body, BytesBody, FileBody
from invoker_ext.door.client import DoorClient
from invoker_ext.door.errors import CallFailed, NotHeld, PeerUnreachable
from invoker_ext.door.hello import NotAllowed, Role, read_token
from invoker_ext.door.server import Door, Handler

MIB = 1024 * 1024
Opened = tuple[Door, DoorClient]
OpenDoor = Callable[[dict[str, Handler]], Awaitable[Opened]]


@pytest.fixture
def folder():
    with tempfile.TemporaryDirectory(prefix="df-door-") as name:
        yield Path(name)


@pytest.fixture
async def open_door(folder: Path) -> AsyncIterator[OpenDoor]:
    opened: list[Opened] = []

    async def factory(handlers: dict[str, Handler]) -> Opened:
        door = Door(folder / "d.sock", "right", handlers)
        await door.start()
        opened.append((door, DoorClient(door.path, role=Role.WORKER, token="right")))
        return opened[-1]

    yield factory
    for door, client in opened:
        client.close()
        await door.close()


def holds(content: bytes) -> Handler:
    async def pull(fields: dict[str, Any]) -> tuple[dict[str, Any], Body | None]:
        if fields["name"] != "there":
            raise NotHeld(fields["name"])
        return {}, BytesBody(content)

    return pull


async def test_a_call_carries_fields_both_ways(open_door: OpenDoor):
    async def cancel(fields: dict[str, Any]) -> tuple[dict[str, Any], Body | None]:
        return {"outcome": f"cancelled {fields['run']}"}, None

    _, client = await open_door({"cancel": cancel})
    answer = await asyncio.to_thread(client.call, "cancel", 5.0, run="r1")
    assert answer == {"outcome": "cancelled r1"}


async def test_a_refusal_carries_its_code_and_text(open_door: OpenDoor):
    _, client = await open_door({"pull": holds(b"")})
    with pytest.raises(CallFailed, match="'gone' is not held here") as caught:
        await asyncio.to_thread(lambda: list(client.pull("gone", 3, 5.0)))
    assert caught.value.reason == NotHeld.code


async def test_an_unknown_call_is_refused_and_the_connection_goes_on(open_door: OpenDoor):
    _, client = await open_door({})
    for _ in range(2):
        with pytest.raises(CallFailed, match="no call 'nope'"):
            await asyncio.to_thread(client.call, "nope", 5.0)


async def test_64_mib_arrive_whole_from_a_file(open_door: OpenDoor, folder: Path):
    content = os.urandom(MIB) * 64
    (folder / "spool").write_bytes(b"front" + content)

    async def pull(fields: dict[str, Any]) -> tuple[dict[str, Any], Body | None]:
        return {}, FileBody(os.open(folder / "spool", os.O_RDONLY), 5, len(content))

    _, client = await open_door({"pull": pull})

    def digest() -> str:
        state = hashlib.sha256()
        for piece in client.pull("x", len(content), 10.0):
            state.update(piece)
        return state.hexdigest()

    assert await asyncio.to_thread(digest) == hashlib.sha256(content).hexdigest()


async def test_a_loop_pulls_the_same_bytes(open_door: OpenDoor):
    content = os.urandom(3 * MIB + 17)
    door, _ = await open_door({"pull": holds(content)})
    got = bytearray()
    client = AsyncDoorClient(door.path, role=Role.INVOKER, token="right")
    await client.pull("there", len(content), got.extend, 10.0)
    client.close()
    assert bytes(got) == content


async def test_a_loop_keeps_its_connection_for_the_next_call_and_finds_a_door_that_was_opened_again(
    open_door: OpenDoor,
):
    connections: set[int] = set()

    async def count(fields: dict[str, Any]) -> tuple[dict[str, Any], Body | None]:
        connections.update(map(id, door.open_calls))
        return {"connections": len(door.open_calls)}, None

    door, _ = await open_door({"count": count, "pull": holds(b"x" * MIB)})
    client = AsyncDoorClient(door.path, role=Role.INVOKER, token="right")
    for _ in range(3):
        assert await client.call("count", 5.0) == {"connections": 1}
        await client.pull("there", MIB, lambda piece: None, 5.0)
    assert len(connections) == 1

    await door.close()
    await door.start()
    assert await client.call("count", 5.0) == {"connections": 1}
    client.close()


async def test_an_empty_body_is_no_body_to_wait_for(open_door: OpenDoor):
    _, client = await open_door({"pull": holds(b"")})
    assert await asyncio.to_thread(lambda: list(client.pull("there", 0, 5.0))) == []


async def test_a_pull_goes_on_where_it_was_after_the_door_was_opened_again(open_door: OpenDoor):
    content = os.urandom(8 * MIB)
    offsets: list[int] = []

    async def pull(fields: dict[str, Any]) -> tuple[dict[str, Any], Body | None]:
        offsets.append(fields["offset"])
        return {}, BytesBody(content)

    door, client = await open_door({"pull": pull})
    pieces = client.pull("x", len(content), 10.0)
    got = [await asyncio.to_thread(next, pieces)]
    await door.close()
    await door.start()
    got += await asyncio.to_thread(list, pieces)
    assert b"".join(got) == content
    assert offsets[0] == 0
    assert offsets[-1] > 0


async def test_a_body_of_another_size_than_announced_is_refused(open_door: OpenDoor):
    _, client = await open_door({"pull": holds(b"abc")})
    with pytest.raises(CallFailed, match="holds 3 bytes, not 4"):
        await asyncio.to_thread(lambda: list(client.pull("there", 4, 5.0)))


async def test_nobody_there_is_said_in_time(folder: Path):
    client = DoorClient(folder / "nobody.sock", role=Role.TOOL, token="t")
    with pytest.raises(PeerUnreachable):
        await asyncio.to_thread(client.call, "x", 0.1)
    with pytest.raises(PeerUnreachable):
        await AsyncDoorClient(folder / "nobody.sock", role=Role.TOOL, token="t").call("x", 0.1)


async def test_a_call_that_is_not_answered_ends_at_its_deadline(open_door: OpenDoor):
    async def hang(fields: dict[str, Any]) -> tuple[dict[str, Any], Body | None]:
        await asyncio.Event().wait()
        raise AssertionError

    _, client = await open_door({"hang": hang})
    with pytest.raises(PeerUnreachable):
        await asyncio.to_thread(client.call, "hang", 0.1)


async def test_a_wrong_token_is_refused(open_door: OpenDoor):
    door, _ = await open_door({})
    stranger = DoorClient(door.path, role=Role.TOOL, token="wrong")
    with pytest.raises(PeerUnreachable, match="token"):
        await asyncio.to_thread(stranger.call, "x", 5.0)


async def test_a_call_survives_the_restart_of_the_door(open_door: OpenDoor):
    async def ping(fields: dict[str, Any]) -> tuple[dict[str, Any], Body | None]:
        return {"pong": True}, None

    door, client = await open_door({"ping": ping})
    assert await asyncio.to_thread(client.call, "ping", 5.0) == {"pong": True}
    await door.close()
    await door.start()
    assert await asyncio.to_thread(client.call, "ping", 5.0) == {"pong": True}


def test_a_token_that_others_can_read_is_refused(folder: Path):
    (folder / "token").write_text("secret")
    (folder / "token").chmod(0o644)
    with pytest.raises(NotAllowed, match="chmod 600"):
        read_token(folder / "token")
