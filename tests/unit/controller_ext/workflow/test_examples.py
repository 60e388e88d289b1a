import json

import pytest

from controller_ext.workflow.compile import compile_workflow
from controller_ext.workflow.native import parse
from tests.support.actions import Shelf, an_action
from tests.support.sources import ROOT

EXAMPLES = sorted((ROOT / "wsk_examples").glob("*/run.sh"))
WORKFLOWS = sorted((ROOT / "wsk_examples").glob("*/workflow.yaml"))


def test_all_examples_are_there():
    assert {path.parent.name for path in EXAMPLES} >= {"hello", "sequence", "wordcount", "switch", "stream"}
    assert {path.parent.name for path in WORKFLOWS} >= {"wordcount", "switch", "stream", "nodejs"}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.parent.name)
def test_the_workflow_of_an_example_compiles_with_the_actions_beside_it(path):
    shelf = Shelf(*(an_action(f"guest/{action.stem}") for action in path.parent.glob("*.[pj][ys]")))
    assert compile_workflow(parse(path.read_text()), "guest", shelf).steps


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.parent.name)
def test_an_example_says_what_it_is_given_and_should_result_in(path):
    for name in ("input.json", "expected.json"):
        assert isinstance(json.loads((path.parent / name).read_text()), dict)
    assert len(path.read_text().splitlines()) <= 40


def test_counting_and_merging_give_what_the_example_expects():
    folder = ROOT / "wsk_examples" / "wordcount"
    modules: dict[str, dict[str, object]] = {"count": {}, "merge": {}}
    for name, module in modules.items():
        exec((folder / f"{name}.py").read_text(), module)
    count, merge = modules["count"]["main"], modules["merge"]["main"]
    assert callable(count)
    assert callable(merge)
    texts = json.loads((folder / "input.json").read_text())["texts"]
    counts = [count({"file": text})["words"] for text in texts.values()]
    assert merge({"counts": counts}) == json.loads((folder / "expected.json").read_text())
    assert merge({"counts": []}) == {"words": {}}
