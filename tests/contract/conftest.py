"""Lets a test of the REST contract look back on all others of its folder."""

from __future__ import annotations

from pathlib import Path

import pytest

FOLDER = Path(__file__).parent / "rest"
_left_out = pytest.StashKey[bool]()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put last what looks back on the other tests; after the plugin that shuffles them."""
    items.sort(key=lambda item: item.get_closest_marker("run_last") is not None)


def pytest_deselected(items: list[pytest.Item]) -> None:
    """Remember that some of the folder's tests do not run."""
    for item in items:
        if FOLDER in item.path.parents:
            item.config.stash[_left_out] = True


@pytest.fixture
def whole_folder(request: pytest.FixtureRequest) -> None:
    """Skip unless all tests of the folder run."""
    config = request.config
    asked = [Path(config.invocation_params.dir, one).resolve() for one in config.args]
    whole = any(one == FOLDER or one in FOLDER.parents for one in asked)
    if config.stash.get(_left_out, False) or not whole:
        pytest.skip("only part of the folder runs")
