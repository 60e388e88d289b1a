"""Spooled parameters, pulled at a real door."""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from controller_ext.balancer.sending import SpoolSender
from controller_ext.runs.spool import Spooler, SpoolShelf
from invoker_ext.contract.messages import Spool
from invoker_ext.door import spooled
from invoker_ext.door.body import Body, BytesBody
from invoker_ext.door.credentials import Credentials
from invoker_ext.door.errors import NotHeld
from invoker_ext.door.far import Caller
from invoker_ext.door.far_server import FarDoor, FarListener
from invoker_ext.door.places import FarPlace
from invoker_ext.door.server import Door
from invoker_ext.door.spooled import OP, SpoolDamaged, SpoolLost, SpoolPuller
from tests.support.peering import SECRET

SMALL, LARGE = b'{"a":1}', b'{"a":"' + b"x" * 3_000_000 + b'"}'


@pytest.fixture
async def address() -> AsyncIterator[str]:
    """A door that holds both values, and what became of `small` on a bad disk."""
    held = {"small": SMALL, "large": LARGE, "flipped": SMALL.replace(b"1", b"2")}

    async def pull(fields: dict[str, Any]) -> tuple[dict[str, Any], Body | None]:
        if fields["name"] not in held:
            raise NotHeld(fields["name"])
        return {}, BytesBody(held[fields["name"]])

    with tempfile.TemporaryDirectory(prefix="df-spool-") as folder:
        door = Door(Path(folder) / "d.sock", "right", {"pull": pull})
        await door.start()
        yield str(door.path)
        await door.close()


def a_spool(address: str, name: str, content: bytes) -> Spool:
    return Spool(address, name, len(content), hashlib.sha256(content).hexdigest(), {})


@pytest.fixture
def puller() -> Iterator[SpoolPuller]:
    """Of an invoker of the same installation."""
    puller = SpoolPuller("right")
    yield puller
    puller.close()


@pytest.mark.parametrize(("name", "content"), [("small", SMALL), ("large", LARGE)])
async def test_what_was_put_in_comes_out(address: str, puller: SpoolPuller, name: str, content: bytes):
    assert await puller.pull(a_spool(address, name, content)) == content


async def test_parameters_that_were_sent_ahead_are_not_asked_for(tmp_path: Path):
    content = b'{"text":"' + b"x" * 900_000 + b'"}'
    spool = Spooler(tmp_path, str(tmp_path / "nobody")).put_text(content)
    puller = SpoolPuller("right", timeout_s=0.05)

    async def take(fields: dict[str, Any]) -> tuple[dict[str, Any], Body | None]:
        puller.came(fields["name"], fields["payload"])
        came.set()
        return {}, None

    came = asyncio.Event()
    credentials = Credentials(SECRET)
    door = Door(tmp_path / "d.sock", "right", {OP: take})
    listener = FarListener(("127.0.0.1", 0), FarDoor(door, 0, credentials))
    name = str(FarPlace(*listener.start()))
    sender = SpoolSender(Caller("controller0", credentials), SpoolShelf(tmp_path))
    async with asyncio.timeout(5):
        while not came.is_set():  # the first time there is no connection yet
            sender.send(name, spool.name)
            await asyncio.wait([asyncio.create_task(came.wait())], timeout=0.05)
    sender.send(name, "0" * 32)  # gone: nothing to send
    assert await puller.pull(spool) == content
    with pytest.raises(SpoolLost):  # once
        await puller.pull(spool)
    await sender.close()
    puller.close()
    await listener.close()
    await door.close()


async def test_of_too_many_that_were_sent_ahead_the_oldest_go_and_wrong_ones_are_asked_for(
    address: str, puller: SpoolPuller, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(spooled, "EARLY_BYTES", 2 * len(SMALL))
    puller.came("large", LARGE)
    puller.came("small", SMALL.replace(b"1", b"2"))
    assert await puller.pull(a_spool(address, "small", SMALL)) == SMALL
    assert await puller.pull(a_spool(address, "large", LARGE)) == LARGE


async def test_bytes_of_another_digest_are_refused(address: str, puller: SpoolPuller):
    with pytest.raises(SpoolDamaged, match="damaged on the controller's disk"):
        await puller.pull(a_spool(address, "flipped", SMALL))


@pytest.mark.parametrize("token", ["right", "wrong"])
async def test_parameters_that_cannot_be_had_are_lost_without_naming_a_place(address: str, token: str):
    puller = SpoolPuller(token)
    with pytest.raises(SpoolLost) as lost:
        await puller.pull(a_spool(address, "gone", SMALL))
    puller.close()
    assert address not in str(lost.value)


async def test_a_door_that_is_not_there_is_waited_for_a_bounded_time(tmp_path: Path):
    with pytest.raises(SpoolLost):
        await SpoolPuller("right", timeout_s=0.05).pull(a_spool(str(tmp_path / "none"), "small", SMALL))
