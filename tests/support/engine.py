"""A Docker engine and images for tests, from what package registries have: no image registry is needed.

`python -m tests.support.engine` (`make engine`) installs an engine if there is none, starts it if none answers, and
builds the images. Its one line on stdout is the id of the process it started, for who stops it; empty: one ran already.
"""

from __future__ import annotations

import fcntl
import functools
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from tests.support.npm_clients import cache

ROOT: Final = Path(__file__).resolve().parents[2]
HOW: Final = "start a Docker engine, or let `make engine` do it (Debian, as root)"
SUITE: Final = "bookworm"
PACKAGES: Final = ("python3", "python3-numpy", "ca-certificates", "nodejs")


def base_name(packages: Sequence[str]) -> str:
    """Return the name of the base image with these packages of Debian."""
    return f"dataflower-test/base:{SUITE}-{hashlib.sha256(' '.join(packages).encode()).hexdigest()[:12]}"


BASE: Final = base_name(PACKAGES)
FOLDERS: Final = {"python": ROOT / "action_runtime", "nodejs": ROOT / "action_runtime" / "nodejs"}
ENGINE_PACKAGES: Final = ("docker.io", "containerd", "runc", "iptables", "iproute2")
READY_S: Final = 60.0
SLOW_S: Final = 600
STORAGE: Final = ((), ("--storage-driver=vfs",))
"""What is tried in turn: the engine's own choice first."""


def docker(*arguments: str, check: bool = True) -> str:
    """Run the client; return what it printed."""
    return subprocess.run(
        ["docker", *arguments],
        check=check,
        capture_output=True,
        text=True,
        timeout=SLOW_S,
        env={**os.environ, "DOCKER_BUILDKIT": "0"},  # the builder that needs no plug-in
    ).stdout.strip()


def answers() -> bool:
    """Say whether an engine is there."""
    if shutil.which("docker") is None:
        return False
    return subprocess.run(["docker", "info"], capture_output=True, check=False, timeout=60).returncode == 0


def has(image: str) -> bool:
    """Say whether the engine has an image."""
    return docker("images", "-q", image, check=False) != ""


def can_build() -> bool:
    """Say whether the images are there, or can be made."""
    return has(BASE) or archive().exists() or shutil.which("mmdebstrap") is not None


def archive(name: str = BASE) -> Path:
    """Return where the files of a base image are kept."""
    return cache() / f"{name.replace('/', '-').replace(':', '-')}.tar"


@functools.cache
def image(family: str) -> str:
    """Return our image of a family of kinds (`python`, `nodejs`); built from these very sources if it is not there."""
    folder = FOLDERS[family]
    return built(f"action-{family}", folder, files(folder), PACKAGES)


def files(folder: Path) -> list[Path]:
    """Return the files of a folder of sources."""
    return [path for path in sorted(folder.rglob("*")) if path.is_file() and "__pycache__" not in path.parts]


def built(name: str, context: Path, sources: Iterable[Path], packages: Sequence[str], *options: str) -> str:
    """Return an image; built if there is none from these very sources.

    Args:
        name: Its last part.
        context: Folder of what it is built from, with its Dockerfile unless the options name another.
        sources: Files in it that it depends on.
        packages: Of Debian, in its base image.
        options: More for `docker build`.
    """
    parent = base_name(packages)
    digest = hashlib.sha256(parent.encode())
    for path in sources:
        digest.update(path.relative_to(context).as_posix().encode() + b"\0" + path.read_bytes())
    full = f"dataflower-test/{name}:{digest.hexdigest()[:16]}"
    if not has(full):
        base(packages)
        argv = ["build", "--quiet", "--network", "host", "--build-arg", f"BASE_IMAGE={parent}", "--tag", full, *options]
        docker(*argv, str(context))
    return full


def unrunnable() -> str:
    """Return an image that is to run what it has not."""
    name = "dataflower-test/unrunnable:1"
    if not has(name):
        subprocess.run(
            ["docker", "import", "--change", 'ENTRYPOINT ["/nothing"]', "-", name],
            input=bytes(10240),  # an archive without a file
            check=True,
            capture_output=True,
            timeout=SLOW_S,
        )
    return name


def nowhere(image: str, tag: str) -> str:
    """Give an image a name too under which no registry has it; return that."""
    name = f"nowhere.invalid/dataflower/box:{tag}"
    docker("tag", image, name)
    return name


def base(packages: Sequence[str] = PACKAGES) -> None:
    """Make a base image if it is not there: what any Debian mirror has, in place of an official image."""
    name = base_name(packages)
    if has(name):
        return
    target = archive(name)
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = target.with_suffix(f".{os.getpid()}.tar")
        argv = ["mmdebstrap", "--variant=minbase", f"--include={','.join(packages)}", SUITE, str(draft)]
        subprocess.run([*as_root(), *argv], check=True, capture_output=True, timeout=SLOW_S)
        draft.replace(target)
    path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    docker("import", "--change", f"ENV {path}", str(target), name)


def as_root() -> list[str]:
    """Return what goes before a command that only root may run."""
    return [] if os.geteuid() == 0 else ["sudo"]


def install() -> None:
    """Install what is not there."""
    programs = {"dockerd": ENGINE_PACKAGES, "mmdebstrap": ("mmdebstrap",), "docker": ("docker.io",)}
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    missing = [package for name, needed in programs.items() if not shutil.which(name, path=path) for package in needed]
    if missing:
        apt = [*as_root(), "apt-get", "-qq"]
        subprocess.run([*apt, "update"], check=True, stdout=sys.stderr, timeout=SLOW_S)
        argv = [*apt, "install", "-y", "--no-install-recommends", *dict.fromkeys(missing)]
        environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(argv, check=True, stdout=sys.stderr, timeout=SLOW_S, env=environ)


def start() -> int | None:
    """Start an engine unless one answers; return its process id if this did.

    Raises:
        RuntimeError: None comes up, with the end of what it logged.
    """
    if answers():
        return None
    log = cache() / "dockerd.log"
    for options in STORAGE:
        with log.open("wb") as output:
            engine = subprocess.Popen(
                [*as_root(), "/usr/sbin/dockerd", *options],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        ends = time.monotonic() + READY_S
        while engine.poll() is None and time.monotonic() < ends:
            if answers():
                return engine.pid
            time.sleep(0.5)
        engine.terminate()
        engine.wait(READY_S)
    raise RuntimeError(f"no Docker engine comes up:\n{log.read_text(errors='replace')[-2000:]}")


def main() -> None:
    """Have an engine with the images."""
    cache().mkdir(parents=True, exist_ok=True)
    with (cache() / "engine.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two of these at a time would start two engines
        if not answers() or not can_build():
            install()
        started = start()
        print("" if started is None else started, flush=True)
        for family in FOLDERS:
            image(family)


if __name__ == "__main__":
    main()
