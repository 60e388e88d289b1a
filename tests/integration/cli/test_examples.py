"""Every example on a real server: as the demo runs it, and as its own script does by hand."""

import json
import os
import re
import shutil
import subprocess
from io import StringIO

import pytest
from rich.console import Console

from controller_ext.cli.client import Client, RequestRefused
from controller_ext.cli.demo_run import parameters_of, play, show_run
from controller_ext.cli.examples import SCRIPT, deploy, folder, load, names
from controller_ext.cli.options import GUEST_AUTH, Endpoint
from controller_ext.cli.server import EmbeddedServer
from tests.conftest import needs
from tests.support.dialects import NODE

pytestmark = pytest.mark.timeout(90)


@pytest.fixture(scope="module")
def server():
    with EmbeddedServer() as server:
        yield server


@pytest.fixture
def client(server):
    with Client(Endpoint(server.url, GUEST_AUTH)) as client:
        yield client


def shown(example, played) -> str:
    text = StringIO()
    show_run(Console(file=text, width=100), example, played)
    return text.getvalue()


@pytest.fixture(params=names())
def name(request):
    """Of each example that can run here."""
    if any(source.kind.startswith("nodejs") for source in load(request.param).actions.values()):
        needs("node", NODE is not None, "install nodejs 18 or newer")
    return request.param


def test_an_example_results_in_what_it_should_and_its_run_is_drawn(client, name):
    example = load(name)
    deploy(client, example)

    played = play(client, example, example.parameters)

    assert played.result == example.expected
    assert (played.timeline is not None) == example.chained
    text = shown(example, played)
    for step in example.actions if example.chained else ():
        assert re.search(rf"^{step}(\[\d+\])? +[░█▒]", text, re.MULTILINE), text


def test_the_demo_of_wordcount_counts_the_language_reference(client):
    example = load("wordcount")
    deploy(client, example)

    played = play(client, example, parameters_of(example, []))

    texts = played.parameters["texts"]
    assert played.result["words"]["the"] > 1000
    assert f"different ones, in {len(texts)} texts" in shown(example, played)


def run(server, name: str, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    needs("curl", shutil.which("curl") is not None, "install it")
    environ = {key: value for key, value in os.environ.items() if key not in ("APIHOST", "AUTH", "KEEP")}
    return subprocess.run(
        [str(folder() / name / SCRIPT), *arguments],
        capture_output=True,
        text=True,
        env=environ | {"APIHOST": server.url} | more,
        timeout=60,
    )


def test_the_script_of_an_example_gets_what_it_expects_and_cleans_up(server, client, name):
    done = run(server, name)

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == load(name).expected
    with pytest.raises(RequestRefused, match="404"):
        client.action(f"example-{name}/{name}")


def test_a_script_without_a_server_or_with_a_wrong_key_says_so_before_it_makes_anything(server):
    gone = run(server, "hello", APIHOST="http://127.0.0.1:9")
    unknown = run(server, "hello", AUTH="a:b")

    assert (gone.returncode, unknown.returncode) == (1, 1)
    assert gone.stderr.startswith("no OpenWhisk server answers at http://127.0.0.1:9; start one by: dataflower")
    assert unknown.stderr == f"the server at {server.url} does not know this key; name another by AUTH=uuid:key\n"


def test_a_script_that_gets_something_else_than_it_expects_fails(server, tmp_path):
    copy = tmp_path / "hello"
    shutil.copytree(folder() / "hello", copy)
    shutil.copy(folder() / "common.sh", tmp_path)
    (copy / "expected.json").write_text('{"greeting": "Bye!"}')

    done = subprocess.run(
        [str(copy / SCRIPT)], capture_output=True, text=True, env=os.environ | {"APIHOST": server.url}, timeout=60
    )

    assert done.returncode != 0
    assert "differs from expected.json" in done.stderr


def test_the_script_of_wordcount_counts_files_too(server, tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("the cat and the hat")

    done = run(server, "wordcount", str(text))

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"words": {"the": 2, "cat": 1, "and": 1, "hat": 1}}


def test_what_a_script_made_stays_if_that_is_asked_for(server, client):
    assert run(server, "hello", KEEP="1").returncode == 0

    result = client.invoke("example-hello/hello", {"name": "again"})["response"]["result"]
    assert result == {"greeting": "Hello again!"}
