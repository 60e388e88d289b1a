"""The stock development users."""

from __future__ import annotations

from typing import Any, Final

from invoker_ext.store import EntityStore

GUEST_KEY: Final = (
    "23bc46b1-71f6-4ed5-8c54-816aa4f8c502:123zO3xZCLrMN6v2BKK1dXYFpXlPkccOFqm12CdAsMgRU4VrNZ9lyGVCGuMDGIwP"
)
"""Public, as in every OpenWhisk: whoever reaches the server may use it. Source: its `ansible/files/auth.guest`."""
SYSTEM_KEY: Final = (
    "789c46b1-71f6-4ed5-8c54-816aa4f8c502:abczO3xZCLrMN6v2BKK1dXYFpXlPkccOFqm12CdAsMgRU4VrNZ9lyGVCGuMDGIwP"
)


def subject(name: str, api_key: str) -> dict[str, Any]:
    """Return the stock document of a subject with one namespace of its own name."""
    uuid, _, key = api_key.partition(":")
    return {"subject": name, "namespaces": [{"name": name, "uuid": uuid, "key": key}]}


def seed_subjects(store: EntityStore) -> None:
    """Add `guest` and `whisk.system` with the stock keys to a store without subjects.

    A store that has subjects is its operator's: who was deleted or given another key stays so.

    Raises:
        StoreUnavailable: Perhaps one of them was written.
    """
    if store.has_subjects():
        return
    # What ends a seeding early must not leave a store that counts as seeded: the guest comes last.
    for name, api_key in (("whisk.system", SYSTEM_KEY), ("guest", GUEST_KEY)):
        store.put_subject(subject(name, api_key))
