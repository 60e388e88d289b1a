"""Idempotency keys that several controllers share: who may start what, and when."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from controller_ext.runs import repeats as module
from controller_ext.runs.ports import Accepted, BalancerUnavailable, DoorUnavailable, Ended
from controller_ext.runs.repeats import UNSURE_MS, Keyed, Repeats
from invoker_ext.contract.records import Activation
from invoker_ext.store import Claim, KeyStore
from invoker_ext.stores.sqlite import SqliteActivations

KEYED = Keyed.of("guest", "action guest/a", "key", b"{}")
RUN = "a" * 32
RECORD = Activation(
    activation_id=RUN,
    namespace="guest",
    name="a",
    subject="guest",
    version="0.0.1",
    start_ms=1,
    end_ms=2,
    duration_ms=1,
    status=0,
    result=b"{}",
    annotations=(),
)


class SharedKeys(KeyStore):
    """Keys as one controller of several sees them; all see the same."""

    def __init__(self, by: str, claims: dict[bytes, Claim]) -> None:
        self.by = by
        self._claims = claims

    def find(self, key: bytes, now_ms: int) -> Claim | None:
        return self._claims.get(key)

    def claim(self, namespace: str, key: bytes, claim: Claim, now_ms: int) -> Claim:
        return self._claims.setdefault(key, replace(claim, by=self.by, since_ms=now_ms))

    def take_over(self, key: bytes, claim: Claim, now_ms: int) -> bool:
        self._claims[key] = replace(claim, by=self.by, since_ms=now_ms)
        return True

    def release(self, key: bytes, activation_id: str) -> None:
        del self._claims[key]

    def close(self) -> None:
        """Nothing is open."""


class World:
    """Two controllers, the records, and which runs invokers have."""

    def __init__(self, records: SqliteActivations) -> None:
        self.records = records
        self.now_ms = 1_000_000
        self.under_way: Callable[[str, str], bool] = lambda namespace, run: False
        claims: dict[bytes, Claim] = {}
        self.first, self.second = (
            Repeats(
                SharedKeys(by, claims),
                records,
                lambda: None,
                lambda: self.now_ms,
                under_way=lambda namespace, run: self.under_way(namespace, run),
            )
            for by in ("0", "1")
        )


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "_LONGEST_LOOK_S", 0.01)
    monkeypatch.setattr(module, "UNDER_WAY_S", 0.05)
    records = SqliteActivations(tmp_path / "activations.db")
    yield World(records)
    records.close()


def test_what_another_controller_has_claimed_is_not_started_here_while_it_may_be_starting(world: World):
    assert world.first.claim(KEYED, RUN) == world.second.claim(KEYED, "b" * 32) == RUN
    assert not world.first.elsewhere(KEYED, recorded=True)
    assert world.second.elsewhere(KEYED, recorded=True)


def test_what_was_never_started_is_once_the_claim_is_old_by_who_takes_it_over(world: World):
    world.first.claim(KEYED, RUN)
    world.now_ms += UNSURE_MS

    assert not world.second.elsewhere(KEYED, recorded=True)
    assert world.first.elsewhere(KEYED, recorded=True)


def no_answer(namespace: str, run: str) -> bool:
    raise DoorUnavailable("invoker1 does not answer")


@pytest.mark.parametrize("under_way", [lambda namespace, run: run == RUN, no_answer])
def test_what_an_invoker_has_or_may_have_is_not_started_again(world: World, under_way):
    world.first.claim(KEYED, RUN)
    world.now_ms += UNSURE_MS
    world.under_way = under_way

    assert world.second.elsewhere(KEYED, recorded=True)
    assert world.second.follow(KEYED, RUN, None) == Accepted(RUN)


def test_where_no_records_are_kept_only_the_controller_that_claimed_knows(world: World):
    world.first.claim(KEYED, RUN)
    world.now_ms += 10 * UNSURE_MS

    assert world.second.elsewhere(KEYED, recorded=False)


def test_who_follows_another_controller_is_told_the_end_or_that_nothing_is_known(world: World):
    world.first.claim(KEYED, RUN)
    with pytest.raises(BalancerUnavailable, match="is another controller's"):
        world.second.follow(KEYED, RUN, 0.02)

    world.records.put_many([RECORD])
    found = world.second.follow(KEYED, RUN, 0.02)
    assert isinstance(found, Ended)
    assert found.activation.activation_id == RUN


def test_a_refused_request_leaves_its_key_to_whoever_is_asked_next(world: World):
    world.first.claim(KEYED, RUN)
    world.first.refused(KEYED, RUN)
    assert world.second.claim(KEYED, "b" * 32) == "b" * 32
