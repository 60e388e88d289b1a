"""Certificates for tests, by the program `openssl`: an authority of our own, and whom it signs."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Final

_DAYS: Final = "2"
_NEW_KEY: Final = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


class Authority:
    """Signs certificates; all files lie in its folder.

    Attributes:
        certificate: Its own, for those who are to trust it.
    """

    def __init__(self, folder: Path, name: str = "ca") -> None:
        self._folder = folder
        self._name = name
        self.certificate = folder / f"{name}.pem"
        _openssl("req", "-x509", *_NEW_KEY, "-days", _DAYS, "-subj", f"/CN={name}", "-keyout", self._key(name),
                 "-out", str(self.certificate))  # fmt: skip

    def sign(self, name: str, address: str = "127.0.0.1") -> tuple[Path, Path]:
        """Return files with a certificate for an address, and its key (PKCS #8)."""
        request, certificate = self._folder / f"{name}.csr", self._folder / f"{name}.pem"
        extensions = self._folder / f"{name}.ext"
        extensions.write_text(f"subjectAltName=IP:{address}\n")
        _openssl("req", *_NEW_KEY, "-subj", f"/CN={name}", "-keyout", self._key(name), "-out", str(request))
        _openssl("x509", "-req", "-in", str(request), "-CA", str(self.certificate), "-CAkey", self._key(self._name),
                 "-CAcreateserial", "-days", _DAYS, "-extfile", str(extensions), "-out", str(certificate))  # fmt: skip
        return certificate, Path(self._key(name))

    def _key(self, name: str) -> str:
        return str(self._folder / f"{name}.key")


def _openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True, timeout=30)
