"""Two hosts in networks of their own: every packet is lost for ten seconds, then each takes fifty milliseconds."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.conftest import needs
from tests.support.apart import ADDRESSES, HOW, Apart, available
from tests.support.peer_process import PeerProcess
from tests.support.peering import MIB
from tests.support.waiting import wait_until

LOSS_S = 10.0
SIZE_BYTES = 48 * MIB


@pytest.fixture
def apart() -> Iterator[Apart]:
    needs("network namespaces", available(), HOW)
    made = Apart()
    yield made
    made.close()


@pytest.mark.timeout(60)
def test_a_transfer_goes_on_by_offset_after_ten_seconds_without_a_packet(apart):
    one, two = (PeerProcess(side, f"{ADDRESSES[side]}:7000", prefix=apart.prefix(side)) for side in (0, 1))
    try:
        two.ask("know", number=0, address=one.address)
        offered = one.ask("offer", size_bytes=SIZE_BYTES)
        apart.lose_from_bytes = SIZE_BYTES // 2

        two.begin("pull", ref=offered["ref"])
        wait_until(lambda: apart.losing, within_s=20, message="half of the datum")
        back_s = time.monotonic() + LOSS_S
        wait_until(lambda: time.monotonic() > back_s, within_s=LOSS_S + 1)
        apart.delay_s, apart.losing = 0.05, False
        got = two.answer()

        assert got.get("digest") == offered["digest"], got
        assert got["lost"] == one.ask("figures")["lost"] == []
        assert 0 < got["resumed_at"][-1] < SIZE_BYTES
        # All of it once, and what was under way when the packets were lost: at most the credit.
        assert apart.passed_bytes < SIZE_BYTES + 17 * MIB
    finally:
        two.close()
        one.close()
