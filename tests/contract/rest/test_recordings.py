from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from werkzeug.serving import make_server

from controller_ext.entities.limits import SystemLimits
from tests.support import outcomes
from tests.support.api import make_api
from tests.support.replaying import load, read_allowed, replay

LIMITS = SystemLimits(invocations_per_minute=1_000_000, concurrent_invocations=1000, fires_per_minute=1_000_000)
"""What the recorded server was set to."""


@pytest.fixture(params=["sqlite", "couchdb"])
def store(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def server(tmp_path: Path, store: str, request: pytest.FixtureRequest) -> Iterator[str]:
    place = request.getfixturevalue("couch_server").place() if store == "couchdb" else None
    api = make_api(tmp_path, LIMITS, place).compose()
    listener = make_server("127.0.0.1", 0, api.app, threaded=True)
    listener.socket.settimeout(1.0)  # a client that is gone before it was accepted holds nobody up
    thread = threading.Thread(target=listener.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{listener.server_port}"
    listener.shutdown()
    thread.join(5)
    listener.server_close()
    api.close()


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", ["wsk-basic", "wsk-actions", "wsk-sequences", "wsk-activations", "rest"])
def test_the_server_answers_as_the_recorded_one_did(server: str, store: str, shared_dir: Path, name: str):
    recordings = shared_dir / "recordings"
    allowed = read_allowed(Path(__file__).with_name("allowed.tsv"))
    if store == "couchdb" and name == "rest":
        allowed.append(("activation-list-pkg-name", "stock's view finds an activation through a binding by that alone"))
    report = replay(load(recordings), server, recordings / f"{name}.jsonl", allowed, note=outcomes.note)
    assert not report.wrong, "\n".join(report.wrong)
    assert report.needless == []
    assert report.equal > 10
