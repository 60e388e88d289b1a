"""Which store a process uses: settings that controller and invoker share."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from invoker_ext.contract.settings import setting


def _problem_of_url(url: str) -> str | None:
    if not url:
        return None
    parts = urlsplit(url)
    if parts.username is not None or parts.password is not None:
        return "must not hold user and password: they have settings of their own"
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/") or parts.query:
        return f"must be http(s)://HOST:PORT, is {url}"
    return None


def _problem_of_prefix(prefix: str) -> str | None:
    if re.fullmatch(r"([a-z][a-z0-9_$()+-]*)?", prefix):
        return None
    return f"must be lower-case letters, digits and _$()+-, a letter first; is {prefix}"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreSettings:
    """The part of a process's settings that is about its store."""

    store_url: str = setting(
        "CouchDB of entities and activation records, `http(s)://HOST:PORT`; empty: SQLite in the data directory.",
        "",
        _problem_of_url,
    )
    store_user: str = setting("User of CouchDB; empty: it asks for none.", "")
    store_password: str = setting("Password of that user; better kept in a file.", "")
    store_password_file: str = setting("File that holds the password instead.", "")
    store_prefix: str = setting(
        "In front of the names of the databases `whisks`, `activations` and `subjects`.",
        "whisk_local_",
        _problem_of_prefix,
    )
