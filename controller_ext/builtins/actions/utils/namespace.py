"""Returns the caller's namespace."""

import os
from typing import Any


def main(args: dict[str, Any]) -> dict[str, Any]:
    """Return the namespace of the key that invoked this action."""
    return {"namespace": os.environ["__OW_NAMESPACE"]}
