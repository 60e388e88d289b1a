"""An API with everything behind it faked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.api import Api, make_api
from tests.support.web import answering, export


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    """A fresh API with the stock users."""
    made = make_api(tmp_path)
    yield made
    made.close()


@pytest.fixture
def echo(api: Api) -> Api:
    """Web action `a`; every run ends with `{"body": "x"}`."""
    export(api)
    answering(api, {"body": "x"})
    return api
