"""The disk of the data directory is full: what needs it is refused with that reason, until there is room again."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.support.deploying import Deployer
from tests.support.server import Server
from tests.support.waiting import wait_until

FULL: Final = "The server's disk is full; its operator must free space. Then try again."
NO_JOURNAL: Final = (
    "The invoker cannot write its journal; its operator must free space on the disk of the data directory."
)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server whose data directory is a file system of 8 MiB."""
    one = Server()
    one.data.mkdir(mode=0o700)
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m,mode=700", "tmpfs", str(one.data)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        one.remove()
        pytest.skip(f"needs the right to mount a small file system: {done.stderr.strip()}")
    try:
        one.start()
        client = one.client()
        client.action("hello", "def main(args):\n    return {'hello': args.get('name', 'world')}\n")
        client.close()
        yield one
        one.stop()
        assert one.left_over() == []
    finally:
        subprocess.run(["umount", "--lazy", str(one.data)], check=True)
        one.remove()


def fill(path: Path) -> None:
    """Take every last block."""
    with path.open("wb", buffering=0) as file:
        for step in (1 << 16, 1 << 12, 1):
            try:
                while file.write(bytes(step)) == step:
                    pass
            except OSError:
                continue


def test_a_full_disk_is_a_clear_error_and_room_ends_it(server: Server, live: Deployer):
    live.workflow("{dataflow: 1, steps: {a: {action: hello, inputs: $run}}, result: a}", name="native")
    live.run("native")
    before = live.run("hello")
    ballast = server.data / "ballast"
    fill(ballast)

    said = set()
    for _ in range(20):
        reply = live.invoke("hello")
        assert reply.status_code in (200, 500, 503)
        said.add(reply.json().get("error"))
    assert NO_JOURNAL in said
    assert said <= {None, NO_JOURNAL, FULL}

    refused = live.put("new", "def main(args):\n    return {}\n" + "#" * 100_000)
    assert (refused.status_code, refused.json()["error"]) == (503, FULL)
    large = live.invoke("native", {"x": "y" * 3_000_000})
    assert large.status_code in (500, 503)
    assert "full" in large.json()["error"] or "free space" in large.json()["error"]
    assert live.call("GET", "actions/hello").status_code == 200, "what is there can be read"

    ballast.unlink()
    wait_until(lambda: live.invoke("hello").status_code == 200, 10, "it serves again")
    assert live.run("hello") == before
    assert live.run("native", x="y" * 2_000_000) == before
    live.action("new", "def main(args):\n    return {'new': True}\n")
    assert live.run("new") == {"new": True}
    record = live.call("POST", "actions/hello?blocking=true").json()
    assert live.finished(record["activationId"])["response"]["success"]
