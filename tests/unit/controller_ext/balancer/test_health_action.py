from __future__ import annotations

import json
from pathlib import Path

from controller_ext.balancer.health_action import action
from controller_ext.entities.runtimes import manifest_of
from invoker_ext.contract.kinds import read


def test_the_action_of_a_test_is_stocks(shared_dir: Path):
    lines = (shared_dir / "recordings" / "couchdb" / "whisks.jsonl").read_text().splitlines()
    known = next(one for one in map(json.loads, lines) if one["_id"] == "whisk.system/invokerHealthTestAction0")
    found = action("0", manifest_of(read("python:3=python,nodejs:20=/usr/bin/node")), known["updated"])
    assert found is not None
    assert {**found[1], "_id": found[0], "_rev": known["_rev"]} == known


def test_without_kinds_of_stock_there_is_none():
    assert action("0", manifest_of(read("ruby:2.5=image:ruby")), 1) is None
