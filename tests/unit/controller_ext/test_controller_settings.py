from __future__ import annotations

from pathlib import Path

import pytest

from controller_ext.settings import PREFIX, Settings, default_data_dir
from invoker_ext.contract.settings import SettingsError


def test_settings_survive_the_environment():
    settings = Settings(data_dir=Path("/data"), workers=3, accept_wait_s=2.5)
    assert Settings.from_env(settings.to_env()) == settings


def test_all_that_is_wrong_is_said_at_once():
    environ = {PREFIX + "WORKERS": "many", PREFIX + "ACCEPT_WAIT": "1"}
    with pytest.raises(SettingsError) as caught:
        Settings.from_env(environ)
    text = str(caught.value)
    assert all(name in text for name in ("WORKERS", "ACCEPT_WAIT ", "DATA_DIR"))


def test_a_misspelt_setting_is_told_which_was_meant():
    with pytest.raises(SettingsError, match=r"WORKRES is not a setting: did you mean DATAFLOWER_CONTROLLER_WORKERS\?"):
        Settings.from_env({"DATAFLOWER_CONTROLLER_DATA_DIR": "/d", "DATAFLOWER_CONTROLLER_WORKRES": "3"})


def test_a_setting_like_none_is_told_which_there_are():
    with pytest.raises(SettingsError, match=r"known are: .*DATAFLOWER_CONTROLLER_SPOOL_TTL_S"):
        Settings.from_env({"DATAFLOWER_CONTROLLER_DATA_DIR": "/d", "DATAFLOWER_CONTROLLER_COLOUR": "red"})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATA_DIR", "relative"),
        ("DATA_DIR", "/" + "x" * 100),
        ("WORKERS", "-1"),
        ("ACCEPT_WAIT_S", "0"),
        ("LOG_LEVEL", "LOUD"),
        ("CONTROL_FLOW_THREADS", "0"),
        ("STORE_URL", "ftp://host"),
        ("STORE_URL", "http://user:secret@host:5984"),
        ("STORE_URL", "http://host:5984/db"),
        ("STORE_PREFIX", "Upper_"),
    ],
)
def test_a_value_out_of_range_is_named(name: str, value: str):
    with pytest.raises(SettingsError, match=name):
        Settings.from_env({PREFIX + "DATA_DIR": "/data", PREFIX + name: value})


def test_a_user_keeps_state_where_the_desktop_says():
    assert default_data_dir({"XDG_DATA_HOME": "/x"}) == Path("/x/dataflower")
    assert default_data_dir({}) == Path.home() / ".local/share/dataflower"


def test_there_is_at_least_one_worker():
    assert Settings(data_dir=Path("/data")).worker_count >= 1
    assert Settings(data_dir=Path("/data"), workers=7).worker_count == 7
