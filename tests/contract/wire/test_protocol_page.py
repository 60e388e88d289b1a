"""PROTOCOL.md says MUST only where a test holds it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "action_runtime/wire/PROTOCOL.md").read_text(encoding="utf-8")
FILES = {
    "codec": "tests/contract/wire/test_codec.py",
    "golden": "tests/contract/wire/test_golden.py",
    "session": "tests/integration/relay/test_session.py",
    "violations": "tests/integration/relay/test_violations.py",
    "channel": "tests/integration/relay/test_channel.py",
    "sealing": "tests/integration/sink/test_sealing.py",
}
BODY, _, RULES = PAGE.partition("## Rules and the tests that hold them")
NAMED = re.findall(r"`(\w+)::(\w+)`", RULES)


@pytest.mark.parametrize(
    "rule", re.findall(r"^\d+\. .+$", RULES, re.MULTILINE), ids=lambda rule: rule.partition(".")[0]
)
def test_every_rule_names_a_test(rule):
    assert "MUST" in rule
    assert re.search(r"`\w+::test_\w+`", rule)


@pytest.mark.parametrize(("file", "name"), NAMED, ids=lambda part: part)
def test_every_named_test_exists(file, name):
    assert re.search(rf"^(async )?def {name}\(", (ROOT / FILES[file]).read_text(encoding="utf-8"), re.MULTILINE)


def test_every_must_of_the_text_refers_to_a_rule():
    rules = set(re.findall(r"^(\d+)\. ", RULES, re.MULTILINE))
    bare = []
    for sentence in re.findall(r"[^.]*\bMUST\b[^.]*\.", BODY):
        numbers = re.findall(r"\(rule (\d+)\)", sentence)
        if not numbers or not set(numbers) <= rules:
            bare.append(sentence.strip())

    assert bare == []
