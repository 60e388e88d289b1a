"""What every file of the project keeps to."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.support.sources import ROOT, modules, tracked_files

MODULE_LINES: Final = 400
AIM_LINES: Final = 300
BINARY: Final = {".png", ".zip", ".bin", ".ico"}
# Put together from parts, or this file would find itself.
MACHINE_PATH: Final = re.compile(
    "(?<![\\w.$}{~-])/(" + "|".join(["ro" + "ot", "wo" + "rk", "home/[a-z]+", "Us" + "ers/[a-z]+"]) + ")/"
    "|(?<![\\w$}])/tm" + "p/[a-z]"
)  # fmt: skip
SECTION: Final = re.compile(r"§\s?\d")
PUBLIC: Final = re.compile(r"\bRFC \d|RULES|DESIGN\.md|PROTOCOL\.md")
TOP_FOLDERS: Final = (
    "action_runtime", "compose", "controller_ext", "invoker_ext", "tests", "wsk_examples",
)  # fmt: skip


def texts() -> list[tuple[Path, str]]:
    return [(path, path.read_text(encoding="utf-8")) for path in tracked_files() if path.suffix not in BINARY]


def test_no_module_is_longer_than_the_bound(record_property):
    lines = {str(path.relative_to(ROOT)): path.read_text().count("\n") for path in modules().values()}
    record_property("above the aim", sum(1 for n in lines.values() if n > AIM_LINES))

    assert {name: n for name, n in lines.items() if n > MODULE_LINES} == {}


def test_no_file_names_a_path_of_the_machine_it_was_written_on():
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:120]}"
        for path, text in texts()
        for number, line in enumerate(text.splitlines(), 1)
        if MACHINE_PATH.search(line)
    ]

    assert found == []


def test_sections_are_cited_only_of_documents_that_a_reader_has():
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:120]}"
        for path, text in texts()
        for number, line in enumerate(text.splitlines(), 1)
        if SECTION.search(line) and not PUBLIC.search(line)
    ]

    assert found == []


def test_links_in_documents_lead_somewhere():
    lost = []
    for path, text in texts():
        if path.suffix != ".md":
            continue
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            if re.match(r"[a-z]+:|#", target):
                continue
            if not (path.parent / target.partition("#")[0]).exists():
                lost.append(f"{path.relative_to(ROOT)}: {target}")

    assert lost == []


def test_files_that_documents_name_exist():
    lost = [f"{page}: {name}" for page, name, _ in named() if not (ROOT / name).exists()]

    assert lost == []


def test_functions_that_documents_name_exist():
    lost = [
        f"{page}: {name}:{inner}"
        for page, name, inner in named()
        if inner and (ROOT / name).exists() and not defines((ROOT / name).read_text(), inner)
    ]

    assert lost == []


def named() -> Iterator[tuple[Path, str, str]]:
    """Yield each `path/file` and `path/file.py:Class.function` in backticks: document, file, name in it or nothing."""
    for path, text in texts():
        if path.suffix != ".md":
            continue
        for name, inner in re.findall(r"`([\w./-]+\.(?:py|md|yaml|json|sh|toml|tsv))(?::([A-Za-z_][\w.]*))?`", text):
            if name.partition("/")[0] in TOP_FOLDERS:
                yield path.relative_to(ROOT), name, inner


def defines(source: str, dotted: str) -> bool:
    """Return whether a module has this class, function or variable; dots lead into classes."""
    body: list[ast.stmt] = ast.parse(source).body
    for part in dotted.split("."):
        found = next((one for one in body if part in names_bound(one)), None)
        if found is None:
            return False
        body = found.body if isinstance(found, ast.ClassDef) else []
    return True


def names_bound(statement: ast.stmt) -> set[str]:
    match statement:
        case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            return {name}
        case ast.Assign(targets=targets):
            return {one.id for one in targets if isinstance(one, ast.Name)}
        case ast.AnnAssign(target=ast.Name(id=name)):
            return {name}
        case _:
            return set()


@pytest.mark.parametrize(
    ("dotted", "there"),
    [("A", True), ("A.f", True), ("A.X", True), ("g", True), ("N", True), ("A.g", False), ("h", False), ("g.f", False)],
)
def test_a_name_is_looked_for_where_its_dots_lead(dotted, there):
    source = "N: int = 1\nclass A:\n    X = 1\n    def f(self): ...\nasync def g(): ...\n"

    assert defines(source, dotted) is there


def test_tests_that_documents_name_exist():
    tests = "\n".join(path.read_text() for path in tracked_files() if path.name.startswith("test_"))
    lost = [
        f"{path.relative_to(ROOT)}: {name}"
        for path, text in texts()
        if path.suffix == ".md"
        for name in re.findall(r"`(?:\w+::)?(test_\w+)`", text)
        if f"def {name}(" not in tests
    ]

    assert lost == []


@pytest.mark.parametrize("folder", TOP_FOLDERS)
def test_the_top_level_is_as_laid_out(folder):
    assert (ROOT / folder).is_dir() or folder == "compose"


def test_every_shell_script_of_an_example_can_be_run():
    scripts = list((ROOT / "wsk_examples").glob("*/run.sh"))

    assert [str(script) for script in scripts if not script.stat().st_mode & 0o100] == []
