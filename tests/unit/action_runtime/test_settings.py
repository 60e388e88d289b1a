import pytest

from action_runtime.settings import Settings, SettingsError


def test_without_a_relay_the_port_is_stock_s():
    settings = Settings.from_env({"PATH": "/bin"})

    assert (settings.port, settings.descriptor, settings.socket_path) == (8080, None, None)


def test_all_settings_are_read():
    assert Settings.from_env({"DATAFLOWER_RUNTIME_PORT": "0"}).port == 0
    assert Settings.from_env({"__OW_DATAFLOW_FD": "7"}).descriptor == 7
    assert Settings.from_env({"__OW_DATAFLOW_SOCKET": "relay.sock"}).socket_path == "relay.sock"


def test_all_that_is_wrong_is_named_at_once():
    environ = {"DATAFLOWER_RUNTIME_PORT": "80a", "DATAFLOWER_RUNTIME_X": "", "__OW_DATAFLOW_FD": "-1"}

    with pytest.raises(SettingsError) as caught:
        Settings.from_env(environ)

    for name in environ:
        assert name in str(caught.value)


def test_two_ways_to_a_relay_exclude_each_other():
    with pytest.raises(SettingsError, match="exclude"):
        Settings.from_env({"__OW_DATAFLOW_FD": "3", "__OW_DATAFLOW_SOCKET": "x"})
