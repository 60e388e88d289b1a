"""The behaviours that OpenWhisk's own suites assert of the runtimes of JavaScript."""

import base64
import io
import json
import tarfile
import zipfile
from concurrent.futures import ThreadPoolExecutor

import pytest

PACKAGE = json.dumps({"name": "wskaction", "version": "1.0.0", "main": "index.js"})
EXPORTS = "exports.main = (args) => ({greeting: `Hello ${args.name ?? 'stranger'}`});\n"


@pytest.mark.parametrize(
    ("code", "result"),
    [
        ("function main() {}", {}),
        ("function main() { return; }", {}),
        ("const main = () => ({a: 1})", {"a": 1}),
        ("async function main() { return {a: 1}; }", {"a": 1}),
        ("function main() { return new Promise((done) => setTimeout(() => done({a: 1}), 10)); }", {"a": 1}),
        ("async function main() {}", {}),
        ("function foo() { return {a: 1}; }\nglobal.main = foo\n", {"a": 1}),
        ("exports.main = () => ({a: 1})", {"a": 1}),
        ("module.exports = {main: () => ({a: 1})}", {"a": 1}),
        ("function main() { text = 'x'; return {text}; }", {"text": "x"}),
        ("'use strict'; function main() { return {strict: this === undefined}; } // end", {"strict": True}),
        ("function main() { return {path: require('path').sep}; }", {"path": "/"}),
        ("async function main() { return {sep: (await import('path')).sep}; }", {"sep": "/"}),
        ("function main() { return {gc: typeof global.gc}; }", {"gc": "undefined"}),
    ],
)
def test_source_text_runs(node, code, result):
    assert node.init(code).status == 200

    reply = node.run()

    assert (reply.status, reply.body) == (200, result)
    assert node.logs(sentinels=1) == ("", "")


@pytest.mark.parametrize(
    ("thrown", "error"),
    [
        ("'no'", "no"),
        ("{code: 7}", {"code": 7}),
        ("undefined", {}),
        ("() => 1", "[Function: anonymous]"),
        ("(() => { const a = {n: 1n}; a.self = a; return a; })()", {"n": "1n", "self": "[Circular]"}),
    ],
)
def test_a_rejected_promise_is_an_error_result(node, thrown, error):
    node.init(f"function main() {{ return Promise.reject({thrown}); }}")

    reply = node.run()

    assert (reply.status, reply.body) == (200, {"error": error})
    assert node.logs(sentinels=1) == ("", "")
    assert node.run().status == 200


def test_an_error_of_an_async_function_keeps_its_fields(node):
    node.init("async function main() { throw Object.assign(new TypeError('no', {cause: 'why'}), {code: 'E'}); }")

    error = node.run().body["error"]

    assert "main.js" in error.pop("stack")
    assert error == {"name": "TypeError", "message": "no", "code": "E", "cause": "why"}


def test_a_function_that_throws_ends_the_action(node):
    node.init("function main() { throw 'nooooo'; }")

    reply, later = node.run(), node.run()

    assert (reply.status, reply.body) == (502, {"error": "An error has occurred: nooooo"})
    assert (later.status, later.body) == (403, {"error": "System not ready, status is stopped."})
    assert "nooooo" in node.logs(sentinels=1)[1]


def test_a_module_that_is_missing_fails_the_run(node):
    node.init("function main() { require('.mildlyinvalidnameofanonexistentpackage'); }")

    reply = node.run()

    assert reply.status == 502
    assert "Cannot find module" in reply.body["error"]
    assert "Error" in node.logs(sentinels=1)[1]


def test_null_is_what_the_platform_then_calls_invalid(node):
    node.init("function main() { return null; }")

    assert (node.run().status, node.run().raw) == (200, b"null")


def test_a_result_that_json_cannot_hold_ends_the_action(node):
    node.init("function main() { const a = {}; a.a = a; return a; }")

    reply = node.run()

    assert reply.status == 502
    assert reply.body["error"].startswith("An error has occurred: TypeError: Converting circular structure")
    node.logs(sentinels=1)


@pytest.mark.parametrize(("main", "text"), [("niam", "'niam'"), ("a-b", "'a-b'"), ("main(); x", "'main(); x'")])
def test_an_entry_point_that_is_no_function_fails_the_init(node, main, text):
    reply = node.init("function main() {}", main=main)

    error = f"Initialization has failed due to: Action entrypoint {text} is not a function."
    assert (reply.status, reply.body) == (502, {"error": error})
    assert "Error during initialization" in node.logs(sentinels=1)[1]


def test_after_a_failed_init_nothing_is_taken(node):
    assert node.init("throw new Error('at load')").status == 502

    assert node.init("function main() {}").body == {"error": "System not ready, status is stopped."}
    assert node.run().body == {"error": "System not initialized."}
    assert "at load" in node.logs(sentinels=1)[1]


def test_an_argument_that_is_no_object_is_refused(node):
    node.init("function main() {}")

    reply = node.run(7)

    error = "Internal system error: the argument must be a dictionary but has type 'number'."
    assert (reply.status, reply.body) == (403, {"error": error})


def test_only_texts_of_the_context_are_exported(node):
    node.init("function main() { return {n: process.env.__OW_N ?? 'none', t: process.env.__OW_T}; }")

    assert node.run({}, n=7, t="x").body == {"n": "none", "t": "x"}


@pytest.mark.parametrize(("path", "body"), [("/init", b"XYZ"), ("/run", b"[1"), ("/run", b"7"), ("/else", b"{}")])
def test_what_is_no_request_is_told_so(node, path, body):
    reply = node.post(path, body)

    assert (reply.status, reply.body) == (500, {"error": "Bad request."})


def test_a_second_run_at_the_same_time_is_refused(node):
    node.init("function main() { return new Promise((done) => setTimeout(() => done({ok: true}), 300)); }")
    with ThreadPoolExecutor(2) as pool:
        replies = list(pool.map(lambda _: node.run(), range(2)))

    answers = sorted((reply.status, reply.raw) for reply in replies)
    assert answers == [(200, b'{"ok":true}'), (403, b'{"error":"System not ready, status is running."}')]
    node.logs(sentinels=1)


def test_runs_overlap_where_that_is_allowed(start_node):
    node = start_node(__OW_ALLOW_CONCURRENT="true")
    node.init(
        "const waiting = [];\nfunction main({n}) {\n"
        "  return new Promise((done) => { waiting.push(() => done({n})); if (waiting.length === 3) "
        "waiting.forEach((one) => one()); });\n}\n"
    )
    with ThreadPoolExecutor(3) as pool:
        replies = list(pool.map(lambda n: node.run({"n": n}), range(3)))

    assert [reply.body for reply in replies] == [{"n": 0}, {"n": 1}, {"n": 2}]
    node.logs(sentinels=3)


@pytest.mark.parametrize("files", [{"package.json": PACKAGE, "index.js": EXPORTS}, {"index.js": EXPORTS}])
def test_a_package_runs(node, zipped, files):
    assert node.init(zipped(files)).status == 200

    assert node.run({"name": "zip"}).body == {"greeting": "Hello zip"}
    assert node.logs(sentinels=1) == ("", "")


@pytest.mark.parametrize(
    ("main", "module"),
    [
        ("niam", {"index.js": "exports.niam = () => ({ok: true});"}),
        ("other.niam", {"other.js": "exports.niam = () => ({ok: true});"}),
        ("other.niam.xyz", {"other.js": "exports.niam = {xyz: () => ({ok: true})};"}),
    ],
)
def test_the_entry_point_of_a_package_may_be_elsewhere(node, zipped, main, module):
    assert node.init(zipped(module), main=main).status == 200

    assert node.run().body == {"ok": True}


def test_a_package_finds_its_files_and_its_modules(node, zipped):
    files = {
        "package.json": json.dumps({"main": "lib/start.js"}),
        "lib/start.js": (
            "const fs = require('fs');\n"
            "exports.main = () => ({text: fs.readFileSync('./test.txt', 'utf8'), local: require('local'),"
            " cwd: __dirname === process.cwd() + '/lib'});\n"
        ),
        "test.txt": "test text",
        "node_modules/local/index.js": "module.exports = 'hello local library';",
    }
    assert node.init(zipped(files)).status == 200

    assert node.run().body == {"text": "test text", "cwd": True, "local": "hello local library"}


def test_members_of_a_zip_keep_their_modes_and_links(node):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        code = "exports.main = () => ({t: fs.readFileSync('l', 'utf8'), x: fs.statSync('tool').mode & 0o111});"
        archive.writestr("index.js", "const fs = require('fs');\n" + code)
        archive.writestr("empty", "")
        tool = zipfile.ZipInfo("tool")
        tool.external_attr = 0o100755 << 16
        archive.writestr(tool, "#!/bin/sh\n")
        link = zipfile.ZipInfo("l")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "tool")
    assert node.init(content.getvalue()).status == 200

    assert node.run().body == {"t": "#!/bin/sh\n", "x": 0o111}


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_a_tar_gz_runs(node, form):
    long = "folder/" * 30 + "helper"
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz", format=form) as archive:
        for name, text in {
            "./index.js": f"exports.main = () => require('./{long}.js');",
            f"./{long}.js": "module.exports = {ok: true};",
        }.items():
            info = tarfile.TarInfo(name)
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text.encode()))
    assert node.init(content.getvalue()).status == 200

    assert node.run().body == {"ok": True}


def test_an_archive_without_a_module_is_refused(node, zipped):
    reply = node.init(zipped({"hello": "Hello world!"}))

    assert reply.status == 502
    text = "Zipped actions must contain either package.json or index.js at the root."
    assert text in reply.body["error"]
    assert text in node.logs(sentinels=1)[1]


def _hostile(name: str, target: str | None = None) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        info = zipfile.ZipInfo(name)
        if target is not None:
            info.external_attr = 0o120777 << 16
        archive.writestr(info, target or "x")
    return content.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        base64.b64decode("Q2VjaSBuJ2VzdCBwYXMgdW4gemlwLgo="),
        b"PK\x05\x06",
        b"PK" + b"\xff" * 40,
        b"\x1f\x8b\x08" + b"\0" * 30,
        _hostile("../escape.js"),
        _hostile("/escape.js"),
        _hostile("link", "../.."),
        _hostile("link", "/etc/passwd"),
    ],
    ids=["text", "cut", "garbage", "gzip", "climbs", "absolute", "links-up", "links-out"],
)
def test_an_archive_that_is_broken_or_climbs_out_is_refused(node, content, tmp_path):
    reply = node.init(content)

    assert reply.status == 502
    assert "There was an error uncompressing the action archive" in reply.body["error"]
    assert "uncompressing" in node.logs(sentinels=1)[1]
    assert not list(tmp_path.parent.glob("escape.js"))
