import json
import sys
from importlib.metadata import version
from typing import Any

import pytest

from controller_ext.cli.main import main
from tests.support.activations import a_firing, a_record, a_run
from tests.support.rest_stub import rest_stub

GOOD = """
dataflow: 1
steps:
  start: {action: start, inputs: {texts: $run.texts}}
  count: {action: count, inputs: {file: {each: start.file}}}
  merge: {action: merge, inputs: {counts: {gather: count.words}}}
result: merge
"""
ID = "f" * 32


@pytest.fixture
def workflow(tmp_path):
    def write(text: str = GOOD) -> str:
        path = tmp_path / "workflow.yaml"
        path.write_text(text)
        return str(path)

    return write


def test_without_a_command_the_help_is_shown(capsys):
    assert main([]) == 2
    assert "dataflower demo wordcount" in capsys.readouterr().err


def test_the_version_is_that_of_the_package(capsys):
    with pytest.raises(SystemExit) as left:
        main(["--version"])

    assert left.value.code == 0
    assert capsys.readouterr().out == f"dataflower {version('openwhisk-dataflower')}\n"


def test_a_name_that_is_no_file_and_cannot_be_asked_for_says_both(capsys):
    assert main(["graph", "--apihost", "http://127.0.0.1:1", "wrodcount"]) == 1
    assert "there is no file wrodcount, and no OpenWhisk server answers" in capsys.readouterr().err


def test_validate_is_content_with_a_good_workflow(workflow, capsys):
    assert main(["validate", workflow()]) == 0
    assert capsys.readouterr().out.endswith("workflow.yaml: good\n")


def test_validate_reports_every_finding_with_line_and_path(workflow, capsys):
    path = workflow(GOOD.replace("$run.texts", "runn.texts").replace("result: merge", "result: nothing"))

    assert main(["validate", path]) == 1

    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"{path}:4: steps.start.inputs.texts: ")
    assert lines[1].startswith(f"{path}:7: result: ")


def test_validate_prints_findings_for_programs(workflow, capsys):
    assert main(["validate", "--format", "json", workflow("dataflow: 2")]) == 1

    assert {"file", "line", "path", "message"} == set(json.loads(capsys.readouterr().out)[0])


def test_a_file_that_is_not_there_is_said_so(capsys):
    assert main(["graph", "nowhere.yaml"]) == 1
    assert "cannot read nowhere.yaml" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("form", "beginning"), [("mermaid", "flowchart TD"), ("dot", "digraph workflow"), ("svg", "<svg ")]
)
def test_graph_prints_each_format(workflow, capsys, form, beginning):
    assert main(["graph", "--format", form, workflow()]) == 0
    assert capsys.readouterr().out.startswith(beginning)


def test_graph_draws_boxes_in_the_terminal(workflow, capsys):
    assert main(["graph", workflow()]) == 0
    assert "║ file ← each start.file  ║" in capsys.readouterr().out


def test_graph_says_so_if_the_terminal_is_too_narrow_for_the_drawing(workflow, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)

    assert main(["graph", workflow()]) == 0
    assert "the terminal 20" in capsys.readouterr().err


def test_graph_draws_what_is_deployed(capsys):
    answers = {
        "GET namespaces/_/actions/wc": (200, {"exec": {"kind": "dataflow:1", "code": GOOD}}),
        "GET namespaces/_/actions/seq": (200, {"exec": {"kind": "sequence", "components": ["/guest/a", "/guest/b"]}}),
        "GET namespaces/_/actions/py": (200, {"exec": {"kind": "python:3.11", "code": ""}, "annotations": []}),
        "GET namespaces/_/actions/composed": (
            200,
            {"exec": {"kind": "nodejs:20", "code": ""}, "annotations": [{"key": "conductor", "value": True}]},
        ),
    }
    with rest_stub(answers) as stub:
        assert main(["graph", "--apihost", stub.url, "wc"]) == 0
        assert "counts ← gather count.words" in capsys.readouterr().out
        assert main(["graph", "--apihost", stub.url, "seq"]) == 0
        assert "▸ /guest/b" in capsys.readouterr().out
        assert main(["graph", "--apihost", stub.url, "py"]) == 1
        assert "kind python:3.11" in capsys.readouterr().err
        assert main(["graph", "--apihost", stub.url, "composed"]) == 1
        assert "composed is a conductor; only workflows and sequences are drawn" in capsys.readouterr().err
        assert main(["graph", "--apihost", stub.url, "none"]) == 1
        assert "neither a file here nor an action" in capsys.readouterr().err


def test_trace_draws_a_run(capsys):
    firing = a_firing(1, tag=[3])
    document = {"activationId": ID, "live": None, "run": a_run(firing), "firings": [firing]}
    with rest_stub({f"GET namespaces/_/activations/{ID}/trace": (200, document)}) as stub:
        assert main(["trace", "--apihost", stub.url, ID]) == 0
        assert "count[3]" in capsys.readouterr().out
        assert main(["trace", "--apihost", stub.url, "--format", "json", ID]) == 0
        assert json.loads(capsys.readouterr().out)["firings"][0]["tag"] == [3]


def test_trace_draws_a_sequence_of_a_stock_server(capsys):
    component = a_record("1" * 32, "hello", [])
    sequence = a_record(ID, "greet", [{"key": "kind", "value": "sequence"}]) | {"logs": ["1" * 32]}
    answers = {
        f"GET namespaces/_/activations/{ID}": (200, sequence),
        f"GET namespaces/_/activations/{'1' * 32}": (200, component),
    }
    with rest_stub(answers) as stub:
        assert main(["trace", "--apihost", stub.url, ID]) == 0
    assert "hello" in capsys.readouterr().out


def test_trace_of_an_unknown_run_says_how_to_find_one(capsys):
    with rest_stub({}) as stub:
        assert main(["trace", "--apihost", stub.url, ID]) == 1
    assert "wsk activation list" in capsys.readouterr().err


def test_trace_follows_a_run_to_its_end(capsys):
    live = {"ended": False, "ids": [], "live": []}
    running: dict[str, Any] = {"activationId": ID, "live": live, "run": None, "firings": []}
    done: dict[str, Any] = {"activationId": ID, "live": None, "run": a_run(), "firings": []}
    answers = {f"GET namespaces/_/activations/{ID}/trace": [(200, running), (200, running), (200, done)]}
    with rest_stub(answers) as stub:
        assert main(["trace", "--apihost", stub.url, "--follow", ID]) == 0
    assert "success" in capsys.readouterr().out


def test_cancel_confirms(capsys):
    with rest_stub({f"POST namespaces/_/activations/{ID}/cancel": (202, {"activationId": ID})}) as stub:
        assert main(["cancel", "--apihost", stub.url, ID]) == 0
    assert capsys.readouterr().out == f"cancelled {ID}\n"


def test_cancel_of_a_run_that_has_ended_says_so(capsys):
    refusal = {"error": "The run has ended.", "code": "x"}
    with rest_stub({f"POST namespaces/_/activations/{ID}/cancel": (409, refusal)}) as stub:
        assert main(["cancel", "--apihost", stub.url, ID]) == 1
    assert "The run has ended." in capsys.readouterr().err


def test_a_server_that_is_not_there_is_an_error_with_advice(free_port, capsys):
    assert main(["cancel", "--apihost", f"http://127.0.0.1:{free_port}", ID]) == 1
    assert "dataflower standalone" in capsys.readouterr().err
