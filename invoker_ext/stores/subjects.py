"""The stock development users."""

from __future__ import annotations

from typing import Any, Final

from invoker_ext.store import EntityStore

GUEST_KEY: Final = (
    "23bc46b1-71f6-4ed5-8c54-816aa4f8c502:123zO3xZCLrMN6v2BKK1dXYFpXlPkccOFqm12CdAsMgRU4VrNZ9lyGVCGuMDGIwP"
)
"""Public, as in every OpenWhisk: whoever reaches the server may use it. Source: openwhisk-rest.md §1.2."""
SYSTEM_KEY: Final = (
    "789c46b1-71f6-4ed5-8c54-816aa4f8c502:abczO3xZCLrMN6v2BKK1dXYFpXlPkccOFqm12CdAsMgRU4VrNZ9lyGVCGuMDGIwP"
)


def subject(name: str, api_key: str) -> dict[str, Any]:
    """Return the stock document of a subject with one namespace of its own name."""
    uuid, _, key = api_key.partition(":")
    return {"subject": name, "namespaces": [{"name": name, "uuid": uuid, "key": key}]}


def seed_subjects(store: EntityStore) -> None:
    """Add `guest` and `whisk.system` with the stock keys, unless somebody has these uuids already.

    Raises:
        StoreUnavailable: Perhaps one of them was written.
    """
    for name, api_key in (("guest", GUEST_KEY), ("whisk.system", SYSTEM_KEY)):
        if store.subject_by_uuid(api_key.partition(":")[0]) is None:
            store.put_subject(subject(name, api_key))
