"""What reaches other hosts, where an operator said little."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller_ext.standalone.neighbours import complete, keep_secret, shared_secret
from invoker_ext.stores.sqlite import SqliteEntities

PREFIX = "P_"


@pytest.fixture
def store(tmp_path: Path):
    store = SqliteEntities(tmp_path / "entities.db")
    yield store
    store.close()


@pytest.mark.parametrize(
    "given",
    [
        {"P_PEER_LISTEN": "host:1", "P_PEER_SECRET_FILE": "/file"},
        {"P_PEER_LISTEN": "host:1", "P_PEER_TLS": "a,b,c"},
    ],
)
def test_what_an_operator_said_stays(given, store, tmp_path):
    environ = complete(given, PREFIX)
    keep_secret(environ, PREFIX, tmp_path, store, 0)
    assert environ == given


def test_all_who_share_a_store_have_one_secret_in_a_file_that_is_closed_to_others(store, tmp_path):
    files = []
    for name, given in (("a", {"P_PEER_LISTEN": "host:1"}), ("b", {})):
        (tmp_path / name / "run").mkdir(parents=True)
        environ = complete(given, PREFIX)
        keep_secret(environ, PREFIX, tmp_path / name, store, 0)
        files.append(Path(environ["P_PEER_SECRET_FILE"]))
    assert files[0] != files[1]
    assert {file.read_text() for file in files} == {shared_secret(store, 0)}
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
