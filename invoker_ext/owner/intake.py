"""How runs come off the bus: each once, in the order of safety that `owner.py` states."""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from functools import partial
from typing import Protocol

from invoker_ext.bus import Bus, Message
from invoker_ext.contract.acks import is_health_test
from invoker_ext.contract.messages import DOOR, ActivationMessage
from invoker_ext.contract.records import Activation
from invoker_ext.owner.outbox import REMEMBERED, Outbox
from invoker_ext.owner.teller import Teller

_log = logging.getLogger(__name__)


class Acceptor(Protocol):
    """The owner as the intake sees it."""

    halted: bool

    def holds(self, run: str) -> bool:
        """Return whether a run is at hand."""

    def accept(self, message: ActivationMessage, payload: bytes | memoryview) -> bool:
        """Journal a run; return whether it may begin, False if it has been refused."""

    def begin_accepted(self, message: ActivationMessage) -> None:
        """Begin a run that is journalled."""

    def drop(self, run: str, epoch: int) -> None:
        """Let go of a run that was given to another owner, without a word."""

    def end_again(self, run: str, payload: bytes, record: Activation | None) -> None:
        """Tell of the end of a run that an earlier life of this owner brought about."""


class Intake:
    """Lives on the loop."""

    def __init__(self, topic: str, bus: Bus, outbox: Outbox, teller: Teller, owner: Acceptor) -> None:
        self._topic = topic
        self._bus = bus
        self._outbox = outbox
        self._teller = teller
        self._owner = owner
        self._uncommitted: set[str] = set()
        """Runs that are journalled and wait for their commit."""
        self._early: OrderedDict[str, bool] = OrderedDict()
        """Runs that came early, whose message the bus has not brought yet, oldest first."""
        self._since_ms = time.time_ns() // 1_000_000
        self.stopped = False
        """What comes now is not committed: the bus keeps it for whoever comes next."""

    def listen(self) -> None:
        """Take runs from the bus."""
        self._bus.subscribe(self._topic, self._on_message)

    def _on_message(self, message: Message) -> None:
        if self.stopped:
            return
        try:
            run = ActivationMessage.decode(message.payload, message.headers.get("c", 0))
        except ValueError as error:
            _log.error("message dropped", extra={"error": str(error)})
            self._bus.commit(self._topic, message.offset)
            return
        if is_health_test(run):
            self._bus.commit(self._topic, message.offset, partial(self._healthy, run))
            return
        if message.headers.get("drop") is True:
            _log.warning("another owner has a run", extra={"run": run.activation_id, "epoch": run.epoch})
            self._owner.drop(run.activation_id, run.epoch)
            self._bus.commit(self._topic, message.offset)
            return
        if self._early.pop(run.activation_id, False):
            self._bus.commit(self._topic, message.offset)
            return
        if not self._known(run, message) and self._owner.accept(run, message.payload):
            self._uncommitted.add(run.activation_id)
        if self._owner.holds(run.activation_id):
            self._teller.expect(run.activation_id, message.headers.get(DOOR))
        if run.graph is None:  # stock's order: commit, then run
            self._bus.commit(self._topic, message.offset, partial(self._begin, run))
        else:
            self._bus.commit(self._topic, message.offset)
            self._begin(run)

    def take_early(self, message: Message) -> None:
        """Begin a run that its controller has handed over itself, before the bus brings its message.

        A plain action is not among them: it waits for the commit of its message. The run is journalled first, as any
        other is; when its message comes there is nothing to do but to commit it.
        """
        if self.stopped:
            return
        try:
            run = ActivationMessage.decode(message.payload, message.headers.get("c", 0))
        except ValueError as error:
            _log.error("message dropped", extra={"error": str(error)})
            return
        name = run.activation_id
        if run.graph is None or self._owner.holds(name) or self._outbox.repeated(name):
            return
        self._early[name] = True
        if len(self._early) > REMEMBERED:
            self._early.popitem(last=False)
        if self._owner.accept(run, message.payload):
            self._teller.expect(name, message.headers.get(DOOR))
            self._owner.begin_accepted(run)

    def _healthy(self, test: ActivationMessage) -> None:
        """Answer a controller that asks whether we work: not while records cannot be kept."""
        self._teller.healthy(test, system_error=self._outbox.full)

    def _known(self, run: ActivationMessage, message: Message) -> bool:
        """Return whether this message has come before; answer again for a run that has ended."""
        if self._owner.holds(run.activation_id):
            self._teller.kept_again(run.activation_id)
            return True
        if self._outbox.repeated(run.activation_id):
            return True
        if not message.repeated and not self._may_have_come_early(run):
            return False
        # A kill may have come between the end of the run and its commit, when the journal needed it no more.
        record = self._outbox.stored_record(run.user.namespace, run.activation_id)
        if record is None:
            return False
        self._owner.end_again(run.activation_id, bytes(message.payload), record)
        return True

    def _may_have_come_early(self, run: ActivationMessage) -> bool:
        """Return whether an earlier life of ours may have had a run of which the bus has heard only now."""
        return run.graph is not None and run.started_ms is not None and run.started_ms < self._since_ms

    def _begin(self, run: ActivationMessage) -> None:
        """Begin a run unless it has begun: its message may have come, and been committed, several times."""
        if run.activation_id in self._uncommitted:
            self._uncommitted.discard(run.activation_id)
            if not self._owner.halted:
                self._owner.begin_accepted(run)
