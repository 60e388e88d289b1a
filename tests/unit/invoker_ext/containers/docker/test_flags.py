"""Flags as stock's `DockerContainer.scala` gives them."""

import pytest

from invoker_ext.containers.drivers.docker.flags import (
    LABEL,
    House,
    container_name,
    cpu_shares,
    creation,
    is_latest,
)

HOUSE = House(instance="0123456789abcdef", memory_mb=2048)


@pytest.mark.parametrize(
    ("house_mb", "memory_mb", "shares"),
    [(2048, 256, 128), (1024, 512, 512), (1000, 300, 341), (256, 512, 1024), (1 << 20, 128, 2)],
)
def test_the_share_of_the_processor_is_the_share_of_memory(house_mb, memory_mb, shares):
    assert cpu_shares(house_mb, memory_mb) == shares


def test_a_name_says_who_and_what_for_and_has_no_other_characters():
    assert container_name("wsk0_7_gu est@x/é", HOUSE.instance) == "wsk01234567_0_7_guestx"


def test_a_stock_image_gets_stocks_flags_and_no_more():
    made = creation(HOUSE, name="wsk0_1_guest", image="i:1", memory_mb=256, environment={"A": "b"}, folder=None)
    assert made.environment == {"A": "b"}
    assert made.labels == {LABEL: HOUSE.instance}
    assert made.host == {
        "cpu_shares": 128,
        "mem_limit": "256m",
        "memswap_limit": "256m",
        "network_mode": "bridge",
        "cap_drop": ["NET_RAW", "NET_ADMIN"],
        "pids_limit": 1024,
        "ulimits": [{"Name": "nofile", "Soft": 1024, "Hard": 1024}],
        "log_config": {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "1"}},
    }


def test_our_image_gets_its_socket_and_less_of_everything_else():
    made = creation(HOUSE, name="wsk0_1_guest", image="i:1", memory_mb=256, environment={}, folder="/h/one")
    assert made.environment == {"__OW_DATAFLOW_SOCKET": "/run/dataflower/relay.sock"}
    assert made.host["binds"] == ["/h/one:/run/dataflower:ro"]
    assert made.host["cap_drop"] == ["ALL"]
    assert made.host["read_only"] is True
    assert "exec" in made.host["tmpfs"]["/tmp"].split(",")


@pytest.mark.parametrize(
    ("image", "latest"),
    [("a", True), ("a:latest", True), ("h:5000/a", True), ("h:5000/a:1", False), ("a:1", False), ("a@sha256:0", False)],
)
def test_a_reference_without_a_version_is_the_latest(image, latest):
    assert is_latest(image) is latest
