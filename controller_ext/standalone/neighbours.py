"""What a process of a deployment needs to reach those of other hosts, completed where its operator said little.

Without a secret and without TLS the secret is the one that the store holds: who may read the store has all keys of
users anyway.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Final

from controller_ext.standalone.datadir import CannotStart
from invoker_ext.store import EntityStore, RevisionConflict

SECRET_FILE: Final = "run/peers"
"""In a data directory."""
_SECRET: Final = ".peers/secret"
_NAMESPACE: Final = "whisk.system"


def complete(environ: dict[str, str], prefix: str) -> dict[str, str]:
    """Return an environment that names `SECRET_FILE` if a secret is missing.

    Who listens for nobody needs it, too: an invoker calls at the doors of controllers.
    """
    if any(environ.get(prefix + name) for name in ("PEER_SECRET_FILE", "PEER_TLS")):
        return environ
    return {**environ, prefix + "PEER_SECRET_FILE": SECRET_FILE}


def keep_secret(environ: dict[str, str], prefix: str, data_dir: Path, store: EntityStore, now_ms: int) -> None:
    """Write the store's secret where an environment that `complete` made names it; others are left alone.

    Raises:
        CannotStart: The file cannot be written.
        StoreUnavailable: The store cannot be asked.
    """
    if environ.get(prefix + "PEER_SECRET_FILE") != SECRET_FILE:
        return
    file = data_dir / SECRET_FILE
    try:
        file.unlink(missing_ok=True)
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as opened:
            opened.write(shared_secret(store, now_ms))
    except OSError as error:
        raise CannotStart(f"cannot write to {data_dir}: {error.strerror}") from error
    environ[prefix + "PEER_SECRET_FILE"] = str(file)


def shared_secret(store: EntityStore, now_ms: int) -> str:
    """Return the secret of all hosts that share a store; the first who asks makes it."""
    found = store.get(_SECRET)
    if found is None:
        home, _, name = _SECRET.partition("/")
        body = {
            "namespace": f"{_NAMESPACE}/{home}",
            "name": name,
            "entityType": "peers",
            "updated": now_ms,
            "secret": secrets.token_hex(32),
        }
        try:
            found = store.put(_SECRET, body, None)
        except RevisionConflict:  # somebody was faster
            return shared_secret(store, now_ms)
    return str(found.body["secret"])
