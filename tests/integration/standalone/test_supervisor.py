"""The supervisor with children that do nothing but what a test needs."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from controller_ext.standalone.children import ChildPlan
from controller_ext.standalone.supervisor import ServerFailed, Supervisor

SERVES = "import os, time; os.write(int(os.environ['READY']), b'1'); time.sleep(60)"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN);" + SERVES


def a_plan(code: str, name: str = "child", grace_s: float = 5.0) -> ChildPlan:
    return ChildPlan(
        name=name,
        argv=[sys.executable, "-S", "-c", code],
        environ={},
        ready_variable="READY",
        ready_bytes=1,
        grace_s=grace_s,
    )


async def nothing() -> None:
    """Be usable at once."""


async def test_it_is_ready_when_all_children_are(tmp_path: Path):
    supervisor = Supervisor([a_plan(SERVES, "a"), a_plan(SERVES, "b")], tmp_path)
    await asyncio.wait_for(supervisor.run(nothing, supervisor.stop, 10.0), 15)


async def test_a_child_that_does_not_get_ready_fails_the_start(tmp_path: Path):
    supervisor = Supervisor([a_plan("import time; time.sleep(60)")], tmp_path)
    with pytest.raises(ServerFailed, match=r"not ready within 0\.3 s: child"):
        await supervisor.run(nothing, supervisor.stop, 0.3)


async def test_a_crash_loop_ends_with_the_childs_last_words(tmp_path: Path):
    supervisor = Supervisor([a_plan("raise SystemExit('the reason')")], tmp_path)
    with pytest.raises(ServerFailed, match=r"died 5 times in 30 s[\s\S]*the reason"):
        await supervisor.run(nothing, supervisor.stop, 20.0)


async def test_wrong_settings_are_not_tried_again(tmp_path: Path):
    code = "import sys; sys.stderr.write('bad value'); sys.exit(2)"
    supervisor = Supervisor([a_plan(code)], tmp_path)
    with pytest.raises(ServerFailed, match=r"its settings are wrong[\s\S]*bad value"):
        await supervisor.run(nothing, supervisor.stop, 20.0)
    assert (tmp_path / "child.log").read_text().count("bad value") == 1


async def test_a_child_that_dies_while_starting_is_started_again(tmp_path: Path):
    once = f"import os, sys, pathlib; mark = pathlib.Path({str(tmp_path / 'mark')!r})\n"
    once += "if not mark.exists(): mark.touch(); sys.exit(1)\n" + SERVES
    supervisor = Supervisor([a_plan(once)], tmp_path)
    await asyncio.wait_for(supervisor.run(nothing, supervisor.stop, 10.0), 15)


async def test_a_child_that_does_not_stop_is_killed(tmp_path: Path):
    supervisor = Supervisor([a_plan(STUBBORN, grace_s=0.1)], tmp_path)
    await asyncio.wait_for(supervisor.run(nothing, supervisor.stop, 10.0), 10)


async def test_children_are_stopped_in_order(tmp_path: Path):
    ended = tmp_path / "ended"
    code = "import os, signal, sys, time\n"
    code += f"def end(*_):\n    open({str(ended)!r}, 'a').write(NAME)\n    sys.exit(0)\n"
    code += "signal.signal(signal.SIGTERM, end)\n" + SERVES
    plans = [a_plan(f"NAME = {name!r}\n{code}", name) for name in ("a", "b", "c")]
    supervisor = Supervisor(plans, tmp_path)
    await asyncio.wait_for(supervisor.run(nothing, supervisor.stop, 10.0), 15)
    assert ended.read_text() == "abc"
