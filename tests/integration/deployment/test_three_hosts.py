"""Three invokers, a Kafka and a CouchDB: a value passes from host to host to host, and one of them dies amid."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests

from controller_ext.balancer.slots import home_hash
from invoker_ext.door.client import DoorClient
from invoker_ext.door.hello import Role
from tests.support.deploying import Deployer
from tests.support.deployment import Deployment
from tests.support.processes import child_running
from tests.support.waiting import wait_until

pytestmark = pytest.mark.timeout(120)
Factory = Callable[..., Deployment]
HOSTS = 3
WAITS = """
import os, time
from action_runtime import emit
def passes(args, name, value):
    with open(os.path.join(args["folder"], "marks"), "a") as marks:
        marks.write(name + "\\n")
    emit(name, value)
    while not os.path.exists(os.path.join(args["folder"], "gate")):
        time.sleep(0.02)
    return {"folder": args["folder"]}
"""
MAKE = WAITS + "def main(args):\n    return passes(args, 'x', 'a value ' * 20_000)\n"
PASS = WAITS + "def main(args):\n    return passes(args, 'y', args['x'] + 'again')\n"
READ = WAITS + "def main(args):\n    return passes(args, 'z', len(args['y']))\n"
JOIN = "def main(args):\n    return {'y': args['y'][-13:], 'z': args['z'], 'n': len(args['y'])}\n"
CHAIN = """
dataflow: 1
steps:
  make: {action: make, inputs: {folder: $run.folder}}
  pass: {action: pass, inputs: {folder: $run.folder, x: make.x}}
  read: {action: read, inputs: {folder: $run.folder, y: pass.y}}
  join: {action: join, inputs: {y: pass.y, z: read.z, read: read.folder}}
result: join
"""
COUNT = "def main(args):\n    return {'n': 1}\n"
LATE = "dataflow: 1\nsteps:\n  count: {action: count, inputs: $run}\nresult: count\n"


def test_a_run_over_three_hosts_and_one_that_only_a_dead_host_and_a_dead_balancer_knew_both_end(
    deploy: Factory, tmp_path: Path, free_port: int
):
    deployment = deploy(
        DATAFLOWER_CONTROLLER_KINDS="python:3=python",
        DATAFLOWER_CONTROLLER_WORKERS="1",
        DATAFLOWER_CONTROLLER_OWNER_LOST_S="3",
        DATAFLOWER_CONTROLLER_PEER_LISTEN=f"127.0.0.1:{free_port}",
        DATAFLOWER_INVOKER_KINDS="python:3=python",
        DATAFLOWER_INVOKER_STEM_CELLS="0",
        DATAFLOWER_INVOKER_USER_MEMORY_MB="256",  # one container on each host
        DATAFLOWER_INVOKER_PEER_LISTEN="127.0.0.1:0",
        DATAFLOWER_INVOKER_PEER_LOST_S="2",
    )
    state = deployment.folder / "c"
    with ThreadPoolExecutor(HOSTS + 1) as pool:
        starting = [pool.submit(deployment.invoker) for _ in range(HOSTS)]
        controller = pool.submit(deployment.controller, "--data-dir", str(state)).result()
        invokers = {one.result().line.split()[0]: one.result() for one in starting}
    api = deployment.client(controller)
    wait_until(lambda: len(requests.get(f"{controller.line}/invokers", timeout=5).json()) == HOSTS, 20.0)
    homes = {name: slot(deployment, name) for name in invokers}
    wait_until(lambda: all(usage(home)["peers"]["known"] == HOSTS - 1 for home in homes.values()), 20.0)
    api.workflow(CHAIN, "chain", make=MAKE, **{"pass": PASS}, read=READ, join=JOIN)
    api.action("count", COUNT)

    chain, folder = spread(api, tmp_path)
    live = api.call("GET", f"activations/{chain}/trace").json()["live"]["live"]
    hosts = {one["step"]: one["host"] for one in live}
    assert {hosts[step] for step in ("make", "pass", "read")} == set(invokers)

    # A run of the host in the middle, which has no room to begin it.
    dying = hosts["pass"]
    number = int(dying.removeprefix("invoker"))
    late = next(
        name for name in map("late{}".format, range(99)) if home_hash("guest", f"guest/{name}") % HOSTS == number
    )
    api.workflow(LATE, late)
    counting = accepted(api, late, folder)
    assert usage(homes[dying])["runs"] == 1

    invokers[dying].kill()
    os.kill(child_running(controller.pid, "controller_ext.balancer"), signal.SIGKILL)
    (folder / "gate").touch()

    size = len("a value ") * 20_000 + len("again")
    assert api.finished(chain, 40.0)["response"]["result"] == {"y": "a value again", "z": size, "n": size}
    # Nobody asks for it but the balancer that was started again.
    assert api.finished(counting, 40.0)["response"]["result"] == {"n": 1}
    assert sorted(lines(folder / "marks")) == ["x", "y", "y", "z"]
    for name in set(invokers) - {dying}:
        wait_until(partial(empty, homes[name]), 20.0, partial(str, homes[name]))
    controller.stop()
    assert not list((state / "accepted").iterdir())


def spread(api: Deployer, folder: Path) -> tuple[str, Path]:
    """Start a run whose steps each run on a host of their own, as each still runs when the next one fires.

    A host whose last ping is older than what it was lent since may get a step too many, which waits there.
    """
    for attempt in range(5):
        here = folder / str(attempt)
        here.mkdir()
        run = accepted(api, "chain", here)
        with suppress(AssertionError):
            wait_until(partial(all_there, here / "marks"), 6.0)
            return run, here
        (here / "gate").touch()
        api.finished(run, 40.0)
    raise AssertionError("no run was spread over all hosts")


def accepted(api: Deployer, name: str, folder: Path) -> str:
    """Start a run that nobody waits for."""
    reply = api.call("POST", f"actions/{name}", json={"folder": str(folder)})
    assert reply.status_code == 202, reply.text
    found: str = reply.json()["activationId"]
    return found


def lines(file: Path) -> list[str]:
    """Return what functions have written."""
    return file.read_text().splitlines() if file.exists() else []


def all_there(marks: Path) -> bool:
    """Return whether each host runs a step."""
    return len(lines(marks)) == HOSTS


def slot(deployment: Deployment, name: str) -> Path:
    """Return the data directory of an invoker."""
    number = name.removeprefix("invoker")
    (found,) = (one.parent for one in deployment.invokers.glob("slot*/number") if one.read_text() == number)
    return found


def usage(home: Path) -> dict[str, Any]:
    """Return what an invoker holds."""
    run = home / "run"
    client = DoorClient(run / "invoker.sock", role=Role.TOOL, token=(run / "token").read_text())
    try:
        found: dict[str, Any] = client.call("usage", 5.0)
    finally:
        client.close()
    return found


def empty(home: Path) -> bool:
    """Return whether an invoker holds nothing of any run."""
    held = usage(home)
    sink, peers = held["sink"], held["peers"]
    return not (held["runs"] or peers["runs"] or peers["offers"] or sink["inline_bytes"] or sink["by_owner"])
