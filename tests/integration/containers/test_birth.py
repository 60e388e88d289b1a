"""A container that comes to nothing ends: as a second keeper it would clean up the first one's folder."""

import subprocess
import sys

SCRIPT = """
import os
from pathlib import Path
from invoker_ext.containers.drivers.keeper.birth import be_born

nothing = os.open(os.devnull, os.O_RDWR)
reader, writer = os.pipe()
os.close(reader)
pid = os.fork()
if pid == 0:
    try:
        be_born(Path("/proc/nowhere"), [nothing, writer, nothing], {}, 256, None)
    except BaseException:
        os._exit(77)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""


def test_a_container_whose_last_words_nobody_can_hear_ends_all_the_same():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=20)

    assert (done.stdout, done.stderr) == ("1\n", "")
