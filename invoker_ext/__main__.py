"""`python -m invoker_ext`: one invoker, configured by `DATAFLOWER_INVOKER_*`; `--print-settings` shows them."""

from __future__ import annotations

import gc
import os
import resource
import sys
from typing import Final

import uvloop

from invoker_ext import logs
from invoker_ext.app import serve
from invoker_ext.bus import BusUnavailable
from invoker_ext.containers.driver import DriverUnavailable
from invoker_ext.contract.settings import SettingsError, shown
from invoker_ext.door.errors import CannotListen
from invoker_ext.door.hello import NotAllowed, read_token
from invoker_ext.settings import PREFIX, Settings
from invoker_ext.store import StoreUnavailable

SWITCH_S: Final = 0.0005
"""How long the thread that writes records may keep the loop waiting for the interpreter; Python's default is 5 ms."""

YOUNG_OBJECTS: Final = 20_000
"""New objects between two looks for cycles: a run leaves some hundred, all young; Python's default of 700 looks at
each run in the middle of its life."""


def main() -> int:
    """Start the invoker; return the exit status."""
    if "--print-settings" in sys.argv[1:]:
        sys.stdout.write(shown(Settings, os.environ, PREFIX))
        return 0
    try:
        settings = Settings.from_env(os.environ)
        token = read_token(settings.token_file)
    except (SettingsError, NotAllowed) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    logs.configure("invoker", settings.log_level)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    sys.setswitchinterval(SWITCH_S)
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, 20, 20)
    try:
        uvloop.run(serve(settings, token))
    except (DriverUnavailable, BusUnavailable, StoreUnavailable, SettingsError, NotAllowed, CannotListen) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
