from __future__ import annotations

import pytest

from invoker_ext.buses.address import KafkaAddress, Sasl, Tls, kafka_address, problem_of_bus


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("", None),
        ("kafka://a:9092", KafkaAddress(servers=("a:9092",))),
        ("kafka://a.b-c:1,[::1]:2", KafkaAddress(servers=("a.b-c:1", "[::1]:2"))),
        ("kafka://a:1?prefix=x-", KafkaAddress(servers=("a:1",), prefix="x-")),
        ("kafka://a:1?replicas=3", KafkaAddress(servers=("a:1",), replicas=3)),
        ("kafka://a:1?events=on&tls=off", KafkaAddress(servers=("a:1",), events=True)),
        ("kafka://a:1?tls=on", KafkaAddress(servers=("a:1",), tls=Tls())),
        (
            "kafka://a:1?tls=on&ca=/x%20y/ca.pem&cert=c&key=k&verify_host=off",
            KafkaAddress(servers=("a:1",), tls=Tls(ca="/x y/ca.pem", cert="c", key="k", verify_host=False)),
        ),
        (
            "kafka://a:1?user=u&password_file=/p",
            KafkaAddress(servers=("a:1",), sasl=Sasl(user="u", password_file="/p")),
        ),
        (
            "kafka://a:1?user=u&password_file=/p&mechanism=SCRAM-SHA-512&tls=on",
            KafkaAddress(
                servers=("a:1",), tls=Tls(), sasl=Sasl(user="u", password_file="/p", mechanism="SCRAM-SHA-512")
            ),
        ),
        ("kafka://a:1?prefix=p&replicas=2", KafkaAddress(servers=("a:1",), prefix="p", replicas=2)),
    ],
)
def test_a_bus_is_named_by_one_setting(text: str, address: KafkaAddress | None):
    assert kafka_address(text) == address
    assert problem_of_bus(text) is None


@pytest.mark.parametrize(
    "text",
    ["a:1", "kafka://", "kafka://a", "kafka://a:0", "kafka://a:1,", "kafka://a:70000", "kafka://a:1?prefix=ä", "kafka://a:1?replicas=0",
     "kafka://a:1?size=3", "redis://a:1", "kafka://a:1/x", "kafka://a:1?tls=yes", "kafka://a:1?tls=off&ca=c", "kafka://a:1?tls=on&cert=c",
     "kafka://a:1?user=u", "kafka://a:1?password_file=p", "kafka://a:1?mechanism=PLAIN", "kafka://a:1?user=u&password_file=p&mechanism=X"],
)  # fmt: skip
def test_anything_else_is_told_with_the_right_form(text: str):
    assert "kafka://HOST:PORT" in (problem_of_bus(text) or "")
    with pytest.raises(ValueError, match="kafka://HOST:PORT"):
        kafka_address(text)
