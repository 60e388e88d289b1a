"""Kafka that asks who we are, and shows who it is."""

from __future__ import annotations

import asyncio
import gc
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from invoker_ext.bus import BusUnavailable, Message
from invoker_ext.buses.address import kafka_address
from invoker_ext.buses.kafka.bus import KafkaBus
from tests.conftest import needs
from tests.support import kafka
from tests.support.authority import Authority
from tests.support.waiting import until

pytestmark = pytest.mark.timeout(90)
HEARD_S = 15.0
Secured = tuple[kafka.Kafka, Path]


@pytest.fixture(scope="module")
def secured() -> Iterator[Secured]:
    needs("Kafka", kafka.available(), kafka.HOW)
    with tempfile.TemporaryDirectory(prefix="df-tls-") as name:
        folder = Path(name) / "ours"
        authority = Authority(folder)
        authority.files("client")
        Authority(folder / "stranger")
        (folder / "password").write_text(f"{kafka.PASSWORD}\n")
        (folder / "wrong").write_text("wrong")
        broker = kafka.Kafka(authority)
        try:
            yield broker.start(), folder
        finally:
            broker.remove()


BY_PASSWORD = "tls=on&ca={0}/authority&user=dataflower&password_file={0}/password"


def bus_at(port: int, options: str) -> KafkaBus:
    address = kafka_address(f"kafka://127.0.0.1:{port}?prefix={uuid.uuid4().hex}-&{options}")
    assert address is not None
    return KafkaBus(address, topics=["health"])


@pytest.mark.parametrize(
    ("door", "options"),
    [
        ("sasl", BY_PASSWORD),
        ("sasl", BY_PASSWORD + "&mechanism=SCRAM-SHA-512"),
        ("tls", "tls=on&ca={0}/authority&cert={0}/client.crt&key={0}/client.key"),
        ("tls", "tls=on&verify_host=off&ca={0}/authority&cert={0}/client.crt&key={0}/client.key"),
    ],
)
async def test_messages_pass(secured: Secured, door: str, options: str):
    broker, folder = secured
    bus = bus_at(broker.sasl_port if door == "sasl" else broker.tls_port, options.format(quote(str(folder))))
    await bus.start()
    heard: list[bytes] = []
    bus.subscribe("invoker0", lambda message: heard.append(bytes(message.payload)))
    bus.publish("invoker0", Message(b"hello"))
    await until(lambda: heard == [b"hello"], HEARD_S)
    await bus.close()


NOT_TAKEN = "our user, password or certificate"
REFUSED = {
    "a wrong password": ("sasl", BY_PASSWORD.replace("/password", "/wrong"), NOT_TAKEN),
    "a broker signed by a stranger": (
        "sasl",
        BY_PASSWORD.replace("/authority", "/stranger/authority"),
        NOT_TAKEN,
    ),
    "no certificate of ours": ("tls", "tls=on&ca={0}/authority", NOT_TAKEN),
    "no file with the password": ("sasl", BY_PASSWORD.replace("/password", "/nowhere"), "the password for kafka"),
    "no file of who may sign": (
        "sasl",
        BY_PASSWORD.replace("/authority", "/nowhere"),
        "certificates for kafka",
    ),
}


@pytest.mark.filterwarnings("ignore:.*SSLSocket:pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
async def test_whoever_is_not_trusted_is_told_so(secured: Secured):
    broker, folder = secured

    async def refused(door: str, options: str, text: str) -> None:
        bus = bus_at(broker.sasl_port if door == "sasl" else broker.tls_port, options.format(quote(str(folder))))
        with pytest.raises(BusUnavailable, match=text):
            await bus.start(within_s=0.1)
        await bus.close()

    await asyncio.gather(*(refused(*case) for case in REFUSED.values()))
    gc.collect()  # which the library leaves the sockets to that came to nothing
