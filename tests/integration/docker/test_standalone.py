"""`dataflower standalone --driver docker`: a whole server whose containers are Docker's."""

import json
import re
from collections import Counter

import pytest

from controller_ext.cli.examples import load
from invoker_ext.containers.drivers.docker.flags import LABEL
from tests.support import engine
from tests.support.composer.trees import deployed, function, seq
from tests.support.waiting import wait_until

pytestmark = pytest.mark.timeout(180)
WORDS = "the quick brown fox jumps over the lazy dog "
MIXED = """
dataflow: 1
steps:
  split: {action: split, inputs: {text: $run.text}}
  shout: {action: shout, inputs: {word: {each: split.word}}}
  join: {action: join, inputs: {words: {gather: shout.loud}}}
result: join
"""
SPLIT = """
from action_runtime import emit
def main(args):
    for word in args["text"].split():
        emit("word", word)
    return {}
"""
SHOUT = "function main({word}) { console.log(word); return {loud: word.toUpperCase()}; }"
JOIN = "def main(args):\n    return {'text': ' '.join(args['words'])}\n"
SLEEP = "import time\ndef main(args):\n    print('asleep', flush=True)\n    time.sleep(60)\n"


def containers(server):
    instance = (server.data / "containers" / "instance").read_text()
    return engine.docker("ps", "-aq", "--filter", f"label={LABEL}={instance}").split()


def test_wordcount_in_real_containers_is_that_of_a_plain_loop(make_server):
    server = make_server().start()
    client = server.client()
    example = load("wordcount")
    texts = {f"{n}.txt": WORDS * (n + 1) * 200 for n in range(4)}
    expected: Counter[str] = Counter()
    for text in texts.values():
        expected.update(re.findall(r"[a-z]+", text.lower()))
    client.workflow(example.workflow, "wordcount", **{name: one.code for name, one in example.actions.items()})
    assert client.run("wordcount", texts=texts) == {"words": dict(expected)}
    _, firings = client.firings("wordcount", texts=texts)
    client.close()
    assert len(firings) == len(texts) + 2
    assert containers(server)
    server.stop()
    assert containers(server) == []
    assert server.left_over() == []


def test_steps_of_a_stock_image_and_of_ours_work_in_one_run_and_functions_of_node_too(make_server):
    server = make_server(DATAFLOWER_CONTROLLER_INLINE_FUNCTIONS="nodejs").start()
    client = server.client()
    client.put("shout", SHOUT, kind="nodejs:20").raise_for_status()
    client.workflow(MIXED, "mixed", split=SPLIT, join=JOIN)
    run, firings = client.firings("mixed", text="leave by the door")
    assert run["response"]["result"] == {"text": "LEAVE BY THE DOOR"}
    logs = [line[31:] for one in firings if one["name"] == "shout" for line in one["logs"]]
    assert sorted(logs) == ["stdout: by", "stdout: door", "stdout: leave", "stdout: the"]
    kinds = {one["kind"] for one in client._session.get(client.url).json()["runtimes"]["nodejs"]}
    assert kinds == {"nodejs:20"}
    ast = seq(function("() => { console.log('boxed'); return {at: require('fs').existsSync('/.dockerenv')} }"))
    client.call("PUT", "actions/composed", json=deployed(ast)).raise_for_status()
    composed, _ = client.firings("composed")
    assert composed["response"]["result"] == {"at": True}
    assert {"key": "functionLog", "value": "boxed\n"} in composed["annotations"]
    client.close()
    server.stop()


def test_actions_that_name_an_image_run_it_or_fail_as_in_stock(make_server):
    server = make_server().start()
    client = server.client()
    code = "def main(args):\n    print('in the box')\n    return {'hello': args['name']}\n"
    box = {"exec": {"kind": "blackbox", "image": engine.nowhere(engine.image("python"), "1"), "code": code}}
    client.call("PUT", "actions/box", json=box).raise_for_status()
    client.call("PUT", "actions/none", json={"exec": {"kind": "blackbox", "image": "nowhere.invalid/x:1"}})
    empty = engine.nowhere(engine.unrunnable(), "unrunnable")
    client.call("PUT", "actions/empty", json={"exec": {"kind": "blackbox", "image": empty}})
    assert client.run("box", name="Ada") == {"hello": "Ada"}
    replies = [client.call("POST", f"actions/{name}?blocking=true", json={}).json() for name in ("none", "empty")]
    client.close()
    assert [one["response"]["result"]["error"] for one in replies] == [
        "Failed to pull container image 'nowhere.invalid/x:1'.",
        f"executable file not found in image {empty}",
    ]
    assert {one["response"]["status"] for one in replies} == {"action developer error"}
    server.stop()


def test_memory_and_time_beyond_the_limits_have_stocks_texts(make_server):
    server = make_server().start()
    client = server.client()
    client.action("greedy", "def main(args):\n    return {'n': len(bytearray(1 << 29))}\n", limits={"memory": 128})
    client.action("slow", SLEEP, limits={"timeout": 1000})
    assert client.fail("greedy") == "The action exhausted its memory and was aborted."
    reply = client.call("POST", "actions/slow?blocking=true", json={}).json()
    assert reply["response"]["result"] == {"error": "The action exceeded its time limits of 1000 milliseconds."}
    assert [line[31:] for line in client.finished(reply["activationId"])["logs"]] == [
        "stdout: asleep",
        "stderr: The action did not initialize or run as expected. Log data might be missing.",
    ]
    client.close()
    server.stop()


def test_a_killed_container_costs_a_native_run_nothing(make_server):
    server = make_server(DATAFLOWER_INVOKER_STEM_CELLS="0").start()
    client = server.client()
    text = "dataflow: 1\nsteps:\n  one: {action: once, inputs: {n: $run.n}}\nresult: one\n"
    client.workflow(text, "flow", once="import time\ndef main(args):\n    time.sleep(3)\n    return {'n': args['n']}\n")
    reply = client.call("POST", "actions/flow", json={"n": 7})
    wait_until(lambda: server.usage()["pool"]["busy"] == 1, within_s=30)
    (victim,) = containers(server)
    engine.docker("kill", victim)
    run = client.finished(reply.json()["activationId"], within_s=60)
    client.close()
    assert run["response"]["result"] == {"n": 7}
    server.stop()


def test_a_server_that_was_killed_removes_what_it_left_at_its_next_start(make_server):
    server = make_server().start()
    client = server.client()
    client.put("js", "function main() { return {}; }", kind="nodejs:20").raise_for_status()
    client.run("js")
    client.close()
    before = containers(server)
    assert before
    server.crash()
    server.start()
    assert not set(before) & set(containers(server))
    server.stop()
    assert containers(server) == []


def test_a_manifest_of_stocks_form_names_images_and_stem_cells(make_server, tmp_path):
    prefix, _, rest = engine.image("python").partition("/")
    name, _, tag = rest.partition(":")
    image = {"prefix": prefix, "name": name, "tag": tag}
    cells = [{"initialCount": 1, "memory": "256 MB"}]
    entry = {"kind": "python:3.11", "default": True, "image": image, "stemCells": cells}
    file = tmp_path / "runtimes.json"
    file.write_text(json.dumps({"runtimes": {"python": [entry]}}))
    server = make_server(DATAFLOWER_INVOKER_MANIFEST=str(file)).start()
    client = server.client()
    wait_until(lambda: server.usage()["pool"]["spare"] == 1, within_s=30)
    client.action("hello", "def main(args):\n    return {'hello': 'there'}\n", kind="python:3.11")
    assert client.run("hello") == {"hello": "there"}
    assert list(client._session.get(client.url).json()["runtimes"]) == ["python"]
    client.close()
    server.stop()


def test_actions_reach_the_api_of_a_server_that_listens_for_its_host_alone(make_server):
    server = make_server().start()
    client = server.client()
    client.action(
        "ping",
        """
        import os
        from urllib.request import urlopen

        def main(args):
            host = os.environ["__OW_API_HOST"]
            return {"said": urlopen(f"{host}/ping", timeout=10).read().decode(), "host": host}
        """,
    )
    found = client.run("ping")
    client.close()
    assert found["said"] == "pong"
    assert found["host"] != server.url
    server.stop()
