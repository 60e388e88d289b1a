"""Old activation records go away while the server runs, with the room that they took."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.server import Server
from tests.support.waiting import wait_until


@pytest.mark.timeout(60)
def test_records_beyond_the_bounds_are_removed_with_their_results(make_server: Callable[..., Server]):
    server = make_server(environ={"DATAFLOWER_CONTROLLER_ACTIVATIONS_PER_NAMESPACE": "0"}).start()
    client = server.client()
    client.action("large", "def main(args):\n    return {'large': 'x' * 200_000, 'n': args['n']}\n")
    for number in range(5):
        client.run("large", n=number)
    assert len(client.call("GET", "activations").json()) == 5
    packs = server.data / "results"
    assert sum(path.stat().st_size for path in packs.iterdir()) >= 1_000_000
    server.stop()

    server.environ["DATAFLOWER_CONTROLLER_ACTIVATIONS_PER_NAMESPACE"] = "2"
    server.start()
    client = server.client()
    wait_until(lambda: len(client.call("GET", "activations").json()) == 2, within_s=10, message="two records left")
    assert client.call("GET", "activations?count=true").json() == {"activations": 2}
    newest = client.call("GET", "activations?docs=true").json()[0]
    assert newest["response"]["result"]["n"] == 4
    server.stop()

    server.environ["DATAFLOWER_CONTROLLER_ACTIVATIONS_AGE_S"] = "0.1"
    server.start()
    client = server.client()
    wait_until(lambda: client.call("GET", "activations").json() == [], within_s=10, message="no record left")
    wait_until(lambda: not list(packs.iterdir()), within_s=10, message="no pack left")
    server.stop()
