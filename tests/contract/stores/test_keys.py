"""What any store of idempotency keys promises."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from invoker_ext.store import Claim, KeyStore
from invoker_ext.stores.couchdb import Place
from invoker_ext.stores.sqlite import SqliteKeys

TTL_MS = 1000
MOST = 5


def opening(make: Callable[[int], KeyStore]) -> Iterator[Callable[[], KeyStore]]:
    """Open stores, and close them at the end."""
    opened: list[KeyStore] = []

    def factory() -> KeyStore:
        opened.append(make(len(opened)))
        return opened[-1]

    yield factory
    for store in opened:
        store.close()


@pytest.fixture
def open_sqlite(tmp_path: Path) -> Iterator[Callable[[], KeyStore]]:
    """Open the same file as another process would."""
    yield from opening(lambda _: SqliteKeys(tmp_path / "keys.db", ttl_ms=TTL_MS, most=MOST))


@pytest.fixture
def open_couch_keys(couch_place: Place) -> Iterator[Callable[[], KeyStore]]:
    """Open the same database, each time as another controller."""
    yield from opening(lambda number: couch_place.keys(str(number), TTL_MS))


@pytest.fixture(params=["open_sqlite", "open_couch_keys"])
def open_keys(request: pytest.FixtureRequest) -> Callable[[], KeyStore]:
    """Open the same store as another process would."""
    found: Callable[[], KeyStore] = request.getfixturevalue(request.param)
    return found


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


def test_above_the_number_of_a_namespace_its_oldest_are_forgotten(open_sqlite: Callable[[], KeyStore]):
    keys = open_sqlite()
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


def test_a_claim_says_which_controller_has_it_and_one_other_takes_it_over(open_couch_keys: Callable[[], KeyStore]):
    zero, one, two = (open_couch_keys() for _ in range(3))
    first = zero.claim("guest", b"k", a_claim(1), 5)

    seen = [one.claim("guest", b"k", a_claim(2), 6), two.find(b"k", 6)]
    assert [(found.by, found.since_ms) for found in seen if found is not None] == [("0", 5)] * 2
    assert [one.take_over(b"k", first, 7), two.take_over(b"k", first, 8)] == [True, False]

    taken = zero.find(b"k", 9)
    assert taken == first
    assert (taken.by, taken.since_ms) == ("1", 7)
    assert not one.take_over(b"other", first, 9)


def test_old_claims_are_swept_a_few_at_a_time_and_others_stay(open_couch_keys: Callable[[], KeyStore]):
    keys, other = open_couch_keys(), open_couch_keys()
    for number in range(5):
        keys.claim("guest", bytes([number]), a_claim(number), 0 if number % 2 else 50)

    swept = [keys.sweep(TTL_MS, 2) for _ in range(3)]

    assert swept == [(2, 1), (2, 1), (1, 0)]
    assert [other.find(bytes([number]), TTL_MS) is not None for number in range(5)] == [True, False] * 2 + [True]
    assert keys.sweep(TTL_MS + 50, 10) == (3, 3)
    assert keys.sweep(TTL_MS + 50, 10) == (0, 0)
