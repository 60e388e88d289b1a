"""Idempotency keys: requests that are the same request, sent again, become one activation.

The first request of a key claims it for its activation id, in the store and before anything is started. Whoever comes
after it, through any worker, runs under that id: a run that is under way is joined, one that ended is read, one that
was never started (its worker died, it was throttled) is started now. What starts an id twice is recognised by balancer
and invoker, as for connections that break. In a namespace that keeps no records only these two remember an end.

Where controllers share the keys, a claim is that of one of them, as its balancer alone knows what becomes of the run.
The others wait for the record. What was never started is started by another one once the claim is old and no invoker
has the run: it takes the claim over first.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from controller_ext.entities.errors import KeyReused
from controller_ext.runs.ports import Accepted, BalancerUnavailable, DoorUnavailable, Ended
from invoker_ext.store import ActivationStore, Claim, KeyStore

_COMPOSED: Final = ("sequence", "dataflow:1")
_FIRST_LOOK_S: Final = 0.05
_LONGEST_LOOK_S: Final = 1.0
UNSURE_MS: Final = 60_000
"""How long a claim of another controller may be without a run: longer than its callers wait until one is accepted."""
ELSEWHERE: Final = (
    "The first request with this Idempotency-Key is another controller's, and is not known to be accepted yet: "
    "send it again."
)
UNDER_WAY_S: Final = 10.0
"""How long is waited for a run to be taken that another controller is starting."""


@dataclass(slots=True, frozen=True)
class Keyed:
    """A request that carries a key.

    Attributes:
        namespace: The caller's.
        key: Stands for namespace, target and key; of one length, however long those are.
        body: Stands for the request's body.
    """

    namespace: str
    key: bytes
    body: bytes

    @staticmethod
    def of(namespace: str, target: str, key: str, raw: bytes) -> Keyed:
        """Return what stands for a request.

        Args:
            namespace: The caller's.
            target: Full name of what is invoked or fired.
            key: As sent.
            raw: The body as it came.
        """
        scope = hashlib.sha256("\0".join((namespace, target, key)).encode(errors="surrogateescape"))
        return Keyed(namespace, scope.digest(), hashlib.sha256(raw).digest())


class Repeats:
    """Thread-safe; make it after the fork.

    Args:
        keys: Where claims are.
        records: Where ends are found.
        settle: Has pending records written; bounded, raises nothing.
        now_ms: Epoch milliseconds.
        under_way: Asks the invokers whether one of them has a run, by namespace and id; raises DoorUnavailable.
    """

    def __init__(
        self,
        keys: KeyStore,
        records: ActivationStore,
        settle: Callable[[], None],
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        under_way: Callable[[str, str], bool] = lambda namespace, activation_id: False,
    ) -> None:
        self._under_way = under_way
        self._keys = keys
        self._records = records
        self._settle = settle
        self._now_ms = now_ms

    def earlier(self, keyed: Keyed) -> str | None:
        """Return the activation id that an earlier request claimed; raises KeyReused if its body was another one."""
        return self._same(keyed, self._keys.find(keyed.key, self._now_ms()))

    def claim(self, keyed: Keyed, activation_id: str) -> str:
        """Claim the key for an activation id; return that of whoever was first.

        Raises:
            KeyReused: Who was first had another body.
            StoreUnavailable: Nothing may be started: nobody would know of it.
        """
        first = self._keys.claim(keyed.namespace, keyed.key, Claim(keyed.body, activation_id), self._now_ms())
        return self._same(keyed, first) or activation_id

    def release(self, keyed: Keyed, activation_id: str) -> None:
        """Take back a claim of which nothing was started."""
        self._keys.release(keyed.key, activation_id)

    def refused(self, keyed: Keyed, activation_id: str) -> None:
        """Take back a claim of what was refused, if others may be the next to be asked: they cannot know of it."""
        if self._keys.by:
            self.release(keyed, activation_id)

    def elsewhere(self, keyed: Keyed, *, recorded: bool) -> bool:
        """Return whether another controller may have started what a key stands for: it must not be started here.

        If it has not, the claim is ours from here on.

        Args:
            keyed: The request.
            recorded: Its end would have a record; else nobody but the other controller can know whether it was.
        """
        claim = self._keys.find(keyed.key, self._now_ms()) if self._keys.by else None
        if claim is None or claim.by == self._keys.by:
            return False
        young = self._now_ms() - claim.since_ms < UNSURE_MS
        if young or not recorded or self.at_hand(keyed.namespace, claim.activation_id):
            return True
        return not self._keys.take_over(keyed.key, claim, self._now_ms())

    def at_hand(self, namespace: str, activation_id: str) -> bool:
        """Return whether an invoker has a run, or could have it; where there is one controller its balancer knows."""
        if not self._keys.by:
            return False
        try:
            return self._under_way(namespace, activation_id)
        except DoorUnavailable:
            return True

    def follow(self, keyed: Keyed, activation_id: str, wait_s: float | None) -> Accepted | Ended:
        """Wait for the end of what another controller starts.

        Raises:
            BalancerUnavailable: It is not known to be accepted.
        """
        found = self.wait(keyed.namespace, activation_id, wait_s)
        give_up = time.monotonic() + UNDER_WAY_S
        while isinstance(found, Accepted) and not self.at_hand(keyed.namespace, activation_id):
            if time.monotonic() >= give_up:
                raise BalancerUnavailable(ELSEWHERE)
            found = self.wait(keyed.namespace, activation_id, _LONGEST_LOOK_S)
        return Accepted(activation_id) if wait_s is None else found

    def ended(self, namespace: str, activation_id: str) -> Ended | None:
        """Return the end of an activation, as who waited for it was told; None: it has not ended, or never began."""
        record = self._records.get(namespace, activation_id)
        if record is None:
            self._settle()
            record = self._records.get(namespace, activation_id)
        if record is None:
            return None
        return Ended(record if record.annotation("kind") in _COMPOSED else record.without_logs())

    def wait(self, namespace: str, activation_id: str, wait_s: float | None) -> Accepted | Ended:
        """Wait for the end of an activation that some worker runs by itself: only its record can be waited for."""
        give_up = time.monotonic() + (wait_s or 0.0)
        look_s, never = _FIRST_LOOK_S, threading.Event()
        while (left_s := give_up - time.monotonic()) > 0:
            never.wait(min(look_s, left_s))
            found = self.ended(namespace, activation_id)
            if found is not None:
                return found
            look_s = min(2 * look_s, _LONGEST_LOOK_S)
        return Accepted(activation_id)

    def _same(self, keyed: Keyed, claim: Claim | None) -> str | None:
        if claim is None:
            return None
        if claim.body != keyed.body:
            raise KeyReused
        return claim.activation_id
