"""Generated parts of documents are what would be generated now, and examples in them work."""

import re

from controller_ext.workflow.native import parse
from tests.support.settings_table import README, renewed


def test_the_tables_of_settings_match_the_code():
    text = README.read_text()

    assert renewed(text) == text, "run `python -m tests.support.settings_table`"


def test_the_readme_is_short_enough_to_be_read():
    assert README.read_text().count("\n") <= 400


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README.read_text(), re.DOTALL | re.MULTILINE)


def test_the_workflows_in_the_readme_are_valid():
    found = [parse(text) for text in blocks("yaml")]

    assert [step.name for step in found[0].steps] == ["start", "count", "merge"]


def test_the_python_in_the_readme_compiles():
    assert [compile(text, "README.md", "exec") for text in blocks("python")] != []


def test_the_commands_in_the_readme_are_those_of_the_console_script():
    from controller_ext.cli.main import COMMANDS

    named = set(re.findall(r"`dataflower ([a-z]+)", README.read_text()))

    assert named == set(COMMANDS)
