"""What an earlier life of an owner left in the journal, taken up again."""

from __future__ import annotations

import logging
from collections.abc import Callable

from invoker_ext.contract.messages import ActivationMessage
from invoker_ext.contract.records import Activation
from invoker_ext.journal import Journal, Recovered, Unfinished
from invoker_ext.owner.outbox import Outbox

_log = logging.getLogger(__name__)


class Recovery:
    """Lives on the loop."""

    def __init__(self, journal: Journal, outbox: Outbox) -> None:
        self._journal = journal
        self._outbox = outbox

    def recover(self, found: Recovered, resume: Callable[[ActivationMessage, bool], None]) -> None:
        """Take up everything.

        Args:
            found: In the journal.
            resume: Goes on with a run; called with whether a function began that must not begin twice.
        """
        records = {record.activation_id: record for record in found.records}
        self._outbox.keep(found.records)
        for run, payload in found.ended.items():
            self.end_again(run, payload, records.get(run))
        for run, left in found.runs.items():
            record = records.get(run)
            if record is not None:  # the kill tore the entry of its end off
                self.end_again(run, left.message, record)
            else:
                self._resume(run, left, resume)
        try:
            self._journal.flush()
        except OSError:
            _log.exception("journal cannot be written; the earlier one is kept")
        else:
            self._journal.settle()
        _log.info("journal recovered", extra={"runs": len(found.runs), "records": len(found.records)})

    def end_again(self, run: str, payload: bytes, record: Activation | None) -> None:
        """Tell of the end of a run again: the kill may have come between the journal and the bus."""
        message = _journalled(payload)
        if message is None or record is None:
            self._outbox.remember(run, None)
            return
        self._journal.accepted(run, payload)
        self._outbox.finish(message, record)

    def _resume(self, run: str, left: Unfinished, resume: Callable[[ActivationMessage, bool], None]) -> None:
        message = _journalled(left.message)
        if message is None:
            return
        record = self._outbox.stored_record(message.user.namespace, run)
        if record is not None:  # its end was never journalled: the disk was full then
            self.end_again(run, left.message, record)
            return
        self._journal.accepted(run, left.message)
        resume(message, left.began)


def _journalled(payload: bytes) -> ActivationMessage | None:
    try:
        return ActivationMessage.decode(payload)
    except ValueError:
        _log.exception("journalled message cannot be read")
        return None
