"""The message by which a controller asks a stock invoker whether it works.

Source: Apache OpenWhisk, `InvokerSupervision.scala`.
"""

from __future__ import annotations

import secrets
import string
import uuid
from typing import Any, Final

from invoker_ext.contract.messages import ActivationMessage, Identity

NAMESPACE: Final = "whisk.system"
ACTION: Final = "invokerHealthTestAction"
_LETTERS: Final = string.ascii_letters + string.digits
_KEY_LETTERS: Final = 64


def transaction(now_ms: int) -> list[Any]:
    """Return the transaction of all tests of one controller; it knows the answers by it."""
    return ["sid_invokerHealth", now_ms]


def health_test(controller: str, transid: list[Any]) -> ActivationMessage:
    """Return a test. Of the user that it names nobody else knows.

    One of ours answers without running anything; one of stock that finds no such action says so, which is an answer.
    """
    namespace = str(uuid.uuid4())
    key = "".join(secrets.choice(_LETTERS) for _ in range(_KEY_LETTERS))
    return ActivationMessage(
        transid=transid,
        action=f"{NAMESPACE}/{ACTION}{controller}",
        version="0.0.1",
        revision=None,
        user=Identity(
            subject=NAMESPACE,
            namespace=NAMESPACE,
            uuid=namespace,
            api_key=f"{namespace}:{key}",
            rights=(),
            limits={},
        ),
        activation_id=uuid.uuid4().hex,
        controller=controller,
        blocking=False,
        locked_args={},
    )
