"""Large parameters from another host are on the owner's disk before anybody hears that their run is kept."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from invoker_ext.contract.messages import ActivationMessage, Spool
from invoker_ext.door.spooled import SpoolLost
from invoker_ext.owner import spooled
from tests.support.messages import a_message
from tests.support.owning import Make, Owning, chain, does
from tests.support.waiting import until

RAW = b'{"x": 41}'
MEMBERS = {"x": (6, 2)}


class Controller:
    """Holds parameters until it is gone."""

    def __init__(self) -> None:
        self.asked = 0
        self.there = True

    async def pull(self, spool: Spool) -> bytes:
        self.asked += 1
        if not self.there:
            raise SpoolLost
        return RAW


@pytest.fixture
def controller() -> Controller:
    return Controller()


def a_run(owning: Owning, *, spooled: bool = True, blocking: bool = False) -> ActivationMessage:
    spool = Spool("/door", "0" * 32, len(RAW), hashlib.sha256(RAW).hexdigest(), MEMBERS) if spooled else None
    content = None if spooled else RAW
    return a_message("guest/act", content, graph=owning.deploy(chain()), spool=spool, blocking=blocking)


def kept(owning: Owning) -> list[str]:
    return [headers["id"] for headers, _ in owning.bus.published if headers.get("ack") == "kept"]


def files(owning: Owning) -> list[str]:
    return sorted(path.name for path in Path(owning.folder / "parameters").iterdir())


async def test_parameters_outlive_their_controller_and_a_restart_once_the_run_is_kept(
    make: Make, controller: Controller
):
    first = make(far=True, pull=controller.pull)
    message = a_run(first)
    first.bus.deliver(message)
    await until(lambda: kept(first) == [message.activation_id])
    assert files(first) == [message.activation_id]
    controller.there = False
    await first.close()

    (first.folder / "parameters" / "of another run").touch()
    second = make(far=True, pull=controller.pull, records=first.records)
    [job] = await second.submitted(1)
    assert controller.asked == 1
    assert files(second) == [message.activation_id]
    does(job, {"y": 1})
    does((await second.submitted(2))[1], {"z": 2})
    await second.stored(message.activation_id)
    assert files(second) == []


async def test_a_run_whose_parameters_do_not_come_is_not_kept_and_ends_with_the_reason(
    make: Make, controller: Controller
):
    controller.there = False
    owning = make(far=True, pull=controller.pull)
    message = a_run(owning)
    owning.bus.deliver(message)
    await owning.stored(message.activation_id)
    assert kept(owning) == []
    result = owning.records.written[message.activation_id].result or b""
    assert json.loads(result) == {"error": str(SpoolLost())}


async def test_parameters_go_with_a_run_that_another_owner_has(make: Make, controller: Controller):
    owning = make(far=True, pull=controller.pull)
    message = a_run(owning)
    owning.bus.deliver(message)
    await owning.submitted(1)

    owning.bus.deliver(replace(message, epoch=1), drop=True)

    assert (owning.owner.active, files(owning)) == (0, [])


async def test_torn_parameters_are_pulled_again(make: Make, controller: Controller):
    owning = make(far=True, pull=controller.pull)
    message = a_run(owning)
    (owning.folder / "parameters" / message.activation_id).write_bytes(RAW[:3])
    owning.bus.deliver(message)
    await owning.submitted(1)
    assert controller.asked == 1


async def test_parameters_of_a_run_that_ends_while_somebody_waits_are_not_written(make: Make, controller: Controller):
    owning = make(far=True, pull=controller.pull)
    message = a_run(owning, blocking=True)
    owning.bus.deliver(message)
    does((await owning.submitted(1))[0], {"y": 1})
    does((await owning.submitted(2))[1], {"z": 2})
    await owning.stored(message.activation_id)
    assert (kept(owning), files(owning)) == ([], [])


async def test_parameters_of_a_run_that_takes_longer_are_kept_while_somebody_waits(
    make: Make, controller: Controller, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(spooled, "SOON_S", 0.01)
    owning = make(far=True, pull=controller.pull)
    message = a_run(owning, blocking=True)
    owning.bus.deliver(message)
    [job] = await owning.submitted(1)
    await until(lambda: kept(owning) == [message.activation_id])
    assert files(owning) == [message.activation_id]
    does(job, {"y": 1})
    does((await owning.submitted(2))[1], {"z": 2})
    await owning.stored(message.activation_id)
    assert files(owning) == []


async def test_a_run_goes_on_whose_parameters_the_disk_does_not_take_while_somebody_waits(
    make: Make, controller: Controller, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr(spooled, "SOON_S", 0.01)
    owning = make(far=True, pull=controller.pull)
    (owning.folder / "parameters").rmdir()
    message = a_run(owning, blocking=True)
    owning.bus.deliver(message)
    [job] = await owning.submitted(1)
    await until(lambda: "parameters cannot be written" in caplog.text)
    does(job, {"y": 1})
    does((await owning.submitted(2))[1], {"z": 2})
    await owning.stored(message.activation_id)
    assert kept(owning) == []


async def test_a_run_with_its_parameters_is_kept_once_journalled(make: Make):
    owning = make(far=True)
    message, waited = a_run(owning, spooled=False), a_run(owning, spooled=False, blocking=True)
    owning.bus.deliver(message)
    owning.bus.deliver(waited)
    # Who waits for the end need not hear of the beginning.
    assert kept(owning) == [message.activation_id]
    assert owning.journalled().runs.keys() == {message.activation_id, waited.activation_id}


async def test_a_controller_that_was_started_again_and_asks_is_told_again(make: Make, controller: Controller):
    owning = make(far=True, pull=controller.pull)
    message = a_run(owning)
    owning.bus.deliver(message)
    owning.bus.deliver(message)  # its parameters are not here yet
    assert kept(owning) == []
    await owning.submitted(1)
    owning.bus.deliver(message)
    assert kept(owning) == [message.activation_id] * 2
    assert controller.asked == 1


async def test_a_controller_on_this_host_sees_the_commit(make: Make, controller: Controller):
    owning = make(pull=controller.pull)
    message = a_run(owning)
    owning.bus.deliver(message)
    await owning.submitted(1)
    assert kept(owning) == []
    assert not (owning.folder / "parameters").exists()
