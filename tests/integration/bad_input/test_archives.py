"""Code that comes as an archive and should not: nothing leaves its directory, and the log says what is wrong."""

from __future__ import annotations

import base64
import io
import zipfile
from pathlib import Path
from typing import Final

import pytest

from tests.support.deploying import Deployer
from tests.support.server import Server

GOOD: Final = b"def main(args):\n    return {'fine': True}\n"
NO_BINARY: Final = "The action failed to generate or locate a binary. See logs for details."
NO_START: Final = "Cannot start action. Check logs for details."
LINK: Final = 0o120777 << 16


def zipped(*members: tuple[str, bytes], link: tuple[str, str] | None = None) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        if link is not None:
            info = zipfile.ZipInfo(link[0])
            info.external_attr = LINK
            archive.writestr(info, link[1])
        archive.writestr("__main__.py", GOOD)
        for name, data in members:
            archive.writestr(name, data)
    return content.getvalue()


def outcome(live: Deployer, code: str) -> tuple[object, str]:
    """Deploy and invoke; return the result and the log."""
    body = {"exec": {"kind": "python:3", "code": code, "binary": True}}
    live.call("PUT", "actions/archive?overwrite=true", json=body).raise_for_status()
    reply = live.call("POST", "actions/archive?blocking=true")
    record = live.finished(reply.headers["X-Openwhisk-Activation-Id"])
    return record["response"]["result"], "\n".join(record["logs"])


def text(content: bytes) -> str:
    return base64.b64encode(content).decode()


def test_a_sound_archive_runs(live: Deployer):
    assert outcome(live, text(zipped()))[0] == {"fine": True}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (zipped(("../../evil.py", b"")), "the archive climbs out of its directory: '../../evil.py'"),
        (zipped(("/evil.py", b"")), "the archive climbs out of its directory: '/evil.py'"),
        (zipped(("a/../../evil.py", b"")), "the archive climbs out of its directory: 'a/../../evil.py'"),
        (zipped(link=("out", "/etc")), "the archive links out of its directory: out -> /etc"),
        (zipped(("out/evil", b""), link=("out", "..")), "the archive"),
        (zipped()[:-30], "the zip archive is broken: "),
        (b"PK but no archive", "the zip archive is broken: "),
        (b"\x1f\x8b\x08 but no archive", "the tar archive is broken: "),
    ],
)
def test_an_archive_that_is_broken_or_climbs_is_refused_and_the_log_says_why(
    live: Deployer, server: Server, content: bytes, said: str
):
    result, log = outcome(live, text(content))
    assert result == {"error": NO_BINARY}
    assert said in log
    assert not list(Path(server.folder).rglob("evil*"))


def test_a_bomb_is_refused_before_it_fills_the_disk(live: Deployer):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("__main__.py", GOOD)
        with archive.open("big", "w", force_zip64=True) as member:
            for _ in range(1100):
                member.write(bytes(1024 * 1024))
    result, log = outcome(live, text(content.getvalue()))
    assert result == {"error": NO_BINARY}
    assert "the archive unpacks to more than 1073741824 bytes" in log


def test_an_archive_that_lies_about_its_sizes_is_refused(live: Deployer):
    content = bytearray(zipped(("big", bytes(1024 * 1024))))
    directory = content.rindex(b"PK\x01\x02")
    content[directory + 24 : directory + 28] = (10).to_bytes(4, "little")
    result, log = outcome(live, text(bytes(content)))
    assert result == {"error": NO_BINARY}
    assert "the archive is broken: Bad CRC-32 for file 'big'" in log


def test_an_archive_without_a_main_file_is_refused(live: Deployer):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("other.py", GOOD)
    result, log = outcome(live, text(content.getvalue()))
    assert result == {"error": NO_BINARY}
    assert "Zip file does not include main__: it needs a __main__.py at its top level." in log


@pytest.mark.parametrize("code", ["not base64!", "UEsDBA!!!!", "QUJ", "=="])
def test_text_that_is_no_base64_is_no_code(live: Deployer, code: str):
    result, _ = outcome(live, code)
    assert isinstance(result, dict)
    assert result["error"].startswith(("cannot decode the request: illegal base64 data", NO_BINARY, NO_START))


@pytest.mark.parametrize(
    ("member", "error", "said"),
    [
        (("virtualenv/x", b""), NO_BINARY, "Invalid virtualenv. Zip file does not include 'activate_this.py'."),
        (("virtualenv/bin/activate_this.py", b"raise ValueError('broken')"), NO_START, "ValueError: broken"),
        (("virtualenv/bin/activate_this.py", b"def ("), NO_BINARY, "SyntaxError"),
        (("virtualenv/bin/activate_this.py", b"import sys\nsys.exit(7)"), NO_START, "exited abruptly"),
    ],
)
def test_a_broken_virtualenv_is_refused_and_the_log_says_why(
    live: Deployer, member: tuple[str, bytes], error: str, said: str
):
    result, log = outcome(live, text(zipped(member)))
    assert result == {"error": error}
    assert said in log
