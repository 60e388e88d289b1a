"""A native workflow is an action like any other: in packages, through bindings, fired by rules, served to the web."""

from __future__ import annotations

import json

import requests

from controller_ext.cli import main
from tests.support.deploying import Deployer
from tests.support.waiting import wait_until

ECHO = "def main(args):\n    return args\n"
SOURCE = """\
# A comment that must come back.
dataflow: 1
steps:
  greet: {action: echo, inputs: $run}
result: greet
"""
FINAL = {"key": "final", "value": True}
WEB = {"key": "web-export", "value": True}


def packaged(live: Deployer, *annotations: dict[str, object], name: str = "pkg/flow") -> None:
    live.call("DELETE", f"actions/{name}")  # annotations of an update are added to what is there
    live.action("echo", ECHO)
    parameters = [{"key": "of", "value": "package"}, {"key": "mine", "value": "package"}]
    live.call("PUT", "packages/pkg?overwrite=true", json={"parameters": parameters}).raise_for_status()
    mine = [{"key": "mine", "value": "workflow"}]
    reply = live.put(name, SOURCE, kind="dataflow:1", parameters=mine, annotations=annotations)
    assert reply.status_code == 200, reply.text


def test_its_source_is_shown_as_it_was_deployed_and_left_out_on_demand(live: Deployer):
    packaged(live)

    shown = live.call("GET", "actions/pkg/flow").json()
    assert shown["exec"] == {"kind": "dataflow:1", "code": SOURCE, "binary": False}
    assert live.call("GET", "actions/pkg/flow?code=false").json()["exec"] == {"kind": "dataflow:1", "binary": False}


def test_it_is_listed_updated_and_deleted(live: Deployer):
    packaged(live, name="flow2")

    names = [one["name"] for one in live.call("GET", "actions").json()]
    assert "flow2" in names
    newer = SOURCE.replace("greet", "hail")
    updated = live.put("flow2", newer, kind="dataflow:1").json()
    assert (updated["version"], updated["exec"]["code"]) == ("0.0.2", newer)
    assert live.call("DELETE", "actions/flow2").status_code == 200
    assert live.call("GET", "actions/flow2").status_code == 404


def test_parameters_of_package_workflow_and_call_are_merged(live: Deployer):
    packaged(live)

    assert live.run("pkg/flow") == {"of": "package", "mine": "workflow"}
    assert live.run("pkg/flow", mine="call", more=1) == {"of": "package", "mine": "call", "more": 1}


def test_it_is_invoked_through_a_binding_with_the_bindings_parameters(live: Deployer):
    packaged(live)
    binding = {"binding": {"namespace": "_", "name": "pkg"}, "parameters": [{"key": "of", "value": "binding"}]}
    live.call("PUT", "packages/bound?overwrite=true", json=binding).raise_for_status()

    run, _ = live.firings("bound/flow")
    assert run["response"]["result"] == {"of": "binding", "mine": "workflow"}
    assert {"key": "binding", "value": "guest/bound"} in run["annotations"]


def test_its_final_parameters_cannot_be_given(live: Deployer):
    packaged(live, FINAL)

    assert live.invoke("pkg/flow", {"mine": "call"}).status_code == 400


def test_a_rule_fires_it_with_the_triggers_parameters(live: Deployer):
    packaged(live)
    trigger = {"parameters": [{"key": "by", "value": "trigger"}]}
    live.call("PUT", "triggers/t?overwrite=true", json=trigger).raise_for_status()
    rule = {"trigger": "/_/t", "action": "/_/pkg/flow"}
    live.call("PUT", "rules/r?overwrite=true", json=rule).raise_for_status()

    fired = live.call("POST", "triggers/t", json={"n": 1})
    assert fired.status_code == 202
    record = live.finished(fired.json()["activationId"])
    (line,) = map(json.loads, record["logs"])
    result = live.finished(line["activationId"])["response"]["result"]
    assert {name: result[name] for name in ("of", "mine", "by", "n")} == {
        "of": "package",
        "mine": "workflow",
        "by": "trigger",
        "n": 1,
    }


def test_it_is_served_to_the_web(live: Deployer):
    packaged(live, WEB, FINAL)

    reply = requests.get(f"{live.url}/api/v1/web/guest/pkg/flow.json?a=b", timeout=20)
    assert reply.status_code == 200
    assert {name: reply.json()[name] for name in ("of", "mine", "a", "__ow_method")} == {
        "of": "package",
        "mine": "workflow",
        "a": "b",
        "__ow_method": "get",
    }
    refused = requests.get(f"{live.url}/api/v1/web/guest/pkg/flow.json?mine=b", timeout=20)
    assert refused.status_code == 400


def test_its_graph_is_drawn_from_the_server(live: Deployer, capsys):
    packaged(live)

    assert main(["graph", "pkg/flow", "--apihost", live.url]) == 0
    assert "greet" in capsys.readouterr().out


def test_a_record_of_it_is_found_under_its_packages_name(live: Deployer):
    packaged(live)
    live.run("pkg/flow")

    def listed() -> list[str]:
        return [one["name"] for one in live.call("GET", "activations?name=pkg/flow&limit=1").json()]

    wait_until(lambda: listed() == ["flow"])
