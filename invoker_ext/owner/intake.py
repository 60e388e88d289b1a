"""How runs come off the bus: each once, in the order of safety that `owner.py` states."""

from __future__ import annotations

import logging
from functools import partial
from typing import Protocol

from invoker_ext.bus import Bus, Message
from invoker_ext.contract.acks import is_health_test
from invoker_ext.contract.messages import DOOR, ActivationMessage
from invoker_ext.contract.records import Activation
from invoker_ext.owner.outbox import Outbox
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
        if not self._known(run, message) and self._owner.accept(run, message.payload):
            self._uncommitted.add(run.activation_id)
        if self._owner.holds(run.activation_id):
            self._teller.expect(run.activation_id, message.headers.get(DOOR))
        if run.graph is None:  # stock's order: commit, then run
            self._bus.commit(self._topic, message.offset, partial(self._begin, run))
        else:
            self._bus.commit(self._topic, message.offset)
            self._begin(run)

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
        if not message.repeated:
            return False
        # A kill may have come between the end of the run and its commit, when the journal needed it no more.
        record = self._outbox.stored_record(run.user.namespace, run.activation_id)
        if record is None:
            return False
        self._owner.end_again(run.activation_id, bytes(message.payload), record)
        return True

    def _begin(self, run: ActivationMessage) -> None:
        """Begin a run unless it has begun: its message may have come, and been committed, several times."""
        if run.activation_id in self._uncommitted:
            self._uncommitted.discard(run.activation_id)
            if not self._owner.halted:
                self._owner.begin_accepted(run)
