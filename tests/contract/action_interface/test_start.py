import socket
import subprocess
import sys
from pathlib import Path

import action_runtime
from action_runtime.wire.codec import Decoder
from action_runtime.wire.frames import FrameKind

ROOT = Path(__file__).resolve().parents[3]
HEAVY = ("asyncio", "dataclasses", "http.server", "inspect", "logging", "pathlib", "tempfile", "typing", "zipfile")


def test_user_code_sees_exactly_these_names():
    assert action_runtime.__all__ == ["context", "emit", "open_input", "open_output"]
    assert all(hasattr(action_runtime, name) for name in action_runtime.__all__)


def test_a_start_imports_nothing_heavy_and_nothing_but_the_standard_library():
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import action_runtime.__main__, action_runtime.session, action_runtime.proxy.action_proxy\n"
        "import action_runtime.proxy.http\n"
        "print([name for name in sys.argv[2:] if name in sys.modules])"
    )

    done = subprocess.run(
        [sys.executable, "-I", "-S", "-W", "error", "-c", program, str(ROOT), *HEAVY],
        capture_output=True, text=True, check=True,
    )  # fmt: skip

    assert done.stdout == "[]\n"


def test_the_relay_may_be_found_by_a_path(tmp_path):
    path = str(tmp_path / "relay.sock")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(path)
        listener.listen()
        listener.settimeout(10)
        process = subprocess.Popen(
            [sys.executable, "-m", "action_runtime"], env={"PYTHONPATH": str(ROOT), "__OW_DATAFLOW_SOCKET": path}
        )
        session, _ = listener.accept()
        with session:
            session.settimeout(10)
            assert Decoder().feed(session.recv(4096))[0].kind is FrameKind.HELLO

    assert process.wait(timeout=10) == 0


def test_a_relay_that_is_not_there_ends_the_start_with_a_message(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "action_runtime"],
        env={"PYTHONPATH": str(ROOT), "__OW_DATAFLOW_SOCKET": str(tmp_path / "none")},
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 69
    assert "the runtime cannot start" in done.stderr
