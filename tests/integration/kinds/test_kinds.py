"""Which kinds are found on a host, and how they are told to other processes."""

import os
import sys
from pathlib import Path

import pytest

from invoker_ext import interpreters
from invoker_ext.contract.kinds import OWN, problem, read, written
from invoker_ext.interpreters import find_kinds

VERSION = f"3.{sys.version_info.minor}"


def a_program(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)


@pytest.fixture
def alone(monkeypatch, tmp_path):
    """No interpreters beside the running one."""
    monkeypatch.setattr(sys, "base_prefix", str(tmp_path / "none"))
    return tmp_path


def test_our_own_version_is_always_there_and_the_default(alone):
    assert list(find_kinds(str(alone)).items())[:2] == [(f"python:{VERSION}", OWN), ("python:3", OWN)]


def test_scripts_with_the_name_of_an_interpreter_are_not_run(alone):
    a_program(alone, "python3.19", f"touch {alone}/ran")

    assert "python:3.19" not in find_kinds(str(alone))
    assert not (alone / "ran").exists()


def test_a_python_with_a_false_name_or_that_does_not_run_is_left_out(alone):
    (alone / "python3.18").symlink_to(sys.executable)
    (alone / "python3.19").write_bytes(b"\x7fELF, but no more")
    (alone / "python3.19").chmod(0o755)

    assert {"python:3.18", "python:3.19"}.isdisjoint(find_kinds(str(alone)))


def test_pythons_beside_the_running_one_are_found(monkeypatch, tmp_path):
    home = tmp_path / "versions"
    name = f"python{VERSION}"
    for version in ("running", "other"):
        (home / version / "bin").mkdir(parents=True)
    (home / "other" / "bin" / name).symlink_to(sys.executable)
    monkeypatch.setattr(sys, "base_prefix", str(home / "running"))

    assert [str(one) for one in interpreters._pythons([])] == [str(home / "other" / "bin" / name)]


@pytest.mark.parametrize(
    ("says", "found"),
    [
        ("echo v20.1.0", ["nodejs:20", "nodejs:18"]),
        ("echo v18.1.0", ["nodejs:18"]),
        ("echo v22.1.0", ["nodejs:22", "nodejs:18", "nodejs:20"]),
        ("echo v16.1.0", []),
        ("echo no", []),
        ("exit 1", []),
    ],
)
def test_node_runs_the_kind_of_its_version_and_stocks_older_ones(alone, says, found):
    a_program(alone, "node", says)

    assert [kind for kind in find_kinds(str(alone)) if kind.startswith("nodejs")] == found


def test_an_interpreter_that_does_not_answer_is_given_up(alone, monkeypatch):
    monkeypatch.setattr(interpreters, "_PROBE_S", 0.1)
    a_program(alone, "node", "exec /bin/sleep 60")

    assert [kind for kind in find_kinds(str(alone)) if kind.startswith("nodejs")] == []


def test_kinds_are_read_as_they_were_written():
    found = {"python:3.11": OWN, "nodejs:20": "/usr/bin/node", "python:3": OWN}

    assert list(read(written(found)).items()) == list(found.items())
    assert written({"nodejs:20": f"/a,b{os.sep}node"}) == ""


@pytest.mark.parametrize(
    "text", ["python", "python:3", "cobol:1=/x", "python:x=/x", "nodejs:20=node", "python:3=python,,"]
)
def test_a_setting_that_names_no_kinds_is_told_so(text):
    assert problem("") is None
    assert "must be KIND=PATH" in (problem(text) or "")
