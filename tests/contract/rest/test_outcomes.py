"""Every status that the document declares is seen by a test, or there is a reason.

`outcomes.tsv` is the table, `unseen.tsv` the reasons. Both are held against the document whatever part of the tests
runs; that the table is what the tests see can only be told once all of this folder have run, so that test comes last.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import pytest

from tests.support import outcomes
from tests.support.api import Api
from tests.support.conformance import Outcome
from tests.support.replaying import read_allowed
from tests.support.routes import served

TABLE: Final = Path(__file__).with_name("outcomes.tsv")
REASONS: Final = [pattern for pattern, _ in read_allowed(Path(__file__).with_name("unseen.tsv"))]
RENEW: Final = "WRITE_OUTCOMES"
"""Variable with which the last test writes the table."""


def declared(api: Api) -> set[Outcome]:
    """Return all outcomes of the routes that are served."""
    described = api.described()
    found = {described.operation(method, path) for method, path in served(api.app)} - {None}
    return {(one.method, one.path, status) for one in found if one is not None for status in described.statuses(one)}


def test_every_declared_outcome_is_in_the_table_or_has_a_reason(api: Api):
    missing = declared(api) - outcomes.read(TABLE)
    assert sorted(one for one in missing if outcomes.excused(one, REASONS) is None) == []


def test_no_reason_is_needless(api: Api):
    missing = declared(api) - outcomes.read(TABLE)
    assert set(REASONS) - {outcomes.excused(one, REASONS) for one in missing} == set()


@pytest.mark.run_last
def test_the_table_is_what_the_tests_have_seen(whole_folder: None, shared_dir: Path):
    if os.environ.get(RENEW):
        TABLE.write_text(outcomes.written(outcomes.SEEN))
    assert outcomes.written(outcomes.SEEN) == TABLE.read_text(), f"set {RENEW}=1 to renew {TABLE.name}"
