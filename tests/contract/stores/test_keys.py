"""What any store of idempotency keys promises."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from invoker_ext.store import Claim, KeyStore
from invoker_ext.stores.sqlite import SqliteKeys

TTL_MS = 1000
MOST = 5


@pytest.fixture(params=["sqlite"])
def open_keys(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], KeyStore]]:
    """Open the same store as another process would."""
    opened: list[KeyStore] = []

    def factory() -> KeyStore:
        opened.append(SqliteKeys(tmp_path / "keys.db", ttl_ms=TTL_MS, most=MOST))
        return opened[-1]

    yield factory
    for store in opened:
        store.close()


@pytest.fixture
def keys(open_keys: Callable[[], KeyStore]) -> KeyStore:
    return open_keys()


def a_claim(number: int) -> Claim:
    return Claim(b"body", f"{number:032x}")


def test_the_first_claim_holds(open_keys: Callable[[], KeyStore]):
    here, there = open_keys(), open_keys()
    assert here.find(b"k", 0) is None
    assert here.claim("guest", b"k", a_claim(1), 0) == a_claim(1)
    assert there.claim("guest", b"k", a_claim(2), 5) == a_claim(1)
    assert there.find(b"k", 6) == a_claim(1)


def test_a_claim_is_over_after_its_time(keys: KeyStore):
    keys.claim("guest", b"k", a_claim(1), 0)
    assert keys.find(b"k", TTL_MS - 1) == a_claim(1)
    assert keys.find(b"k", TTL_MS) is None
    assert keys.claim("guest", b"k", a_claim(2), TTL_MS) == a_claim(2)


def test_above_the_number_of_a_namespace_its_oldest_are_forgotten(keys: KeyStore):
    keys.claim("other", b"other", a_claim(9), 0)
    for number in range(MOST + 2):
        keys.claim("guest", bytes([number]), a_claim(number), number)
    found = [keys.find(bytes([number]), 10) is not None for number in range(MOST + 2)]
    assert found == [False, False] + [True] * MOST
    assert keys.find(b"other", 10) == a_claim(9)


def test_only_ones_own_claim_is_released(keys: KeyStore):
    keys.claim("guest", b"k", a_claim(1), 0)
    keys.release(b"k", a_claim(2).activation_id)
    assert keys.find(b"k", 1) == a_claim(1)
    keys.release(b"k", a_claim(1).activation_id)
    assert keys.find(b"k", 1) is None


def test_of_many_who_claim_at_once_one_is_first(open_keys: Callable[[], KeyStore]):
    heard: list[Claim] = []
    stores = [open_keys() for _ in range(3)]
    barrier = threading.Barrier(12)

    def claim(number: int) -> None:
        barrier.wait(10)
        heard.append(stores[number % 3].claim("guest", b"k", a_claim(number), 0))

    threads = [threading.Thread(target=claim, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(heard) == 12
    assert len(set(heard)) == 1
