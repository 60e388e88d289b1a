"""Reads a host's credentials from files."""

from __future__ import annotations

import ssl
from pathlib import Path

from invoker_ext.door.credentials import LEAST_SECRET_BYTES, Credentials
from invoker_ext.door.hello import NotAllowed, read_token


def load(secret_file: str, certificate: str = "", key: str = "", authority: str = "") -> Credentials:
    """Read credentials from files; an empty name is none.

    Args:
        secret_file: Closed to others.
        certificate: Our certificate with its chain, PEM.
        key: Its key, PEM; closed to others.
        authority: The certificates that all peers' must be signed by, PEM.

    Raises:
        NotAllowed: A file is missing, open to others or no credential; the sentence says which.
    """
    secret = read_token(Path(secret_file)).encode() if secret_file else b""
    if secret_file and len(secret) < LEAST_SECRET_BYTES:
        raise NotAllowed(f"{secret_file} has fewer than {LEAST_SECRET_BYTES} characters")
    if not certificate:
        return Credentials(secret)
    try:
        if Path(key).stat().st_mode & 0o077:
            raise NotAllowed(f"{key} can be read by others; chmod 600 it")
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        # The authority is the installation's own: whoever has a certificate of it is a peer, under whatever address.
        client.check_hostname = False
        for context in (server, client):
            context.minimum_version = ssl.TLSVersion.TLSv1_3
            context.load_cert_chain(certificate, key)
            context.load_verify_locations(authority)
            context.verify_mode = ssl.CERT_REQUIRED
    except (OSError, ssl.SSLError) as error:
        raise NotAllowed(f"{certificate}, {key} or {authority} cannot be used: {error}") from error
    return Credentials(secret, server, client)
