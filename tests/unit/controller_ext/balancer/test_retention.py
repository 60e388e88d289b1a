from __future__ import annotations

import asyncio

import pytest

from controller_ext.balancer.retention import KEY_SLICES, SLICE, UNBORN_S, Bounds, Retention
from invoker_ext.store import ActivationStore, KeyStore, StoreUnavailable

NOW_MS = 10**12


class FakeStore(ActivationStore):
    """Has so many records to remove; notes what it is asked."""

    def __init__(self, expired: int) -> None:
        self.expired = expired
        self.asked: list[tuple[int | None, int | None, int]] = []
        self.reclaimed: list[int] = []
        self.away = False

    def put_many(self, records):
        raise NotImplementedError

    def get(self, namespace, activation_id):
        raise NotImplementedError

    def list(self, query):
        raise NotImplementedError

    def count(self, query):
        raise NotImplementedError

    def expire(self, before_ms, most, limit):
        if self.away:
            raise StoreUnavailable("locked")
        self.asked.append((before_ms, most, limit))
        count = min(limit, self.expired)
        self.expired -= count
        return count

    def reclaim(self, before_ms):
        self.reclaimed.append(before_ms)

    def close(self):
        raise NotImplementedError


def sweep(store: FakeStore, age_s: float, most: int) -> int:
    return asyncio.run(Retention(store, Bounds(age_s, most), pause_s=0, now_ms=lambda: NOW_MS).sweep())


def test_all_that_is_too_old_is_removed_in_slices():
    store = FakeStore(2 * SLICE + 1)
    assert sweep(store, 60.0, 5) == 2 * SLICE + 1
    assert store.asked == [(NOW_MS - 60_000, 5, SLICE)] * 4
    assert store.reclaimed == [NOW_MS - 60_000]


@pytest.mark.parametrize(("age_s", "most", "asked"), [(60.0, 0, (NOW_MS - 60_000, None)), (0, 5, (None, 5))])
def test_a_bound_of_zero_keeps_all(age_s: float, most: int, asked: tuple[int | None, int | None]):
    store = FakeStore(1)
    assert sweep(store, age_s, most) == 1
    assert store.asked[0] == (*asked, SLICE)


class FakeKeys(KeyStore):
    """Has slices with so many old keys each."""

    def __init__(self, *old: int, last: int = SLICE) -> None:
        self.slices = [(SLICE, one) for one in old[:-1]] + [(last, old[-1])]
        self.asked: list[tuple[int, int]] = []

    def find(self, key, now_ms):
        raise NotImplementedError

    def claim(self, namespace, key, claim, now_ms):
        raise NotImplementedError

    def release(self, key, activation_id):
        raise NotImplementedError

    def close(self):
        raise NotImplementedError

    def sweep(self, now_ms, limit):
        self.asked.append((now_ms, limit))
        return self.slices.pop(0)


@pytest.mark.parametrize(
    ("keys", "slices"),
    [
        (FakeKeys(*[0] * 30), KEY_SLICES),
        (FakeKeys(*[SLICE // 2] * 15, 0, 0), KEY_SLICES + 6),
        (FakeKeys(3, 4, last=SLICE - 1), 2),
    ],
    ids=["few are old", "many are old", "all were looked at"],
)
def test_keys_are_swept_in_turn_for_longer_while_many_are_old(keys: FakeKeys, slices: int):
    retention = Retention(FakeStore(0), Bounds(0, 0), keys=keys, pause_s=0, now_ms=lambda: NOW_MS)
    removed = sum(old for _, old in keys.slices[:slices])
    assert asyncio.run(retention.forget_keys()) == removed
    assert keys.asked == [(NOW_MS, SLICE)] * slices


def test_without_bounds_the_store_is_left_alone():
    store = FakeStore(1)
    assert sweep(store, 0, 0) == 0
    assert (store.asked, store.reclaimed) == ([], [])


def test_results_may_wait_for_their_record_for_a_day():
    store = FakeStore(0)
    sweep(store, 10 * UNBORN_S, 0)
    sweep(store, 0, 5)
    assert store.reclaimed == [NOW_MS - int(UNBORN_S * 1000)] * 2


def test_a_store_that_is_away_is_swept_the_next_time(caplog: pytest.LogCaptureFixture):
    store = FakeStore(1)
    store.away = True
    with pytest.raises(StoreUnavailable):
        sweep(store, 60.0, 5)

    async def run() -> None:
        task = asyncio.create_task(Retention(store, Bounds(60.0, 5)).run())
        await asyncio.wait([task], timeout=0.2)
        assert not task.done()
        task.cancel()

    asyncio.run(run())
    assert "old records and keys cannot be removed for now" in caplog.text
