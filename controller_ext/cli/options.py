"""Options that several subcommands share: which server, and whose key.

Defaults are those of `wsk`, so what was set there holds here: flags, then the environment, then `~/.wskprops`, then a
server of this machine with the stock guest key.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

Subparsers: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"

DEFAULT_APIHOST: Final = "http://127.0.0.1:3233"
GUEST_AUTH: Final = (
    "23bc46b1-71f6-4ed5-8c54-816aa4f8c502:123zO3xZCLrMN6v2BKK1dXYFpXlPkccOFqm12CdAsMgRU4VrNZ9lyGVCGuMDGIwP"
)
"""The key that every OpenWhisk in development knows; no secret."""


@dataclass(slots=True, frozen=True)
class Endpoint:
    """A server and a key for it.

    Attributes:
        url: `http[s]://HOST[:PORT]`, no slash at the end.
        auth: `uuid:key`.
    """

    url: str
    auth: str


def add_parser(
    subparsers: Subparsers, name: str, *, summary: str, description: str, examples: str
) -> argparse.ArgumentParser:
    """Add a subcommand whose `--help` ends with examples."""
    return subparsers.add_parser(
        name,
        help=summary,
        description=description,
        epilog=f"examples:\n{examples}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def add_distributed(parser: argparse.ArgumentParser, prefix: str) -> None:
    """Add the options of a process that shares Kafka and CouchDB with others.

    Args:
        parser: To be added to.
        prefix: Of the variables that stand for them where they are not given.
    """
    parser.add_argument("--bus", metavar="URL", help=f"kafka://HOST:PORT,… (default ${prefix}BUS)")
    parser.add_argument("--store-url", metavar="URL", help=f"CouchDB, http(s)://HOST:PORT (default ${prefix}STORE_URL)")
    parser.add_argument(
        "--data-dir",
        type=Path,
        metavar="DIR",
        help=f"state of its own (default ${prefix}DATA_DIR, else below $XDG_DATA_HOME or ~/.local/share)",
    )


def add_endpoint(parser: argparse.ArgumentParser) -> None:
    """Add `--apihost` and `--auth`."""
    group = parser.add_argument_group(
        "server", "Where not given: $APIHOST and $AUTH, then ~/.wskprops as `wsk` writes it."
    )
    group.add_argument("--apihost", metavar="URL", help=f"default {DEFAULT_APIHOST}")
    group.add_argument("--auth", metavar="UUID:KEY", help="default: the stock guest key")


def endpoint(arguments: argparse.Namespace) -> Endpoint:
    """Return what the command line, the environment and `~/.wskprops` name."""
    environ = os.environ
    path = Path(environ.get("WSK_CONFIG_FILE") or Path.home() / ".wskprops")
    properties = path.read_text(errors="replace") if path.is_file() else ""
    return resolve(arguments.apihost, arguments.auth, environ, properties)


def resolve(apihost: str | None, auth: str | None, environ: Mapping[str, str], properties: str) -> Endpoint:
    """Choose server and key.

    Args:
        apihost: Flag, or None.
        auth: Flag, or None.
        environ: The process environment.
        properties: Text of `~/.wskprops`.
    """
    saved: dict[str, str] = {}
    for line in properties.splitlines():
        key, separator, value = line.partition("=")
        if separator and not line.lstrip().startswith("#"):
            saved[key.strip()] = value.strip()
    host = apihost or environ.get("APIHOST") or saved.get("APIHOST") or DEFAULT_APIHOST
    if "://" not in host:  # as wsk does: a bare host is one behind TLS
        host = f"https://{host}"
    key = auth or environ.get("AUTH") or saved.get("AUTH") or GUEST_AUTH
    return Endpoint(host.rstrip("/"), key)
