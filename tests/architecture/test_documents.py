"""Generated parts of documents are what would be generated now, and examples in them work."""

import re
from typing import Any

from action_runtime import api
from action_runtime.proxy.merger import Merger
from controller_ext.workflow.native import parse
from tests.support.settings_table import README, SETTINGS, renewed
from tests.support.sources import ROOT


def test_the_tables_of_settings_match_the_code():
    text = SETTINGS.read_text()

    assert renewed(text) == text, "run `python -m tests.support.settings_table`"


def test_the_readme_is_short_enough_to_be_read():
    assert README.read_text().count("\n") <= 400


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README.read_text(), re.DOTALL | re.MULTILINE)


def test_the_workflows_in_the_readme_are_valid():
    found = [parse(text) for text in blocks("yaml")]

    assert [step.name for step in found[0].steps] == ["start", "count", "merge"]


def test_the_action_in_the_readme_runs():
    (text,) = blocks("python")
    found: dict[str, Any] = {}
    exec(compile(text, "README.md", "exec"), found)
    argument = {"texts": {"a": "one", "b": "two"}}
    outlet = Merger(argument)
    api.install(outlet)
    try:
        assert found["main"](argument) == {"files": 2}
    finally:
        api.install(None)
    assert outlet.texts().keys() == {"file", "log"}


def test_what_may_differ_from_the_recordings_is_in_the_readme_with_its_reason():
    lists = ROOT / "tests" / "contract" / "rest"
    lines = [line for path in sorted(lists.glob("allowed*.tsv")) for line in path.read_text().splitlines()]
    reasons = [line.partition("\t")[2] for line in lines if line and not line.startswith("#")]
    _, _, below = README.read_text().partition("| recorded steps | why |\n| --- | --- |\n")
    rows = below.partition("\n\n")[0].splitlines()

    assert [row.rpartition(" | ")[2].removesuffix(" |") for row in rows] == reasons


def test_the_index_of_decisions_counts_as_the_decisions_do():
    text = README.read_text()
    for letter, page in (("A", "action_runtime"), ("C", "controller_ext"), ("I", "invoker_ext")):
        found = re.findall(rf"^\*\*{letter}(\d+)\.", (ROOT / page / "DESIGN.md").read_text(), re.MULTILINE)
        numbers = [int(one) for one in found]

        assert numbers == list(range(1, len(numbers) + 1))
        assert f"`{page}/DESIGN.md` {letter}1–{letter}{numbers[-1]}" in text


def test_the_commands_in_the_readme_are_those_of_the_console_script():
    from controller_ext.cli.main import COMMANDS

    named = set(re.findall(r"`dataflower ([a-z]+)", README.read_text()))

    assert named == set(COMMANDS)
