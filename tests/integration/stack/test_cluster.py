"""Kafka, a CouchDB, a controller and two invokers in containers of their own, as clients see them."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from controller_ext.cli.client import Client
from controller_ext.cli.examples import SCRIPT, folder, load, names
from controller_ext.cli.options import Endpoint
from tests.benchmarks.deployment import SCENARIOS as MEASURED, start
from tests.benchmarks.harness import Bench, BenchmarkFailed
from tests.benchmarks.scenarios import SCENARIOS
from tests.conftest import needs
from tests.e2e.clients.test_openwhisk_js import GROUPS, SCENARIO, ZIP
from tests.support import npm_clients
from tests.support.cluster import Cluster
from tests.support.commands import Command, alone
from tests.support.deploying import KEY
from tests.support.regions import PROGRAMS, composition
from tests.support.waiting import wait_until

pytestmark = pytest.mark.timeout(900)  # of which most is for images that are still being built
ON_THE_HOST = ("defaults",)
"""Groups of the client whose actions read its files, which containers do not have."""
WORDS = "the quick brown fox jumps over the lazy dog "
MARK = """
import hashlib
from action_runtime import emit, open_output

def main(args):
    text = hashlib.sha256(args["seed"].encode()).hexdigest() * 1024
    for number in range(2):
        emit("item", text)
    emit("bytes", text.encode())
    with open_output("parts") as parts:
        parts.write(text.encode())
    return {"value": text, "number": 1}
"""
LOOK = """
import hashlib

def main(args):
    text = hashlib.sha256(args.pop("seed").encode()).hexdigest() * 1024
    return {name: value == text or bytes(value) == text.encode() for name, value in args.items()}
"""
PASS = "def main(args):\n    return {'text': args['text']}\n"
READ = (
    "from action_runtime import open_input\ndef main(args):\n    return {'text': open_input('parts').read().decode()}\n"
)
EDGES = """
dataflow: 1
steps:
  mark: {action: mark, inputs: {seed: $run.seed}}
  each: {action: pass, inputs: {text: {each: mark.item}}}
  join: {action: join, inputs: {texts: {gather: each.text}}}
  read: {action: read, inputs: {parts: {stream: mark.parts}}}
  left: {action: pass, inputs: {text: {from: mark.value, when: "size(value) > 1"}}}
  right: {action: pass, inputs: {text: {from: mark.value, when: "size(value) < 1"}}}
  look:
    action: look
    inputs:
      seed: $run.seed
      plain: mark.value
      bytes: mark.bytes
      gathered: join.text
      streamed: read.text
      chosen: {any: [right.text, left.text]}
      spare: {from: mark.value, optional: true}
result: look
"""
WHOLE = """
dataflow: 1
steps:
  whole: {action: double, inputs: {text: $run.text}}
result: whole
"""
NAPS = """
dataflow: 1
steps:
  nap: {action: nap, inputs: {n: {each: $run.items}}}
result: {all: {gather: nap.n}}
"""
DOZE = "import time\ndef main(args):\n    time.sleep(60)\n"
JOIN = "def main(args):\n    one, two = args['texts']\n    return {'text': one if one == two else ''}\n"


def test_wordcount_is_that_of_a_plain_loop(cluster: Cluster):
    example = load("wordcount")
    texts = {f"{number}.txt": WORDS * (number + 1) * 500 for number in range(4)}
    expected: Counter[str] = Counter()
    for text in texts.values():
        expected.update(re.findall(r"[a-z]+", text.lower()))
    api = cluster.client()
    assert example.workflow is not None
    api.workflow(example.workflow, "wordcount", **{name: one.code for name, one in example.actions.items()})
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: cluster.client().run("wordcount", texts=texts), range(8)))
    api.close()
    assert found == [{"words": dict(expected)}] * 8


def test_no_value_between_steps_is_in_kafka_or_couchdb(cluster: Cluster):
    api = cluster.client()
    api.workflow(EDGES, "edges", mark=MARK, look=LOOK, read=READ, join=JOIN, **{"pass": PASS})
    seed = "a seed of this run"
    run, _ = api.firings("edges", seed=seed)
    api.close()
    assert run["response"]["result"] == dict.fromkeys(
        ("plain", "bytes", "gathered", "streamed", "chosen", "spare"), True
    )
    value = hashlib.sha256(seed.encode()).hexdigest().encode()
    encoded = base64.b64encode(value * 3)
    for wanted in (value, encoded):
        assert not cluster.in_kafka(wanted)
        assert not cluster.in_couchdb(wanted)
    # Nor are parameters of a run that are above the inline bound, nor its result.
    api = cluster.client()
    for name in "abc":
        api.action(name, PASS)
    api.workflow(WHOLE, "whole", double=PASS)
    for name, body in (
        ("chain", {"exec": {"kind": "sequence", "components": ["/_/a", "/_/b"]}}),
        ("programmed", composition(PROGRAMS["sequence"])),
    ):
        api.call("PUT", f"actions/{name}?overwrite=true", json=body).raise_for_status()
    large = "large " + hashlib.sha256(seed.encode()).hexdigest()
    for name in ("chain", "programmed", "whole"):
        assert large in api.run(name, text=f"{large} in {name} {'x' * 100_000}")["text"]
    assert not cluster.in_kafka(large.encode())
    assert large in api.run("a", text=f"{large} {'x' * 100_000}")["text"]  # stock's invokers know no other way
    assert cluster.in_kafka(large.encode())
    api.close()
    # What was looked through is what there was.
    assert cluster.in_kafka(seed.encode())
    assert cluster.in_couchdb(run["activationId"].encode())


def test_large_parameters_and_results_traces_and_cancelling_cross_hosts(cluster: Cluster):
    api = cluster.client()
    api.workflow(WHOLE, "whole", double="def main(args):\n    return {'text': args['text'] + args['text']}\n")
    text = "large " * 400_000
    assert api.run("whole", text=text) == {"text": text * 2}
    api.workflow(NAPS.replace("action: nap", "action: doze"), "long", doze=DOZE)
    run = api.call("POST", "actions/long", json={"items": [1]}).json()["activationId"]
    wait_until(lambda: api.call("GET", f"activations/{run}/trace").json().get("live"), 20.0)
    assert api.call("POST", f"activations/{run}/cancel").status_code == 202
    assert api.finished(run)["response"]["status"] == "application error"
    reply = api.call("POST", "actions/whole?blocking=true", json={"text": "x"})
    assert api.record(reply.json()["activationId"])["response"]["result"] == {"text": "xx"}, "at once"
    api.close()


def test_invokers_lend_each_other_containers(cluster: Cluster):
    api = cluster.client()
    api.workflow(NAPS, "naps", nap="import time\ndef main(args):\n    time.sleep(1)\n    return args\n")
    hosts: set[str] = set()
    for _ in range(3):  # the first time a host knows nothing of the other's room
        reply = api.call("POST", "actions/naps?blocking=true", json={"items": list(range(12))})
        run = api.finished(reply.json()["activationId"])
        assert run["response"]["result"] == {"all": list(range(12))}
        for one in map(api.finished, run["logs"]):
            (line,) = (note["value"] for note in one["annotations"] if note["key"] == "dataflow")
            hosts.add(line.get("host", "its owner"))
    api.close()
    assert len(hosts) == 2


@pytest.mark.parametrize("name", names())
def test_the_script_of_an_example_gets_what_it_expects(cluster: Cluster, name: str):
    needs("curl", shutil.which("curl") is not None, "install it")
    environ = {key: value for key, value in os.environ.items() if key not in ("APIHOST", "AUTH", "KEEP")}
    argv = [str(folder() / name / SCRIPT)]
    done = subprocess.run(argv, capture_output=True, text=True, env=environ | {"APIHOST": cluster.url}, timeout=90)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == load(name).expected


@pytest.mark.parametrize("group", [one for one in GROUPS if one not in ON_THE_HOST])
def test_the_client_for_javascript_does_what_it_documents(cluster: Cluster, group: str, tmp_path: Path):
    needs("the clients from npm", npm_clients.installed(), npm_clients.HOW)
    environ = {
        **alone(tmp_path),
        "NODE_PATH": str(npm_clients.modules()),
        "__OW_API_HOST": cluster.url,
        "__OW_API_KEY": ":".join(KEY),
        "ZIP_BASE64": base64.b64encode(ZIP).decode(),
    }
    assert Command(["node", SCENARIO], environ, tmp_path).text(group) == f"{group}: ok\n"


def test_the_benchmarks_of_the_stack_run_on_it(cluster: Cluster):
    with Client(Endpoint(cluster.url, ":".join(KEY))) as client:
        bench = Bench(cluster.url, client, short=True, start_s=1.0)
        rows = [*start(bench), *SCENARIOS[MEASURED[0]](bench)]
        assert [row.scenario for row in rows] == ["start", "start", "invoke"]
        assert set(MEASURED) < SCENARIOS.keys()
        with pytest.raises(BenchmarkFailed, match="embedded server"):
            SCENARIOS["memory-idle"](bench)
