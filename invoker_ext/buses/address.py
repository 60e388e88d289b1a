"""Where a bus is, as settings write it: empty for the local one, `kafka://HOST:PORT,…[?NAME=VALUE&…]` for Kafka. Pure.

| name | value |
| --- | --- |
| `prefix` | put before the name of every topic but `events`, as stock does |
| `replicas` | of topics that we make; default 1 |
| `events` | `on`: what stock's user events tell is written to topic `events` |
| `tls` | `on`: brokers are spoken to by TLS |
| `ca` | file with the certificates of those who may sign brokers'; default: the system's |
| `cert`, `key` | files with our own certificate and its key, where brokers ask for one |
| `verify_host` | `off`: a broker's certificate may be another host's, as for stock |
| `user`, `password_file` | SASL: our name, and the file that holds the password |
| `mechanism` | `PLAIN` (default), `SCRAM-SHA-256` or `SCRAM-SHA-512` |

Values may be percent-encoded.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

_SERVER: Final = r"(?:\[[0-9a-fA-F:]+\]|[\w.-]+):(?P<port>\d{1,5})"
_BUS: Final = re.compile(r"kafka://(?P<servers>[^?/]+)(?:\?(?P<options>.*))?", re.ASCII)
FORM: Final = "kafka://HOST:PORT,…[?NAME=VALUE&…]"
MECHANISMS: Final = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
_FILE: Final = r".+"
_OPTIONS: Final = {
    "prefix": r"[\w.-]*",
    "replicas": r"[1-9]\d?",
    "events": "on|off",
    "tls": "on|off",
    "ca": _FILE,
    "cert": _FILE,
    "key": _FILE,
    "verify_host": "on|off",
    "user": r".+",
    "password_file": _FILE,
    "mechanism": "|".join(MECHANISMS),
}
_NEEDS: Final = {
    "ca": ("tls",),
    "cert": ("tls", "key"),
    "key": ("tls", "cert"),
    "verify_host": ("tls",),
    "user": ("password_file",),
    "password_file": ("user",),
    "mechanism": ("user",),
}


@dataclass(slots=True, frozen=True, kw_only=True)
class Tls:
    """How brokers are spoken to by TLS; files by their paths.

    Attributes:
        ca: Who may sign; None: the system's.
        cert, key: Ours; None: we have none.
        verify_host: A certificate must be that host's.
    """

    ca: str | None = None
    cert: str | None = None
    key: str | None = None
    verify_host: bool = True


@dataclass(slots=True, frozen=True, kw_only=True)
class Sasl:
    """Who we are for a broker."""

    user: str
    password_file: str
    mechanism: str = MECHANISMS[0]


@dataclass(slots=True, frozen=True, kw_only=True)
class KafkaAddress:
    """How to reach a Kafka.

    Attributes:
        servers: `HOST:PORT` of brokers to begin with.
        prefix: Put before the name of every topic but `events`.
        replicas: Of topics that we make.
        events: User events are written.
        tls: None: brokers are spoken to openly.
        sasl: None: they do not ask who we are.
    """

    servers: tuple[str, ...]
    prefix: str = ""
    replicas: int = 1
    events: bool = False
    tls: Tls | None = None
    sasl: Sasl | None = None


def kafka_address(bus: str) -> KafkaAddress | None:
    """Return the Kafka that a setting names; None: the local bus. Raises ValueError that says what is wrong."""
    if not bus:
        return None
    found = _BUS.fullmatch(bus)
    servers = tuple(found["servers"].split(",")) if found is not None else ()
    if found is None or not all(map(_reachable, servers)):
        raise ValueError(f"not {FORM}: {bus!r}")
    given = _options(found["options"] or "")
    tls = given.get("tls") == "on"
    return KafkaAddress(
        servers=servers,
        prefix=given.get("prefix", ""),
        replicas=int(given.get("replicas", 1)),
        events=given.get("events") == "on",
        tls=Tls(
            ca=given.get("ca"),
            cert=given.get("cert"),
            key=given.get("key"),
            verify_host=given.get("verify_host") != "off",
        )
        if tls
        else None,
        sasl=Sasl(
            user=given["user"],
            password_file=given["password_file"],
            mechanism=given.get("mechanism", MECHANISMS[0]),
        )
        if "user" in given
        else None,
    )


def told_events(bus: str) -> bool:
    """Return whether user events are written to the bus that a setting names."""
    address = kafka_address(bus)
    return address is not None and address.events


def problem_of_bus(bus: str) -> str | None:
    """Return what is wrong with a setting that names a bus; None: nothing."""
    try:
        kafka_address(bus)
    except ValueError as error:
        return f"must be empty or {FORM}: {error}"
    return None


def _options(text: str) -> dict[str, str]:
    given: dict[str, str] = {}
    for one in filter(None, text.split("&")):
        name, _, value = one.partition("=")
        value = unquote(value)
        form = _OPTIONS.get(name)
        if form is None:
            raise ValueError(f"{FORM} has no {name!r}; there are {', '.join(_OPTIONS)}")
        if re.fullmatch(form, value, re.ASCII) is None:
            raise ValueError(f"{FORM} does not take {one!r}")
        given[name] = value
    for name in given:
        for needed in _NEEDS.get(name, ()):
            if given.get(needed, "off") == "off":
                raise ValueError(f"{FORM} with {name!r} needs {needed!r}, too")
    return given


def _reachable(server: str) -> bool:
    found = re.fullmatch(_SERVER, server, re.ASCII)
    return found is not None and 0 < int(found["port"]) < 65536
