"""The compose stack's files fit each other and the code."""

import dataclasses
import json
import re

import yaml

from controller_ext import settings as controller
from invoker_ext import settings as invoker
from tests.support.env_example import COMPOSE, EXAMPLE, FOLDER, MEANINGS, text, variables
from tests.support.sources import ROOT

FILE = COMPOSE.read_text()


def test_the_example_of_the_stacks_settings_matches_the_code():
    assert text(FILE) == EXAMPLE.read_text(), "run `python -m tests.support.settings_table`"


def test_every_variable_of_the_compose_file_is_explained_and_has_one_default():
    assert MEANINGS.keys() == variables(FILE).keys()
    for name in variables(FILE):
        assert len(set(re.findall(rf"\$\{{{name}:?-([^}}]*)\}}", FILE))) == 1, name


def test_the_settings_that_the_compose_file_names_are_settings():
    known = {
        module.PREFIX + one.name.upper()
        for module in (controller, invoker)
        for one in dataclasses.fields(module.Settings)
    }
    assert set(re.findall(r"\bDATAFLOWER_\w+", FILE)) <= known


def test_every_service_that_stays_has_a_health_check_and_waits_for_those_it_needs():
    services = yaml.safe_load(FILE)["services"]
    for name in ("kafka", "couchdb", "controller", "invoker"):
        assert "healthcheck" in services[name], name
    for name in ("controller", "invoker"):
        conditions = {needed: how["condition"] for needed, how in services[name]["depends_on"].items()}
        assert conditions == {"kafka": "service_healthy", "db-init": "service_completed_successfully"}


def test_what_the_dashboard_shows_is_what_the_controller_measures():
    measured = set(re.findall(r"\bdataflower_\w+", (ROOT / "controller_ext" / "api" / "metrics.py").read_text()))
    dashboard = json.loads((FOLDER / "grafana" / "dashboards" / "dataflower.json").read_text())
    shown = {
        name
        for panel in dashboard["panels"]
        for target in panel["targets"]
        for name in re.findall(r"\bdataflower_\w+", target["expr"])
    }
    assert shown
    assert shown <= measured
