import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from controller_ext.cli.demo import next_steps
from controller_ext.cli.demo_run import BadInput, DemoFailed, checked, parameters_of, read_texts
from controller_ext.cli.examples import ExampleMissing, load, names
from controller_ext.cli.main import main
from controller_ext.cli.server import EmbeddedServer
from tests.benchmarks.memory import tree

ROOT = Path(__file__).resolve().parents[3]


def test_an_example_holds_the_actions_that_its_workflow_names():
    assert set(load("wordcount").actions) == {"start", "count", "merge"}


def test_the_actions_of_an_example_have_the_kind_of_their_language():
    kinds = {name: source.kind for name, source in load("nodejs").actions.items()}
    assert kinds == {"contents": "python:3", "slug": "nodejs:default", "titles": "nodejs:default"}


def test_an_example_that_is_a_sequence_names_its_components():
    example = load("sequence")

    assert example.components == ("split", "sort", "join")
    assert set(example.actions) == set(example.components)


def test_an_unknown_example_is_told_which_there_are():
    with pytest.raises(ExampleMissing, match="hello, nodejs, sequence, stream, switch, web, wordcount"):
        load("nothing")


def test_without_a_name_the_examples_are_listed_with_what_they_show(capsys):
    assert main(["demo"]) == 0

    text = capsys.readouterr().out
    assert [line.split()[0] for line in text.splitlines() if re.match(r"[a-z]", line)] == names()
    assert "hello      One plain action, as on any OpenWhisk." in text


def test_files_are_for_the_one_example_that_counts_them(tmp_path):
    with pytest.raises(BadInput, match="hello takes no files; wordcount does"):
        parameters_of(load("hello"), [tmp_path / "a.txt"])


def test_without_files_the_texts_are_those_of_python_itself():
    assert len(read_texts([])) > 50


def test_files_are_read_by_name(tmp_path):
    (tmp_path / "a.txt").write_text("one two")

    assert read_texts([tmp_path / "a.txt"]) == {"a.txt": "one two"}


@pytest.mark.parametrize(("content", "reason"), [(None, "No such file"), (b"\xff\xfe\xff", "no UTF-8")])
def test_a_file_that_cannot_be_counted_is_said_so(tmp_path, content, reason):
    path = tmp_path / "bad.txt"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(BadInput, match=reason):
        read_texts([path])


def test_a_run_that_failed_is_an_error_with_its_words():
    response = {"success": False, "status": "application error", "result": {"error": "no memory"}}

    with pytest.raises(DemoFailed, match="no memory"):
        checked(load("hello"), {}, {"activationId": "1", "response": response})


@pytest.mark.parametrize(("parameters", "result"), [({"name": "OpenWhisk"}, {"greeting": "Bye!"}), ({}, {"words": 1})])
def test_a_result_that_is_not_what_it_should_be_is_an_error(parameters, result):
    with pytest.raises(DemoFailed, match="something else"):
        checked(load("hello"), parameters, {"activationId": "1", "response": {"success": True, "result": result}})


@pytest.mark.parametrize("name", names())
def test_the_next_steps_name_address_key_and_three_commands(name):
    text = next_steps(load(name))

    assert "http://127.0.0.1:3233" in text
    assert len(re.findall(r"^  (?=\S).*(?:standalone|run\.sh|graph|curl).*$", text, re.MULTILINE)) == 3


@pytest.mark.timeout(90)
def test_a_server_is_gone_with_its_files_when_it_is_left(no_leaks):
    with EmbeddedServer() as server:
        pids, folder = tree(server.pid), server.folder

    assert len(pids) > 1
    assert [pid for pid in pids if Path(f"/proc/{pid}").exists()] == []
    assert not folder.exists()


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A folder in which sockets find room, as they need not in pytest's."""
    with tempfile.TemporaryDirectory(prefix="df-demo-") as folder:
        yield Path(folder)


@pytest.mark.timeout(90)
def test_the_demo_counts_shows_and_leaves_nothing(short_path: Path):
    text = short_path / "text.txt"
    text.write_text("the cat and the hat and the bat")
    environ = os.environ | {"TMPDIR": str(short_path), "PYTHONPATH": str(ROOT)}

    result = subprocess.run(
        [sys.executable, "-m", "controller_ext.cli", "demo", "wordcount", str(text)],
        capture_output=True,
        text=True,
        env=environ,
        timeout=80,
    )

    assert result.returncode == 0, result.stderr
    assert re.search(r"^the +3 *$", result.stdout, re.MULTILINE)
    assert "8 words, 5 different ones, in 1 text\n" in result.stdout
    assert "count[0]" in result.stdout
    assert "Go on by hand" in result.stdout
    assert list(short_path.iterdir()) == [text]
