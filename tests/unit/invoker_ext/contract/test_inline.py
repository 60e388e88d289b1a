"""Which functions need Node.js, by their texts."""

from __future__ import annotations

import pytest

from invoker_ext.contract.inline import host_name_in


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("() => require('fs')", "require"),
        ("p => ({key: process.env.__OW_API_KEY})", "process"),
        ("async () => (await import('fs'))", "import"),
        ("p => new Promise(done => setTimeout(done, p.ms))", "setTimeout"),
        ("p => ({...process.env})", "process"),
        ("p => Buffer.from(p.text)", "Buffer"),
        ("p => `${process.pid}`", "process"),
        ("p => { /* none */ return fetch(p.url) // here\n }", "fetch"),
    ],
)
def test_a_function_that_uses_something_of_node_is_recognised(code, name):
    assert host_name_in(code) == name


@pytest.mark.parametrize(
    "code",
    [
        "p => p.process",
        "p => p?.process",
        "({ value }) => ({process: value, 'require': 1})",
        "() => 'require'",
        '() => "a \\" process"',
        "() => 1 // process",
        "() => { /* require\n */ }",
        "p => Math.max(...p.value.map(x => x.url))",
        "requirement => processes",
        "",
    ],
)
def test_a_function_that_only_has_such_a_word_somewhere_is_not(code):
    assert host_name_in(code) is None


def test_a_long_text_is_read_in_one_pass():
    for part in ("'", '"', "/*", "/", "'\\", "a?.", ".", "$"):
        assert host_name_in(part * 200_000) is None
