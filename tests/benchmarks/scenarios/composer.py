"""Compositions as data flow, and by the conductor that Composer deploys; and a `map` that stock needs Redis for."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

from tests.benchmarks.actions import NOOP, TEXT
from tests.benchmarks.harness import Bench, BenchmarkFailed, in_turn, milliseconds, running
from tests.benchmarks.samples import Row, Series
from tests.support import npm_clients
from tests.support.composer.deploying import Composer, node_prefix, path_with
from tests.support.composer.trees import Tree, deployed, function, let, node, seq

STEPS: Final = 10
ITEMS: Final = 100
ITEM_BYTES: Final = 100_000
CASES: Final[dict[str, Tree]] = {
    f"{STEPS} no-op steps": seq(*["bench-noop"] * STEPS),
    f"{STEPS} rounds of a no-op, counted by a function": let(
        {"k": STEPS}, node("while", test=function("() => k-- > 0"), body="bench-noop")
    ),
    f"{STEPS} functions": seq(*[function("p => ({n: p.n + 1})")] * STEPS),
}
MAP: Final = seq(
    function(f"() => ({{value: Array.from({{length: {ITEMS}}}, (_, n) => ({{n, bytes: {ITEM_BYTES}}}))}})"),
    node("map", "bench-text"),
    function("p => ({length: p.value.reduce((sum, one) => sum + one.text.length, 0)})"),
)
STEPWISE: Final = seq(
    *[one for n in range(STEPS) for one in (function(f"() => ({{n: {n}, bytes: {ITEM_BYTES}}})"), "bench-text")],
    function("p => ({length: p.text.length})"),
)
"""What a conductor without Redis can do for `map`: one item after the other; so many of them, and the rest by scale."""


def compositions(bench: Bench) -> list[Row]:
    """From the request to the whole answer. Without Composer and node there is no conductor to compare with."""
    if not npm_clients.installed(npm_clients.COMPOSER):
        return _measured(bench, None)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # Conductors require a module: on a server of their own, whose node has it.
        with running(bench.short, {"PATH": path_with(node_prefix(folder / "node"))}) as own:
            return _measured(own, folder)


def _measured(bench: Bench, folder: Path | None) -> list[Row]:
    bench.action("bench-noop", NOOP)
    bench.action("bench-text", TEXT)
    body = json.dumps({"n": 1}).encode()
    rows = []
    with bench.caller() as caller:
        for number, (case, ast) in enumerate(CASES.items()):
            names = [f"bench-composition-{number}"]
            bench.put(names[0], deployed(ast))
            if folder is not None:
                names.append(f"{names[0]}-baseline")
                _conduct(bench, Composer(folder, bench.server.url), names[1], ast)
            calls = [partial(caller.call, name, body) for name in names]
            found = in_turn(bench.times(200, 30), *(partial(milliseconds, call) for call in calls))
            rows.append(_row(case, *found))
        bench.put("bench-map", deployed(MAP))
        if caller.result("bench-map") != {"length": ITEMS * ITEM_BYTES}:
            raise BenchmarkFailed("the map did not come to what it should")
        measures = [partial(milliseconds, partial(caller.call, "bench-map"))]
        case = f"map, {ITEMS} × {ITEM_BYTES // 1000} KB"
        if folder is not None:
            _conduct(bench, Composer(folder, bench.server.url), "bench-stepwise", STEPWISE)
            if caller.result("bench-stepwise") != {"length": ITEM_BYTES}:
                raise BenchmarkFailed("the steps of the conductor did not come to what they should")
            measures.append(partial(_scaled, partial(caller.call, "bench-stepwise")))
            case += f"; conductor: {ITEMS // STEPS} × its {STEPS} steps"
        rows.append(_row(case, *in_turn(bench.times(30, 5), *measures)))
    return rows


def _scaled(work: Callable[[], object]) -> list[float]:
    """Return how long one call would take for all items that takes so long for STEPS of them."""
    return [one * ITEMS / STEPS for one in milliseconds(work)]


def _row(case: str, dataflow: Series, baseline: Series | None = None) -> Row:
    return Row(scenario="composer", case=case, unit="ms", dataflow=dataflow, baseline=baseline)


def _conduct(bench: Bench, composer: Composer, name: str, ast: Tree) -> None:
    """Deploy a composition as its author would, to run as in stock."""
    composer.compose(ast, name)
    composer.deploy(name)
    bench.put(name, {"annotations": [{"key": "conductor", "value": True}, {"key": "dataflow", "value": False}]})
