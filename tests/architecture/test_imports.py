"""Imports point down, pure modules stay pure, and each module stands on its own feet."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Final

import pytest

from tests.support.sources import ROOT, imports, modules, reached

CONTROLLER_SEES: Final = {"contract", "journal", "bus", "buses", "store", "stores", "door", "logs"}
OF_LIBRARIES: Final = [
    # kafka-python reads its schemas in a way that Python 3.11 and 3.12 warn of.
    f"-Wignore:{name} is deprecated:DeprecationWarning"
    for name in ("read_text", "open_text")
]
STARTERS: Final = ("controller_ext.standalone.app", "controller_ext.standalone.invoker")
PURE: Final = re.compile(
    r"action_runtime\.wire(\..+)?"
    r"|invoker_ext\.contract(\..+)?"
    r"|invoker_ext\.dataflow(\..+)?"
    r"|invoker_ext\.inline\.(call|desk|frames)"
    r"|invoker_ext\.containers\.(job|pool|pressure)|invoker_ext\.containers\.local\.items"
    r"|invoker_ext\.sink\.(datum|entries|ledger|terms|errors|orphans)"
    r"|invoker_ext\.door\.(credentials|greeting|errors|places)"
    r"|invoker_ext\.peers\.(bounds|conversation|errors|ref|transfer|bulk\.credit)"
    r"|invoker_ext\.relay\.(bandwidth|layout|results)"
    r"|invoker_ext\.lending\.(placement|hosts|forms)"
    r"|controller_ext\.alarms\.(dates|schedule|feed|machine)"
    r"|invoker_ext\.stores\.couchdb\.(designs|documents|records)"
    r"|controller_ext\.builtins\.packages|controller_ext\.json_text"
    r"|controller_ext\.(webactions|workflow)(\..+)?"
    r"|controller_ext\.gateway\.(creation|swagger|checks|backends|routes)"
    r"|controller_ext\.balancer\.(before|cluster|fleet|slots|throttles|told|unclaimed)"
    r"|controller_ext\.cli\.timeline"
    r"|controller_ext\.runs\.(conductor|composed)"
)
IMPURE: Final = {
    "asyncio", "http", "logging", "os", "random", "requests", "socket", "subprocess",
    "threading", "time", "urllib", "uvloop",
}  # fmt: skip


def breaches(allowed, *, typing_too: bool = True) -> list[str]:
    """Return `file:line imports name` of each import for which `allowed(importer, name)` is false."""
    return [
        f"{modules()[name].relative_to(ROOT)}:{line} imports {target}"
        for name in modules()
        for target, line in imports(name, typing_too=typing_too)
        if not allowed(name, target)
    ]


def test_imports_point_down():
    order = ["action_runtime", "invoker_ext", "controller_ext"]

    def down(importer: str, target: str) -> bool:
        package = target.partition(".")[0]
        return package not in order or order.index(package) <= order.index(importer.partition(".")[0])

    assert breaches(down) == []


def test_the_controller_sees_of_the_invoker_only_contract_bus_store_journal_door_and_logs():
    def seen(importer: str, target: str) -> bool:
        package, _, rest = target.partition(".")
        if not importer.startswith("controller_ext") or package != "invoker_ext":
            return True
        if importer in STARTERS and rest.partition(".")[0] in {"settings", "interpreters"}:
            return True  # they say what is wrong with settings before they start a process, and what kinds there are
        return rest.partition(".")[0] in CONTROLLER_SEES

    assert breaches(seen) == []


def test_outside_the_runtime_only_its_wire_package_is_seen():
    def seen(importer: str, target: str) -> bool:
        if importer.startswith("action_runtime") or not target.startswith("action_runtime"):
            return True
        return target.startswith("action_runtime.wire")

    assert breaches(seen) == []


def test_pure_modules_do_no_io_and_read_no_clock_themselves_or_through_others():
    found = [
        f"{name}: {importer} imports {target}"
        for name in modules()
        if PURE.fullmatch(name)
        for target, importer in reached(name).items()
        if target.partition(".")[0] in IMPURE
    ]

    assert found == []


def test_couchdb_is_known_by_one_module():
    client = "invoker_ext.stores.couchdb.client"
    assert breaches(lambda importer, target: target.partition(".")[0] != "couchdb" or importer == client) == []


def test_the_runtime_imports_the_standard_library_only():
    def standard(importer: str, target: str) -> bool:
        package = target.partition(".")[0]
        if not importer.startswith("action_runtime"):
            return True
        return package == "action_runtime" or package in sys.stdlib_module_names

    assert breaches(standard, typing_too=False) == []


def test_the_runtime_imports_without_site_packages_and_environment():
    names = [n for n in modules() if n.startswith("action_runtime") and not n.endswith("__main__")]
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
        f"import importlib; [importlib.import_module(name) for name in {names!r}]\n"
        "names = {name.partition('.')[0] for name in sys.modules}\n"
        "print(sorted(names - sys.stdlib_module_names - {'action_runtime', '__main__'}))"
    )

    result = subprocess.run([sys.executable, "-I", "-S", "-W", "error", "-c", code], capture_output=True, text=True)

    assert result.stderr == ""
    assert result.stdout.strip() == "[]"


@pytest.mark.timeout(120)
def test_each_module_imports_alone_without_a_warning():
    names = [name for name in modules() if not name.endswith("__main__")]
    script = ROOT / "tests" / "support" / "import_alone.py"

    result = subprocess.run(
        [sys.executable, "-W", "error", *OF_LIBRARIES, str(script), str(ROOT), *names],
        capture_output=True,
        text=True,
    )

    assert result.stdout.split() == [], result.stderr[-4000:]
