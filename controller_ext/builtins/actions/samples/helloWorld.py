"""Says hello in its log."""

from typing import Any


def main(args: dict[str, Any]) -> dict[str, Any]:
    """Print a greeting for `payload`; return nothing."""
    print(f"hello {args.get('payload', 'undefined')}!")
    return {}
