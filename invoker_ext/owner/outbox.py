"""What leaves the owner: records to journal and store, completions to controllers, large results to whoever pulls them.

Once a tick everything that happened in it is made safe by one write, and only then shown to others.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from invoker_ext.contract.messages import WHOLE_RESULT_BYTES, ActivationMessage, Completion, Identity
from invoker_ext.contract.records import Activation
from invoker_ext.journal import Journal
from invoker_ext.owner.identification import Identification
from invoker_ext.owner.recorder import Recorder
from invoker_ext.owner.teller import Teller
from invoker_ext.sink.datum import Stored
from invoker_ext.store import ActivationStore, StoreUnavailable

_log = logging.getLogger(__name__)

SENT_RESULT_BYTES: Final = 64 * 1024
"""A larger result of a sequence or workflow is pulled at our door, where controllers reach it from other hosts: a
broker would take it in, write it, and send it on."""
REMEMBERED: Final = 10_000
"""Ended runs whose repeated message is recognised; the bus repeats only what was not committed."""
SMALL_BYTES: Final = 16 * 1024
"""Completions up to this are remembered whole, so that a repeated message is answered again."""


class Outbox:
    """Lives on the loop.

    Args:
        who: Of this invoker.
        teller: Tells controllers of ends.
        journal: Holds records until the store has them.
        records: The store.
        pending_bytes: Bound of records that wait for the store.
        on_flushed: Called after each flush.
    """

    def __init__(
        self,
        who: Identification,
        teller: Teller,
        journal: Journal,
        records: ActivationStore,
        pending_bytes: int,
        on_flushed: Callable[[], None],
    ) -> None:
        self._who = who
        self._teller = teller
        self._journal = journal
        self._records = records
        self._on_flushed = on_flushed
        self._loop = asyncio.get_running_loop()
        self._recorder = Recorder(records, self._stored, pending_bytes)
        self._recent: OrderedDict[str, Completion | None] = OrderedDict()
        self._held: dict[str, bytes] = {}
        self._fresh: list[Activation] = []
        self._places: list[tuple[bytes, str]] = []
        """Results that the store has kept in this tick, and where."""
        self._ended: list[Completion] = []
        self._flushing = False

    @property
    def full(self) -> bool:
        """The store has been away for so long that no more records can be kept."""
        return self._recorder.full

    @property
    def empty(self) -> bool:
        """No completion waits to be published."""
        return not self._ended

    def keep(self, records: Sequence[Activation], user: Identity | None = None) -> None:
        """Journal records now, write them to the store behind the response; large results go to the store at once.

        Args:
            records: Of activations that ended.
            user: Whose they are; None: they ended in an earlier process, which has told of them.
        """
        if user is not None:
            self._teller.happened(records, user)
        for record in map(self._placed, records):
            self._journal.record(record)
            # What the store has kept is let go at once: the next result then lies where this one lay, in the cache.
            self._fresh.append(record if record.place is None else replace(record, result=None))
        self._flush_soon()

    def place(self, datum: Stored) -> str | None:
        """Have the store keep a large JSON datum; None: it must be read. Copies it once, inside the system."""
        if datum.inline is not None or self._who.stock_acks:
            return None  # a stock controller is sent the result itself
        try:
            return self._records.keep_datum(datum.descriptor(), datum.size_bytes)
        except StoreUnavailable as error:
            _log.warning("a result goes to the journal, not to the store", extra={"error": str(error)})
            return None

    def answer(self, message: ActivationMessage, record: Activation) -> None:
        """Tell the result of a plain action ahead of its log; one that is held for whoever pulls it waits for that."""
        if record.result is not None and len(record.result) > self._sent_bytes(message, record):
            return
        self._journal.record(record)  # what is told stands, whatever is killed before its log is there
        self._write()
        blocking = message.blocking if self._who.stock_acks else None
        shown = record.without_logs()
        self._teller.answered(Completion(message.transid, shown, None, message.controller, blocking, message.epoch))

    def finish(self, message: ActivationMessage, record: Activation) -> None:
        """Journal the end of a run whose record is kept, and tell its controller."""
        self._journal.ended(message.activation_id)
        record = self._placed(record)
        shown = record.without_logs() if message.graph is None else record
        large: tuple[str, str, int] | None = None
        result = record.result
        if message.graph is None and self._who.stock_acks:
            shown = record  # what of it is told, and how, follows from the message
        elif record.unstored and record.place is not None:
            shown = replace(shown, result=None)  # it lies in the store alone, without a record
        elif result is not None and len(result) > self._sent_bytes(message, record):
            self._held[record.activation_id] = result
            large = (self._who.door, f"{record.namespace}/{record.activation_id}", len(result))
            shown = replace(shown, result=None, place=None)
        blocking = message.blocking if message.graph is None and self._who.stock_acks else None
        completion = Completion(message.transid, shown, large, message.controller, blocking, message.epoch)
        # What lies in the store or is pulled at our door is told of, not sent: that much is cheap to remember.
        told = replace(shown, result=None) if shown.place is not None else shown
        small = told.result is None or len(told.result) <= SMALL_BYTES
        remembered = replace(completion, activation=told) if small else None
        self.remember(message.activation_id, remembered)
        self._ended.append(completion)
        self._flush_soon()

    def _sent_bytes(self, message: ActivationMessage, record: Activation) -> int:
        """Return up to how many bytes a result travels in the completion."""
        # Of a plain action who waits may be of stock; what is never stored is not held for anybody either.
        pulled = self._who.door_is_far and message.graph is not None and not record.unstored
        return SENT_RESULT_BYTES if pulled else WHOLE_RESULT_BYTES

    def remember(self, run: str, completion: Completion | None) -> None:
        """Recognise this run if its message comes again."""
        self._recent[run] = completion
        if len(self._recent) > REMEMBERED:
            self._recent.popitem(last=False)

    def repeated(self, run: str) -> bool:
        """Answer again for a run that has ended; return whether it is one.

        Of one whose result is neither small nor in the store, nobody is told again: its controller finds the record.
        """
        if run not in self._recent:
            return False
        completion = self._recent[run]
        if completion is not None:
            self._teller.publish(completion)
        return True

    def stored_record(self, namespace: str, activation_id: str) -> Activation | None:
        """Return a record that the store has; None if it has none or cannot be asked. Blocks: for the start only."""
        try:
            return self._records.get(namespace, activation_id)
        except StoreUnavailable:
            return None

    async def settle(self) -> None:
        """Return once all records made so far are in the store."""
        self.flush()
        await self._recorder.settle()

    async def result(self, name: str) -> bytes | None:
        """Return the bytes of a large result that a completion named (`namespace/activation id`)."""
        namespace, _, activation_id = name.rpartition("/")
        held = self._held.get(activation_id)
        if held is not None:
            return held
        record = await asyncio.to_thread(self._records.get, namespace, activation_id)
        return record.result if record is not None else None

    async def close(self, within_s: float) -> None:
        """Write what is left to the store, for at most `within_s`; the journal holds the rest."""
        self.flush()
        await self._recorder.close(within_s)

    def _placed(self, record: Activation) -> Activation:
        """Have the store keep a large result; one of a sequence and of its last step, which come in one tick, once."""
        result = record.result
        if result is None or record.place is not None:
            return record
        place = next((place for other, place in self._places if other is result), None)
        if place is None:
            try:
                place = self._records.keep_result(result)
            except StoreUnavailable as error:
                _log.warning("a result goes to the journal, not to the store", extra={"error": str(error)})
            if place is None:
                return record
            self._places.append((result, place))
        return replace(record, place=place)

    def _flush_soon(self) -> None:
        if not self._flushing:
            self._flushing = True
            self._loop.call_soon(self.flush)

    def flush(self) -> None:
        """Make everything so far safe, then show it to others."""
        self._flushing = False
        self._write()
        self._places.clear()
        fresh, self._fresh = self._fresh, []
        for record in fresh:
            self._recorder.add(record)
        ended, self._ended = self._ended, []
        for completion in ended:
            self._teller.ended(completion)
        self._on_flushed()

    def _write(self) -> None:
        try:
            self._journal.flush()
        except OSError:
            _log.exception("journal cannot be written; records go to the store without it")

    def _stored(self, ids: Sequence[str]) -> None:
        for activation_id in ids:
            self._journal.stored(activation_id)
            self._held.pop(activation_id, None)
