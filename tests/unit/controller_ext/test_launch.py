from __future__ import annotations

import resource
import sys

import pytest

from controller_ext import launch
from tests.conftest import ROOT


def test_a_module_is_run_without_the_folder_that_it_is_run_in():
    assert launch.command("invoker_ext", "--help") == [sys.executable, "-P", "-m", "invoker_ext", "--help"]


def test_a_checkout_is_put_before_what_the_user_has_on_the_path():
    assert launch.environment({"A": "b"}) == {"A": "b", "PYTHONPATH": str(ROOT)}
    assert launch.environment({"PYTHONPATH": "x"}) == {"PYTHONPATH": f"{ROOT}:x"}


def test_what_is_installed_is_found_without_help_after_the_modules_of_python(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("site.getsitepackages", lambda: [str(ROOT)])
    assert launch.environment({"PYTHONPATH": "x"}) == {"PYTHONPATH": "x"}


def test_a_process_may_open_as_many_files_as_the_system_allows(monkeypatch: pytest.MonkeyPatch):
    asked: list[tuple[int, tuple[int, int]]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda which: (100, 5000))
    monkeypatch.setattr(resource, "setrlimit", lambda which, limits: asked.append((which, limits)))
    launch.lift_open_files()
    assert asked == [(resource.RLIMIT_NOFILE, (5000, 5000))]
