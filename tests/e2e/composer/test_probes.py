"""Compositions deployed by Composer's own commands come to what was measured with stock, whichever way they run."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.support.composer.deploying import Composer
from tests.support.composer.probes import ACTIONS, PROBES, WITHOUT_REDIS, Probe
from tests.support.composer.trees import lower
from tests.support.deploying import Deployer

pytestmark = pytest.mark.timeout(120)

OF_CONDUCTORS = (*(probe for probe in PROBES if not probe.forks), *WITHOUT_REDIS)
"""Those that stock's conductor can run without Redis."""


def named(probe: Probe) -> str:
    return "probe-" + re.sub(r"\W+", "-", probe.name)


@pytest.fixture(scope="module", autouse=True)
def deployed(composer: Composer, live: Deployer) -> None:
    """All of them, by `compose` and `deploy`, and the actions that they call."""
    for name, code in ACTIONS.items():
        live.action(name, code)

    def deploy(probe: Probe) -> None:
        composer.compose(probe.ast, named(probe))
        composer.deploy(named(probe), "-t", str(probe.timeout_ms))

    with ThreadPoolExecutor(4) as several:
        list(several.map(deploy, (*PROBES, *WITHOUT_REDIS)))


def outcome(live: Deployer, probe: Probe, *, data_flow: bool) -> tuple[Any, bool, int]:
    """Return result, success, and the number of activations that the record names."""
    stored = live.call("GET", f"actions/{named(probe)}").json()
    notes = [one for one in stored["annotations"] if one["key"] not in ("dataflow", "exec")]
    notes.append({"key": "dataflow", "value": data_flow})
    live.call("PUT", f"actions/{named(probe)}?overwrite=true", json={"annotations": notes}).raise_for_status()
    reply = live.call("POST", f"actions/{named(probe)}?blocking=true", json=dict(probe.params))
    record = live.finished(reply.headers["X-Openwhisk-Activation-Id"])
    return record["response"]["result"], record["response"]["success"], len(record["logs"])


@pytest.mark.parametrize("probe", OF_CONDUCTORS, ids=lambda probe: probe.name)
def test_by_its_conductor_a_composition_comes_to_what_was_measured(probe, live):
    assert outcome(live, probe, data_flow=False) == (probe.result, probe.ok, probe.activations)


@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: probe.name)
def test_as_data_flow_a_composition_comes_to_what_was_measured(probe, live):
    assert outcome(live, probe, data_flow=True) == (probe.result, probe.ok, probe.components)


@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: probe.name)
def test_what_composer_compiles_is_what_the_yardstick_runs(probe, live):
    code = live.call("GET", f"actions/{named(probe)}?code=true").json()["exec"]["code"]
    program = code.partition("const composition = ")[2].partition("\n\n// do not edit")[0]

    assert json.loads(program) == lower(probe.ast)
