from __future__ import annotations

from pathlib import Path

import pytest

from invoker_ext.contract.settings import SettingsError
from invoker_ext.settings import PREFIX, Settings


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATA_DIR", "relative"),
        ("DATA_DIR", "/" + "x" * 100),
        ("SINK_MB", "-1"),
        ("OUTBOX_MB", "0"),
        ("KEEP_ALIVE_S", "0"),
        ("DRAIN_S", "-1"),
        ("LOG_LEVEL", "LOUD"),
    ],
)
def test_a_value_out_of_range_is_named(name: str, value: str):
    with pytest.raises(SettingsError, match=PREFIX + name):
        Settings.from_env({PREFIX + "DATA_DIR": "/data", PREFIX + name: value})


def test_all_files_lie_in_the_data_directory():
    settings = Settings.from_env({PREFIX + "DATA_DIR": "/data", PREFIX + "ID": "3"})
    assert settings.door_socket == Path("/data/run/invoker.sock")
    assert settings.journal_dir == Path("/data/journal/invoker3")
