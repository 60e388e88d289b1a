"""The member `exec` of an action: what runs, in which runtime."""

from __future__ import annotations

import re
from typing import Any, Final

from controller_ext.entities import names
from controller_ext.entities.errors import Malformed, Rejected
from controller_ext.entities.runtimes import BLACKBOX, NATIVE, SEQUENCE, Manifest, deprecation
from controller_ext.workflow.composition.compile import why_not
from controller_ext.workflow.composition.recovery import NotLowered, program_of
from invoker_ext.contract.kinds import NODEJS, family

_BASE64: Final = re.compile(r"([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{4}|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{2}==)")


def parse(value: object, manifest: Manifest, namespace: str) -> dict[str, Any]:
    """Read the member `exec` of an action's body.

    Args:
        value: Any JSON value.
        manifest: Which kinds there are.
        namespace: The caller's, which `_` stands for in components.

    Returns:
        What is stored: the kind resolved, `binary` computed, names of components complete.

    Raises:
        Malformed: It is none; checked in stock's order, as the texts tell.
        Rejected: Its kind is deprecated.
    """
    if not isinstance(value, dict):
        raise Malformed("JSON object expected")
    kind = value.get("kind")
    if not isinstance(kind, str):
        raise Malformed("'kind' must be a string defined in 'exec'")
    kind = kind.strip().lower()
    if kind == SEQUENCE:
        return {"kind": kind, "components": _components(value, namespace)}
    if kind == BLACKBOX:
        return _blackbox(value)
    if kind == NATIVE:
        return {"kind": kind, "code": _code(value, kind), "binary": False}
    if not manifest.offers(kind) and _is_composition(value, kind):
        return {"kind": kind, "code": value["code"], "binary": False}
    runtime = manifest.resolve(kind)
    if runtime.deprecated:
        raise Rejected(deprecation(runtime.kind))
    code = _code(value, runtime.kind)
    parsed = {"kind": runtime.kind, "code": code, "binary": is_binary(code)}
    main = _main(value, runtime.kind, required=runtime.require_main)
    if main is not None:
        parsed["main"] = main
    return parsed


def _is_composition(value: dict[str, Any], kind: str) -> bool:
    """Return whether code is a program of Composer that runs as data flow: it needs no runtime."""
    if family(kind) != NODEJS:
        return False
    try:
        program = program_of({"exec": value})
    except NotLowered:
        return False
    return program is not None and why_not(program) is None


def _components(value: dict[str, Any], namespace: str) -> list[str]:
    if "components" not in value:
        raise Malformed("'components' must be defined for sequence kind")
    components = value["components"]
    if not isinstance(components, list):
        raise Malformed("'components' must be an array")
    return [f"/{names.parse_reference(one, namespace)}" for one in components]


def _blackbox(value: dict[str, Any]) -> dict[str, Any]:
    image = value.get("image")
    if not isinstance(image, str):
        raise Malformed("'image' must be a string defined in 'exec' for 'blackbox' actions")
    code = value.get("code")
    if code is not None and not isinstance(code, str):
        raise Malformed("'code' must be a string defined in 'exec' for 'blackbox' actions")
    parsed = {"kind": BLACKBOX, "image": image, "binary": is_binary(code or "")}
    if code and not code.isspace():
        parsed["code"] = code
    main = _main(value, BLACKBOX, required=False)
    if main is not None:
        parsed["main"] = main
    return parsed


def _code(value: dict[str, Any], kind: str) -> str:
    code = value.get("code", value.get("jar"))
    if isinstance(code, dict) and isinstance(code.get("attachmentName"), str):
        # Stock takes it and stores an action that nobody can read: only its store makes the attachments it names.
        raise Malformed(f"'code' must be a string in 'exec' of '{kind}' actions; attachments are made by the server")
    if not isinstance(code, str):
        raise Malformed(f"'code' must be a string or attachment object defined in 'exec' for '{kind}' actions")
    return code


def _main(value: dict[str, Any], kind: str, *, required: bool) -> str | None:
    if "main" not in value and not required:
        return None
    if "main" not in value:
        raise Malformed(f"'main' must be a string defined in 'exec' for '{kind}' actions")
    main = value["main"]
    if not isinstance(main, str):
        raise Malformed(f"if defined, 'main' be a string in 'exec' for '{kind}' actions")
    return main


def is_binary(code: str) -> bool:
    """Return whether stock takes the code for base64, and thus for an archive."""
    text = code.strip()
    return bool(text) and len(text) % 4 == 0 and _BASE64.fullmatch(text) is not None


def size_bytes(parsed: dict[str, Any]) -> int:
    """Return the size that the bound of code is about."""
    texts = [parsed.get("code", ""), parsed.get("main", ""), parsed.get("image", ""), *parsed.get("components", ())]
    return sum(len(text.encode()) for text in texts)
