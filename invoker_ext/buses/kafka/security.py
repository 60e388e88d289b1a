"""What the library's clients must be told to speak to brokers by TLS and SASL."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

from kafka.errors import KafkaError

from invoker_ext.buses.address import KafkaAddress, Sasl, Tls


class UnusableFile(KafkaError):  # type: ignore[misc]  # the library has no types
    """A file that the address of Kafka names cannot be used. It is read again with the next attempt to connect."""


def client_options(address: KafkaAddress) -> dict[str, Any]:
    """Return keyword arguments for a client; raises UnusableFile."""
    tls, sasl = address.tls, address.sasl
    protocol = ("SASL_" if sasl is not None else "") + ("SSL" if tls is not None else "PLAINTEXT")
    options: dict[str, Any] = {"security_protocol": protocol}
    if tls is not None:
        options["ssl_context"] = _context(tls)
        options["ssl_check_hostname"] = tls.verify_host
    if sasl is not None:
        options["sasl_mechanism"] = sasl.mechanism
        options["sasl_plain_username"] = sasl.user
        options["sasl_plain_password"] = _password(sasl)
    return options


def _context(tls: Tls) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=tls.ca)
        context.check_hostname = tls.verify_host
        if tls.cert is not None:
            context.load_cert_chain(tls.cert, tls.key)
    except (OSError, ssl.SSLError) as error:
        raise UnusableFile(f"certificates for kafka cannot be used ({_names(tls)}): {error}") from error
    return context


def _names(tls: Tls) -> str:
    return ", ".join(name for name in (tls.ca, tls.cert, tls.key) if name is not None)


def _password(sasl: Sasl) -> str:
    try:
        return Path(sasl.password_file).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UnusableFile(f"the password for kafka cannot be read: {error}") from error
