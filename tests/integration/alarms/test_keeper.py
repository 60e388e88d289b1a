"""Alarms on a real store and real threads; of the API only what it answers is made up."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from controller_ext.alarms import feed
from controller_ext.alarms.calls import TriggerApi
from controller_ext.alarms.keeper import AlarmKeeper
from controller_ext.alarms.stored import alarm_id, all_alarms, document
from controller_ext.entities.names import Name
from invoker_ext.store import EntityStore, StoreUnavailable
from invoker_ext.stores.sqlite import SqliteEntities
from tests.support.rest_stub import rest_stub
from tests.support.waiting import until


def now_ms() -> int:
    return int(time.time() * 1000)


class FakeTriggers:
    """Notes what is asked, and answers with one status after the other, the last for good."""

    def __init__(self, *statuses: int | None) -> None:
        self.fired: list[feed.Alarm] = []
        self.deleted: list[tuple[str, bool]] = []
        self._statuses = list(statuses)

    def fire(self, alarm: feed.Alarm) -> int | None:
        self.fired.append(alarm)
        return self._statuses.pop(0) if len(self._statuses) > 1 else self._statuses[0]

    def delete(self, alarm: feed.Alarm, *, rules: bool) -> int | None:
        self.deleted.append((alarm["name"], rules))
        return 200


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "entities.db"


@asynccontextmanager
async def keeping(triggers: Any, open_store: Callable[[], EntityStore]) -> AsyncIterator[None]:
    keeper = AlarmKeeper(open_store, triggers, now_ms(), now_ms)
    task = asyncio.create_task(keeper.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


class Alarms:
    """What a worker does to alarms."""

    def __init__(self, file: Path) -> None:
        self._store = SqliteEntities(file)

    def make(self, name: str = "t", **params: Any) -> None:
        alarm = {"apikey": "u:k", "name": name, "namespace": "guest", **feed.create(params, now_ms())}
        doc_id = alarm_id(Name("guest", None, name))
        self._store.put(doc_id, document(doc_id, alarm, now_ms()), None)

    def delete(self) -> None:
        (old,) = all_alarms(self._store)
        self._store.delete(old.id, old.revision)

    def only(self) -> feed.Alarm:
        (one,) = all_alarms(self._store)
        return one.alarm

    def status(self) -> dict[str, Any]:
        status: dict[str, Any] = self.only()["status"]
        return status

    def none(self) -> bool:
        return not all_alarms(self._store)

    def close(self) -> None:
        self._store.close()


@pytest.fixture
async def alarms(file: Path) -> AsyncIterator[Alarms]:
    alarms = await asyncio.to_thread(Alarms, file)
    yield alarms
    await asyncio.to_thread(alarms.close)


async def test_an_alarm_fires_until_it_is_deleted(file: Path, alarms: Alarms):
    triggers = FakeTriggers(202)
    async with keeping(triggers, lambda: SqliteEntities(file)):
        await asyncio.to_thread(alarms.make, cron="* * * * * *", trigger_payload={"n": 1})
        await until(lambda: len(triggers.fired) >= 2, within_s=10)
        assert triggers.fired[0]["payload"] == {"n": 1}
        await asyncio.to_thread(alarms.delete)
        fired = len(triggers.fired)
        await asyncio.to_thread(alarms.make, "later", fireOnce=True, date=now_ms() + 3_500)
        await until(lambda: triggers.fired[-1]["name"] == "later", within_s=10)
        assert len(triggers.fired) - 1 - fired <= 2, "as many as come before the deletion is seen"


async def test_an_alarm_whose_trigger_is_gone_ends_and_says_so(file: Path, alarms: Alarms):
    triggers = FakeTriggers(404)
    async with keeping(triggers, lambda: SqliteEntities(file)):
        await asyncio.to_thread(alarms.make, cron="* * * * * *")
        await until(lambda: not alarms.status()["active"], within_s=10)
    assert alarms.status()["reason"]["statusCode"] == 404
    assert len(triggers.fired) == 1


async def test_an_alarm_survives_a_restart(file: Path, alarms: Alarms):
    await asyncio.to_thread(alarms.make, cron="* * * * * *")
    triggers = FakeTriggers(202)
    for _ in range(2):
        triggers.fired.clear()
        async with keeping(triggers, lambda: SqliteEntities(file)):
            await until(lambda: triggers.fired, within_s=10)


async def test_a_fire_that_found_nobody_is_made_again(file: Path, alarms: Alarms):
    triggers = FakeTriggers(None, 202)
    async with keeping(triggers, lambda: SqliteEntities(file)):
        await asyncio.to_thread(alarms.make, fireOnce=True, date=now_ms() + 300)
        await until(lambda: not alarms.status()["active"], within_s=10)
    assert len(triggers.fired) == 2
    assert alarms.status()["reason"]["message"] == "Automatically disabled after firing once"


async def test_an_alarm_may_take_its_trigger_along(file: Path, alarms: Alarms):
    triggers = FakeTriggers(202)
    async with keeping(triggers, lambda: SqliteEntities(file)):
        await asyncio.to_thread(alarms.make, fireOnce=True, date=now_ms() + 300, deleteAfterFire="rules")
        await until(lambda: triggers.deleted == [("t", True)], within_s=10)
        await until(alarms.none, within_s=5)


async def test_a_count_of_fires_is_kept_over_a_restart(file: Path, alarms: Alarms):
    await asyncio.to_thread(alarms.make, cron="* * * * * *", maxTriggers=2)
    triggers = FakeTriggers(202)
    while alarms.status()["active"]:
        left = alarms.only().get("triggersLeft", 2)
        async with keeping(triggers, lambda: SqliteEntities(file)):
            await until(lambda left=left: alarms.only().get("triggersLeft", 2) < left, within_s=10)  # type: ignore[misc]
    assert len(triggers.fired) == 2
    assert alarms.status()["reason"]["message"] == "Automatically disabled after reaching max triggers"


async def test_a_store_that_is_away_is_waited_for(file: Path, alarms: Alarms):
    attempts = 0

    def open_store() -> EntityStore:
        nonlocal attempts
        attempts += 1
        if attempts < 2:
            raise StoreUnavailable("away")
        return SqliteEntities(file)

    triggers = FakeTriggers(202)
    await asyncio.to_thread(alarms.make, cron="* * * * * *")
    async with keeping(triggers, open_store):
        await until(lambda: triggers.fired, within_s=10)


@pytest.mark.parametrize(
    ("rules", "asked"),
    [
        (False, ["DELETE namespaces/guest/triggers/t%20x"]),
        (
            True,
            [
                "GET namespaces/guest/triggers/t%20x",
                "DELETE namespaces/guest/triggers/t%20x",
                "DELETE namespaces/guest/rules/r",
            ],
        ),
    ],
)
def test_the_api_is_asked_with_the_key_of_the_alarm(rules: bool, asked: list[str]):
    alarm = {"apikey": "u:k", "namespace": "guest", "name": "t x", "payload": {"a": 1}}
    trigger = (200, {"rules": {"guest/r": {"status": "active"}}})
    answers = {"GET namespaces/guest/triggers/t%20x": trigger, "DELETE namespaces/guest/triggers/t%20x": trigger}
    with rest_stub({**answers, "POST namespaces/guest/triggers/t%20x": (202, {})}) as stub:
        api = TriggerApi(stub.url)
        assert api.fire(alarm) == 202
        assert stub.asked.pop() == ("POST namespaces/guest/triggers/t%20x", {"a": 1})
        assert api.delete(alarm, rules=rules) == 200
        assert [one for one, _ in stub.asked] == asked
    assert api.fire(alarm) is None, "nobody listens any more"
    assert api.delete(alarm, rules=rules) is None
