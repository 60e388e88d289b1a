"""TLS between hosts: who has a certificate of the authority is a peer."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from invoker_ext.door.credentials import Credentials
from invoker_ext.door.hello import NotAllowed
from invoker_ext.door.loading import load
from invoker_ext.peers.errors import PeerGone
from tests.support.authority import Authority
from tests.support.peering import MIB, SHORT, told
from tests.support.waiting import until


@pytest.fixture
def authority(tmp_path) -> Authority:
    return Authority(tmp_path / "ours")


async def test_messages_and_data_pass_in_both_directions(hosts, authority):
    one = await hosts(0, credentials=authority.credentials("one"))
    two = await hosts(1, credentials=authority.credentials("two"))
    one.knows(two)
    two.knows(one)
    data = os.urandom(20 * MIB + 1)

    assert (await two.peers.pull(one.offer(data)[1], "guest/run")).read() == data
    assert (await one.peers.pull(two.offer(data)[1], "guest/run")).read() == data
    assert (await one.peers.pull(two.offer(b"small")[1], "guest/run")).read() == b"small"
    two.peers.send(0, "hello", {}, b"payload")
    await until(lambda: one.heard == [(1, "hello", {}, b"payload")])


async def test_a_certificate_of_another_authority_is_refused_by_either_side(hosts, authority, tmp_path, caplog):
    one = await hosts(0, bounds=SHORT, credentials=authority.credentials("one"))
    two = await hosts(1, bounds=SHORT, credentials=Authority(tmp_path / "theirs").credentials("two"))
    one.knows(two)
    two.knows(one)

    for host, other in ((one, 1), (two, 0)):
        host.peers.send(other, "hello", {})
    await until(lambda: one.lost and two.lost)
    with pytest.raises(PeerGone):
        one.peers.send(1, "hello", {})
    assert one.heard == two.heard == []
    assert "certificate verify failed" in told(caplog)


async def test_a_peer_without_tls_and_one_with_it_never_meet(hosts, authority):
    one = await hosts(0, bounds=SHORT, credentials=authority.credentials("one"))
    two = await hosts(1, bounds=SHORT)
    two.knows(one).peers.send(0, "hello", {})
    one.knows(two).peers.send(1, "hello", {})

    await until(lambda: one.lost and two.lost)
    assert one.heard == two.heard == []


async def test_certificates_and_secret_may_both_be_asked_for(hosts, authority, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("sixteen bytes or more")
    secret.chmod(0o600)
    one = await hosts(0, bounds=SHORT, credentials=load(str(secret), *authority.files("one")))
    two = await hosts(1, bounds=SHORT, credentials=load(str(secret), *authority.files("two")))
    three = await hosts(2, bounds=SHORT, credentials=authority.credentials("three"))
    two.knows(one).peers.send(0, "hello", {})
    three.knows(one).peers.send(0, "hello", {})

    await until(lambda: three.lost == [0])
    assert [number for number, *_ in one.heard] == [1]


def test_files_that_are_no_credentials_are_named(authority, tmp_path):
    certificate, key, ca = authority.files("one")
    short = tmp_path / "short"
    short.write_text("short")
    short.chmod(0o600)
    for files in [("", certificate, key, "/nothing"), ("", key, key, ca), (str(short),), ("/nothing",)]:
        with pytest.raises(NotAllowed):
            load(*files)
    Path(key).chmod(0o640)
    with pytest.raises(NotAllowed, match="chmod 600"):
        load("", certificate, key, ca)


def test_credentials_show_nothing_of_themselves():
    assert "sixteen" not in repr(Credentials(b"sixteen bytes or more"))
    with pytest.raises(ValueError, match="at least 16 bytes"):
        Credentials(b"short")
