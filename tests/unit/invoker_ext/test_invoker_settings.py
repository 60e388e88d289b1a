from __future__ import annotations

import re
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


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"PEER_LISTEN": "host"}, "PEER_LISTEN must be HOST:PORT"),
        ({"PEER_LISTEN": "0.0.0.0:7000", "PEER_SECRET_FILE": "/s"}, "PEER_LISTEN must name an address"),
        ({"PEER_LISTEN": "[::1]:7000"}, "PEER_LISTEN needs"),
        ({"PEER_LISTEN": ":port"}, "PEER_LISTEN must be HOST:PORT"),
        ({"PEER_TLS": "/cert,/key"}, "PEER_TLS must be three files"),
        ({"PEER_LOST_S": "0"}, "PEER_LOST_S must be above"),
    ],
)
def test_settings_between_hosts_that_cannot_be_are_named(given: dict[str, str], sentence: str):
    environ = {PREFIX + "DATA_DIR": "/data"} | {PREFIX + name: value for name, value in given.items()}
    with pytest.raises(SettingsError, match=PREFIX + re.escape(sentence)):
        Settings.from_env(environ)


def test_a_server_of_one_host_has_no_peers():
    assert Settings.from_env({PREFIX + "DATA_DIR": "/data"}).peer_listen == ""


def test_a_port_alone_is_listened_on_at_the_address_of_this_hosts_name(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("socket.gethostbyname", lambda _: "192.0.2.7")
    environ = {"DATA_DIR": "/data", "PEER_LISTEN": ":7000", "PEER_SECRET_FILE": "/secret"}

    settings = Settings.from_env({PREFIX + name: value for name, value in environ.items()})

    assert settings.peer_address == "192.0.2.7:7000"


def test_a_port_alone_is_not_listened_on_where_only_this_host_reaches_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("socket.gethostbyname", lambda _: "127.0.1.1")
    environ = {"DATA_DIR": "/data", "PEER_LISTEN": ":7000", "PEER_SECRET_FILE": "/secret"}

    settings = Settings.from_env({PREFIX + name: value for name, value in environ.items()})

    with pytest.raises(SettingsError, match=r"stands for 127\.0\.1\.1, .* set PEER_LISTEN to HOST:7000"):
        _ = settings.peer_address
