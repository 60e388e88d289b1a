"""Actions that are uploaded as zip or tar.gz."""

import io
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

NO_BINARY = "The action failed to generate or locate a binary. See logs for details."
NO_START = "Cannot start action. Check logs for details."
VERSION = f"openwhisk/action-python-v{sys.version_info[0]}.{sys.version_info[1]}"
OK = "def main(args):\n    return {'ok': True}\n"


def test_a_zip_with_helpers_and_another_entry_point_runs(container, zipped):
    code = zipped(
        {
            "__main__.py": "from helper import double\ndef niam(args):\n    return {'n': double(args['n'])}\n",
            "helper.py": "def double(n):\n    return 2 * n\n",
        }
    )
    assert container.init(code, main="niam").status == 200

    assert container.run({"n": 21}).body == {"n": 42}
    assert container.logs(sentinels=1) == ("", "")


def test_files_of_a_zip_are_read_from_the_working_directory(container, zipped):
    code = zipped(
        {
            "__main__.py": "def main(args):\n    return {'text': open('data/greeting.txt').read()}\n",
            "data/greeting.txt": "hello",
        }
    )
    assert container.init(code).status == 200

    assert container.run().body == {"text": "hello"}


def test_a_tar_gz_runs(container):
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        info = tarfile.TarInfo("__main__.py")
        info.size = len(OK)
        archive.addfile(info, io.BytesIO(OK.encode()))
    assert container.init(content.getvalue()).status == 200

    assert container.run().body == {"ok": True}


def test_a_zip_without_a_main_module_is_refused(container, zipped):
    reply = container.init(zipped({"echo.py": OK}))

    assert (reply.status, reply.body) == (502, {"error": NO_BINARY})
    out, err = container.logs(sentinels=1)
    assert out == ""
    assert "Zip file does not include" in err


def test_plain_source_may_come_as_base64(container):
    assert container.init(OK.encode()).status == 200

    assert container.run().body == {"ok": True}


@pytest.mark.parametrize("main", ["main", "niam"])
def test_a_virtualenv_in_the_zip_is_activated(container, zipped, main):
    activate = (
        "import os, sys\nhere = os.path.dirname(os.path.abspath(__file__))\n"
        "sys.path[:0] = [os.path.join(os.path.dirname(here), 'lib', 'site-packages')]\n"
    )
    code = zipped(
        {
            "__main__.py": f"import packed\ndef {main}(args):\n    return {{'answer': packed.ANSWER}}\n",
            "virtualenv/bin/activate_this.py": activate,
            "virtualenv/lib/site-packages/packed.py": "ANSWER = 42\n",
        }
    )
    assert container.init(code, main=main).status == 200

    assert container.run().body == {"answer": 42}


def test_a_virtualenv_without_its_activation_is_refused(container, zipped):
    reply = container.init(zipped({"__main__.py": OK, "virtualenv/bin/nothing": ""}))

    assert (reply.status, reply.body) == (502, {"error": NO_BINARY})
    assert "Invalid virtualenv. Zip file does not include 'activate_this.py'." in container.logs(sentinels=1)[1]


def test_a_prebuilt_zip_of_this_version_runs(container, zipped):
    code = zipped({"exec": "#!/bin/bash\n", "exec.env": VERSION, "main__.py": OK, "exec__.py": ""})
    assert container.init(code).status == 200

    assert container.run().body == {"ok": True}


def test_a_prebuilt_zip_without_its_main_module_cannot_start(container, zipped):
    reply = container.init(zipped({"exec": "#!/bin/bash\n", "exec.env": VERSION}))

    assert (reply.status, reply.body) == (502, {"error": NO_START})
    container.logs(sentinels=1)


def test_a_prebuilt_zip_of_another_version_cannot_start(container, zipped):
    code = zipped({"exec": "#!/bin/bash\n", "exec.env": "openwhisk/action-python-v2.7", "main__.py": OK})

    reply = container.init(code)

    assert (reply.status, reply.body) == (502, {"error": NO_START})
    assert "Execution environment version mismatch. See logs for details." in container.logs(sentinels=1)[1]


@pytest.mark.parametrize("name", ["../out.py", "a/../../out.py", "/out.py"])
def test_a_zip_that_climbs_out_of_its_directory_is_refused(container, zipped, name):
    reply = container.init(zipped({"__main__.py": OK, name: "x"}))

    assert (reply.status, reply.body) == (502, {"error": NO_BINARY})
    assert "climbs out of its directory" in container.logs(sentinels=1)[1]
    assert list(container.folder.rglob("out.py")) == []


def _link(archive: zipfile.ZipFile, name: str, target: str) -> None:
    info = zipfile.ZipInfo(name)
    info.create_system = 3
    info.external_attr = 0o120777 << 16
    archive.writestr(info, target)


@pytest.mark.parametrize("target", ["../..", "/etc", "sub/../../.."])
def test_a_link_out_of_the_directory_is_refused(container, target):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("__main__.py", OK)
        _link(archive, "link", target)

    reply = container.init(content.getvalue())

    assert (reply.status, reply.body) == (502, {"error": NO_BINARY})
    assert "links out of its directory" in container.logs(sentinels=1)[1]


def test_links_that_lead_each_other_out_are_refused(container):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("__main__.py", OK)
        _link(archive, "a", "b/..")
        _link(archive, "b", ".")
        _link(archive, "a/evil", "x")

    assert container.init(content.getvalue()).status == 502
    assert "links out of its directory" in container.logs(sentinels=1)[1]


def test_a_link_inside_the_directory_works(container):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("__main__.py", "import lib.helper\ndef main(args):\n    return {'n': lib.helper.N}\n")
        archive.writestr("lib64/helper.py", "N = 7\n")
        _link(archive, "lib", "lib64")
    assert container.init(content.getvalue()).status == 200

    assert container.run().body == {"n": 7}


def test_a_tar_with_a_device_is_refused(container):
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        info = tarfile.TarInfo("pipe")
        info.type = tarfile.FIFOTYPE
        archive.addfile(info)

    assert container.init(content.getvalue()).status == 502
    assert "device or a pipe" in container.logs(sentinels=1)[1]


@pytest.mark.parametrize("content", [b"PK\x03\x04 broken", b"\x1f\x8b\x08 broken"])
def test_a_broken_archive_is_refused(container, content):
    reply = container.init(content)

    assert (reply.status, reply.body) == (502, {"error": NO_BINARY})
    assert "archive is broken" in container.logs(sentinels=1)[1]


def test_nothing_is_left_on_disk_when_the_runtime_ends(container, zipped):
    container.init(zipped({"__main__.py": OK, "a/b/c.txt": "x"}))
    container.run()

    assert container.stop() == 128 + 15
    assert list((Path(container.folder) / "temporary").iterdir()) == []


def test_a_disk_without_room_fails_the_init_with_its_reason(container):
    (container.folder / "temporary").rmdir()

    reply = container.init(OK)

    assert (reply.status, reply.body) == (502, {"error": NO_START})
    assert "no place on disk" in container.logs(sentinels=1)[1]
