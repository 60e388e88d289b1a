"""Certificates for tests."""

from __future__ import annotations

from pathlib import Path

import trustme

from invoker_ext.door.credentials import Credentials
from invoker_ext.door.loading import load


class Authority:
    """Issues certificates into a folder."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder = folder
        self._authority = trustme.CA()
        self._authority.cert_pem.write_to_path(folder / "authority")

    def files(self, name: str) -> tuple[str, str, str]:
        """Return the paths of a certificate, its key and the authority's certificate."""
        issued = self._authority.issue_cert(name)
        certificate, key = self._folder / f"{name}.crt", self._folder / f"{name}.key"
        issued.cert_chain_pems[0].write_to_path(certificate)
        issued.private_key_pem.write_to_path(key)
        key.chmod(0o600)
        return str(certificate), str(key), str(self._folder / "authority")

    def credentials(self, name: str) -> Credentials:
        return load("", *self.files(name))
