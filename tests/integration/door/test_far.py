"""A door of another host: the same calls over TCP, by who proves that he belongs to the installation."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from controller_ext.runs.doors import Doors
from controller_ext.runs.ports import Cancelled, DoorUnavailable
from invoker_ext.door.async_client import AsyncDoorClient
from invoker_ext.door.body import Body, BytesBody
from invoker_ext.door.client import DoorClient
from invoker_ext.door.credentials import Credentials
from invoker_ext.door.errors import NotHeld, PeerUnreachable
from invoker_ext.door.far import Caller
from invoker_ext.door.far_server import FarDoor, FarListener
from invoker_ext.door.hello import NotAllowed, Role
from invoker_ext.door.places import FarPlace, far, read_place
from invoker_ext.door.server import Door
from tests.support.authority import Authority
from tests.support.peering import MIB, SECRET
from tests.support.waiting import until

Opened = tuple[FarPlace, Door]
OpenDoor = Callable[..., Awaitable[Opened]]
Call = Callable[[dict[str, Any]], Awaitable[tuple[dict[str, Any], Body | None]]]
WE = Caller("controller0", Credentials(SECRET))


async def _trace(fields: dict[str, Any]) -> tuple[dict[str, Any], Body | None]:
    return {"trace": {"of": fields["id"]} if fields["id"] == "known" else None}, None


async def _cancel(fields: dict[str, Any]) -> tuple[dict[str, Any], Body | None]:
    return {"outcome": "cancelled" if fields["id"] == "known" else "unknown"}, None


@pytest.fixture
async def opened(no_leaks, tmp_path) -> AsyncIterator[OpenDoor]:
    """A factory of doors that listen for other hosts: bytes that they hold, credentials, what else they answer."""
    made: list[tuple[Door, FarListener]] = []

    async def make(content: bytes = b"", credentials: Credentials = WE.credentials, **more: Call) -> Opened:
        async def pull(fields: dict[str, Any]) -> tuple[dict[str, Any], Body | None]:
            if fields["name"] != "there":
                raise NotHeld(fields["name"])
            return {}, BytesBody(content)

        handlers = {"pull": pull, "trace": _trace, "cancel": _cancel, **more}
        door = Door(tmp_path / f"{len(made)}.sock", "token", handlers)
        await door.start()
        listener = FarListener(("127.0.0.1", 0), FarDoor(door, len(made), credentials))
        made.append((door, listener))
        return FarPlace(*listener.start()), door

    yield make
    for door, listener in made:
        await listener.close()
        await door.close()


@pytest.mark.parametrize("tls", [False, True])
async def test_threads_and_loops_call_and_pull(opened, tmp_path, tls):
    authority = Authority(tmp_path / "authority")
    names = ("us", "them") if tls else ()
    ours, theirs = (authority.credentials(name) for name in names) if tls else (Credentials(SECRET),) * 2
    content = os.urandom(5 * MIB)
    place, _ = await opened(content, theirs)
    caller = Caller("controller0", ours)
    client = DoorClient(place, role=Role.WORKER, token="", caller=caller)

    def in_a_thread() -> list[Any]:
        try:
            found = [client.call("trace", 5.0, id=name, namespace="guest") for name in ("known", "other")]
            return [*found, b"".join(client.pull("there", len(content), 5.0))]
        finally:
            client.close()

    assert await asyncio.to_thread(in_a_thread) == [{"trace": {"of": "known"}}, {"trace": None}, content]
    got = bytearray()
    ours_too = AsyncDoorClient(place, role=Role.INVOKER, token="", caller=Caller(3, ours))
    for _ in range(2):  # the second time on the same connection
        got.clear()
        await ours_too.pull("there", len(content), got.extend, 10.0)
        assert got == content
    ours_too.close()


async def test_who_cannot_prove_that_he_belongs_here_is_refused(opened):
    place, _ = await opened()
    other = Caller("controller0", Credentials(b"another secret of the same length"))
    client = DoorClient(place, role=Role.WORKER, token="token", caller=other)

    with pytest.raises(PeerUnreachable, match="secret"):
        await asyncio.to_thread(client.call, "trace", 2.0, id="known", namespace="guest")
    with pytest.raises(PeerUnreachable, match="secret"):
        await AsyncDoorClient(place, role=Role.INVOKER, token="token", caller=other).call("trace", 2.0, id="known")
    with pytest.raises(NotAllowed, match="PEER_SECRET_FILE"):
        DoorClient(place, role=Role.WORKER, token="token")


async def test_a_door_that_is_closed_ends_its_callers_of_other_hosts_too(opened):
    place, door = await opened()
    client = DoorClient(place, role=Role.WORKER, token="", caller=WE)
    await asyncio.to_thread(client.call, "trace", 2.0, id="known", namespace="guest")

    await door.close()

    await until(lambda: not door.open_calls)
    client.close()


async def test_a_controller_asks_every_door_and_one_that_is_away_hides_no_answer(opened, tmp_path, free_port):
    (one, _), (two, _) = await opened(), await opened()
    away = str(FarPlace("127.0.0.1", free_port))
    doors = Doors([], token="", caller=WE, elsewhere=lambda: [away, str(one), str(two)])

    def ask() -> None:
        assert doors.trace("guest", "known") == {"of": "known"}
        assert doors.cancel("guest", "known") is Cancelled.CANCELLED
        with pytest.raises(DoorUnavailable):
            doors.cancel("guest", "other")
        doors.close()

    await asyncio.to_thread(ask)


async def test_all_doors_are_asked_side_by_side_and_the_first_answer_is_enough(opened):
    meets, never = asyncio.Barrier(2), asyncio.Event()

    async def with_the_other(fields: dict[str, Any]) -> tuple[dict[str, Any], Body | None]:
        await meets.wait()
        return {"trace": None}, None

    async def silent(fields: dict[str, Any]) -> tuple[dict[str, Any], Body | None]:
        await never.wait()
        return {}, None

    waiting = [str((await opened(trace=with_the_other))[0]) for _ in range(2)]
    rest = [str((await opened(trace=silent))[0]), str((await opened())[0])]
    both = Doors([], token="", caller=WE, elsewhere=lambda: waiting)
    answered = Doors([], token="", caller=WE, elsewhere=lambda: rest)

    assert await asyncio.to_thread(both.trace, "guest", "known") is None
    assert await asyncio.to_thread(answered.trace, "guest", "known") == {"of": "known"}
    never.set()
    for one in (both, answered):
        one.close()


async def test_what_is_held_is_told_by_those_that_answer(opened):
    async def usage(fields: dict[str, Any]) -> tuple[dict[str, Any], Body | None]:
        return {"name": "invoker0"}, None

    there = [str((await opened(usage=usage))[0]), str((await opened())[0]), "tcp://127.0.0.1:1"]
    doors, nobody = Doors([], token="", caller=WE, elsewhere=lambda: there), Doors([], token="")

    assert await asyncio.to_thread(doors.usage) == [{"name": "invoker0"}]
    assert nobody.usage() == []
    for one in (doors, nobody):
        one.close()


def test_doors_of_other_hosts_are_not_asked_by_who_has_no_credentials():
    doors = Doors([], token="", elsewhere=lambda: ["tcp://127.0.0.1:1"])

    with pytest.raises(DoorUnavailable, match="knows no door"):
        doors.trace("guest", "known")
    with pytest.raises(DoorUnavailable, match="PEER_SECRET_FILE"):
        next(doors.pull("tcp://127.0.0.1:1", "result", 1))


@pytest.mark.parametrize("address", ["host:7000", "127.0.0.1:1", "[::1]:7000"])
def test_the_name_of_a_door_is_read_as_it_was_written(address):
    assert str(read_place(far(address))) == far(address) == f"tcp://{address}"
    assert read_place("/run/door.sock") == Path("/run/door.sock")
