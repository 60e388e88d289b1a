"""A blocking invoke of one warm action, and what of it is the controller's."""

from __future__ import annotations

from tests.benchmarks.actions import NOOP
from tests.benchmarks.echo import answering
from tests.benchmarks.harness import Bench, Caller, in_turn, milliseconds
from tests.benchmarks.samples import Row, Series

BLOCK = 25
"""Invocations in a row, then as many of the empty server."""


def blocking(bench: Bench) -> list[Row]:
    """From the request to the whole answer, one caller."""
    bench.action("bench-noop", NOOP)
    with bench.caller() as caller:
        (series,) = in_turn(bench.times(1000, 200), lambda: milliseconds(lambda: caller.call("bench-noop")), warm_up=20)
    return [Row(scenario="invoke", case="blocking, warm no-op", unit="ms", dataflow=series)]


def controller(bench: Bench) -> list[Row]:
    """From the request to the answer, less the invoker's part and less what an empty HTTP server takes.

    One request at a time on one kept-alive connection, nothing else between them; the invoker's instants, from its
    acceptance to the function's return, are read from the traces when all is over. The empty server answers the same
    bytes to the same requests, so its median stands for the caller's own work and the network. What is left is HTTP in
    → bus out, bus in → HTTP out; and, as nobody notes those instants, the way over the bus and what the invoker does
    before it accepts and after the return: its journal, the record, the completion.
    """
    bench.action("bench-noop", NOOP)
    times: list[tuple[str, float]] = []
    empty: list[float] = []
    with bench.caller() as caller:
        for _ in range(20):
            caller.call("bench-noop")
        with answering(caller.answer("bench-noop")) as url, Caller(url) as nobody:
            for _ in range(bench.times(20, 8)):
                times += [_timed(caller) for _ in range(BLOCK)]
                empty += [_timed(nobody)[1] for _ in range(BLOCK)]
    alone_ms = Series.of(empty)
    shares = [spent_ms - bench.invoker_ms(one) - alone_ms.median for one, spent_ms in times]
    return [
        Row(scenario="controller", case="its share of a blocking invoke", unit="ms", dataflow=Series.of(shares)),
        Row(scenario="controller", case="an empty HTTP server, taken off", unit="ms", dataflow=alone_ms),
    ]


def _timed(caller: Caller) -> tuple[str, float]:
    """Return the activation's id and how long the call took."""
    (spent_ms,) = milliseconds(lambda: caller.call("bench-noop"))
    return caller.activation_id, spent_ms
