"""Messages to a door of another host, over a connection that stays, and what becomes of them where it breaks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from action_runtime.wire.errors import DataflowError
from invoker_ext.door import messenger as module
from invoker_ext.door.body import Body
from invoker_ext.door.credentials import Credentials
from invoker_ext.door.far import Caller
from invoker_ext.door.far_server import FarDoor, FarListener
from invoker_ext.door.messenger import MAX_BYTES, MAX_MESSAGE_BYTES, MAX_MESSAGES, Messenger
from invoker_ext.door.places import FarPlace
from invoker_ext.door.server import Door
from tests.support.authority import Authority
from tests.support.peering import SECRET
from tests.support.waiting import until


class Post:
    """A door that takes messages.

    Attributes:
        taken: Their fields, in order.
        opens: Until it is set no message is answered.
        refuses: None is taken.
    """

    def __init__(self, folder: Path, credentials: Credentials) -> None:
        self.taken: list[dict[str, Any]] = []
        self.opens = asyncio.Event()
        self.opens.set()
        self.refuses = False
        self._door = Door(folder / "post.sock", "token", {"result": self._take})
        self._credentials = credentials
        self._listener: FarListener | None = None
        self.port = 0

    async def open(self) -> None:
        await self._door.start()
        self._listener = FarListener(("127.0.0.1", self.port), FarDoor(self._door, "controller0", self._credentials))
        _, self.port = self._listener.start()

    async def close(self) -> None:
        listener, self._listener = self._listener, None
        if listener is not None:
            await listener.close()
        await self._door.close()

    @property
    def name(self) -> str:
        return str(FarPlace("127.0.0.1", self.port))

    async def _take(self, fields: dict[str, Any]) -> tuple[dict[str, Any], Body | None]:
        await self.opens.wait()
        if self.refuses:
            raise DataflowError("not wanted")
        self.taken.append(fields)
        return {}, None


@pytest.fixture
async def post(no_leaks, tmp_path) -> AsyncIterator[Post]:
    one = Post(tmp_path, Credentials(SECRET))
    await one.open()
    yield one
    await one.close()


@pytest.fixture
async def messenger(no_leaks) -> AsyncIterator[Messenger]:
    one = Messenger(Caller(0, Credentials(SECRET)), answer_s=30.0)
    yield one
    await one.close()


async def met(messenger: Messenger, name: str) -> list[bool]:
    """Hand over one message, once there is a connection; return what is told of it and of what follows."""
    told: list[bool] = []

    def handed() -> bool:
        messenger.meet(name)
        return messenger.hand(name, "result", {}, b"first", told.append)

    await until(handed, within_s=15)
    await until(lambda: told != [])
    return told


async def test_a_message_is_told_of_when_the_door_has_it(messenger: Messenger, post: Post):
    told = await met(messenger, post.name)
    assert messenger.hand(post.name, "result", {"headers": {"id": "a"}}, b"x" * 100_000, told.append)
    await until(lambda: len(told) == 2)
    assert told == [True, True]
    assert post.taken[1] == {"headers": {"id": "a"}, "payload": b"x" * 100_000}


async def test_messages_pass_with_tls(no_leaks, tmp_path: Path):
    authority = Authority(tmp_path / "authority")
    post = Post(tmp_path, authority.credentials("them"))
    await post.open()
    messenger = Messenger(Caller(0, authority.credentials("us")))
    try:
        assert await met(messenger, post.name) == [True]
    finally:
        await messenger.close()
        await post.close()


async def test_what_the_door_refuses_is_not_handed_over(messenger: Messenger, post: Post):
    post.refuses = True
    assert await met(messenger, post.name) == [False]


async def test_nothing_is_handed_over_without_a_connection(messenger: Messenger, post: Post):
    assert not messenger.hand(post.name, "result", {}, b"", lambda taken: None)
    messenger.meet(post.name)
    assert not messenger.hand(post.name, "result", {}, b"", lambda taken: None)
    for nowhere in ("/a/path", "tcp://nowhere", "tcp://127.0.0.1:1"):
        messenger.meet(nowhere)
        assert not messenger.hand(nowhere, "result", {}, b"", lambda taken: None)


async def test_a_door_that_is_there_takes_the_place_of_one_that_is_gone(
    messenger: Messenger, post: Post, free_port: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "MAX_DOORS", 1)
    messenger.meet(str(FarPlace("127.0.0.1", free_port)))
    assert await met(messenger, post.name) == [True]


async def test_what_was_under_way_when_the_door_went_is_not_handed_over_and_it_is_found_again(
    messenger: Messenger, post: Post
):
    told = await met(messenger, post.name)
    post.opens.clear()
    assert messenger.hand(post.name, "result", {}, b"", told.append)
    await post.close()
    await until(lambda: len(told) == 2)
    assert told == [True, False]
    assert not messenger.hand(post.name, "result", {}, b"", told.append)
    post.opens.set()
    await post.open()
    assert await met(messenger, post.name) == [True]


async def test_a_door_that_does_not_answer_is_given_up(no_leaks, post: Post):
    messenger = Messenger(Caller(0, Credentials(SECRET)), answer_s=0.5)
    await met(messenger, post.name)
    post.opens.clear()
    told: list[bool] = []
    for _ in range(3):
        assert messenger.hand(post.name, "result", {}, b"", told.append)
    await until(lambda: told == [False] * 3)
    post.opens.set()
    await messenger.close()


async def test_more_than_the_bounds_is_not_handed_over(messenger: Messenger, post: Post):
    told = await met(messenger, post.name)
    post.opens.clear()
    assert not messenger.hand(post.name, "result", {}, b"x" * (MAX_MESSAGE_BYTES + 1), told.append)
    handed = [messenger.hand(post.name, "result", {}, b"x", told.append) for _ in range(MAX_MESSAGES + 1)]
    assert handed == [True] * MAX_MESSAGES + [False]
    post.opens.set()
    await until(lambda: told == [True] * (MAX_MESSAGES + 1), message=lambda: f"{told} {len(post.taken)}")
    post.opens.clear()
    half = b"x" * MAX_MESSAGE_BYTES
    handed = [messenger.hand(post.name, "result", {}, half, told.append) for _ in range(MAX_BYTES // len(half) + 1)]
    assert not handed[-1]
    post.opens.set()


async def test_what_is_under_way_at_the_stop_is_not_handed_over(messenger: Messenger, post: Post):
    told = await met(messenger, post.name)
    post.opens.clear()
    assert messenger.hand(post.name, "result", {}, b"", told.append)
    await messenger.close()
    assert told == [True, False]
    assert not messenger.hand(post.name, "result", {}, b"", told.append)
    post.opens.set()
