"""Media types as stock reads and writes them: which are text, which are JSON, which a client accepts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header, parse_options_header, quote_header_value

_NAME: Final = re.compile(r"[!#$&^_.+\-0-9A-Za-z]+/[!#$&^_.+\-0-9A-Za-z]+")
_OPEN_TEXT: Final = frozenset(
    {
        "application/atom+xml",
        "application/base64",
        "application/javascript",
        "application/rss+xml",
        "application/soap+xml",
        "application/vnd.google-earth.kml+xml",
        "application/x-www-form-urlencoded",
        "application/xhtml+xml",
        "application/xml",
        "application/xml-dtd",
    }
)
"""What is text besides `text/*` and JSON; every other type is bytes, unless it is given with a charset."""
_BYTES: Final = re.compile(r"(audio|font|image|message|multipart|video)/.*|application/(octet-stream|pdf|zip|gzip)")
"""What is bytes even so."""


@dataclass(slots=True, frozen=True)
class MediaType:
    """The type of a body.

    Attributes:
        name: `main/sub`, lower case.
        parameters: All but the charset.
        charset: As written; None: none is.
    """

    name: str
    parameters: Mapping[str, str]
    charset: str | None = None

    @property
    def json(self) -> bool:
        """Whether it is `application/json` or of its family."""
        return self.name == JSON.name or self.name.endswith("+json")

    @property
    def binary(self) -> bool:
        """Whether JSON can hold a body of it in base64 only."""
        text = self.json or self.name.startswith("text/") or self.name in _OPEN_TEXT
        return not text and (self.charset is None or _BYTES.fullmatch(self.name) is not None)

    @property
    def value(self) -> str:
        """Return it without a charset."""
        return "".join((self.name, *(f"; {key}={quote_header_value(one)}" for key, one in self.parameters.items())))

    def of_request(self) -> str:
        """Return it as an action sees it in `__ow_headers`: a charset in capitals, none for JSON."""
        return self.value if self.json or self.charset is None else f"{self.value}; charset={self.charset.upper()}"

    def of_response(self) -> str:
        """Return it for a body that is sent: text is always UTF-8."""
        return self.value if self.json or self.binary else f"{self.value}; charset=UTF-8"


JSON: Final = MediaType("application/json", {})
HTML: Final = MediaType("text/html", {})
SVG: Final = MediaType("image/svg+xml", {})
TEXT: Final = MediaType("text/plain", {})
BYTES: Final = MediaType("application/octet-stream", {})
FORM: Final = "application/x-www-form-urlencoded"


def parse(text: str) -> MediaType | None:
    """Return the type that a Content-Type header names, None if it names none."""
    name, options = parse_options_header(text)
    if not _NAME.fullmatch(name):
        return None
    charset = options.pop("charset", None)
    return MediaType(name.lower(), options, charset)


def accepted(header: str | None, content_type: str) -> bool:
    """Return whether an Accept header allows a type; one that cannot be read allows all, as none does."""
    ranges = parse_accept_header(header, MIMEAccept)
    if not any("/" in one for one, _ in ranges):
        return True
    name = content_type.partition(";")[0]
    if ranges.quality(name) > 0:
        return True
    # The library takes parameters of a range, as a charset, for part of its name.
    return any(one.partition(";")[0].strip().lower() == name and quality > 0 for one, quality in ranges)
