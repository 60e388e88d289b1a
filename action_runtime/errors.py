"""What user code may catch. Each takes its facts and composes its own text."""

from __future__ import annotations

from action_runtime.wire.errors import Blame, DataflowError


class NoActivation(DataflowError):
    """The data unit was asked for something while no activation runs: at import time, or after the return."""

    code = "no-activation"
    blame = Blame.DEVELOPER

    def __init__(self, call: str) -> None:
        super().__init__(call)
        self.call = call

    def __str__(self) -> str:
        return f"{self.call} was called while no activation runs: call it between the start of main and its return"


class OutputMisused(DataflowError):
    """An output is used in two ways at once."""

    code = "output-misused"
    blame = Blame.DEVELOPER

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(name, reason)
        self.name = name
        self.reason = reason

    def __str__(self) -> str:
        return f"output {self.name!r} {self.reason}"


class OutputRefused(DataflowError):
    """The host's sink can never hold the value. Emit less at a time, or raise the bound."""

    code = "output-refused"
    blame = Blame.DEVELOPER

    def __init__(self, name: str, size_bytes: int, reason: str) -> None:
        super().__init__(name, size_bytes, reason)
        self.name = name
        self.size_bytes = size_bytes
        self.reason = reason

    def __str__(self) -> str:
        return f"output {self.name!r} of {self.size_bytes} bytes was refused by the host's data sink: {self.reason}"


class InputMissing(DataflowError):
    """There is no input of that name."""

    code = "input-missing"
    blame = Blame.DEVELOPER

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name

    def __str__(self) -> str:
        return f"there is no input {self.name!r}"


class InputBroken(DataflowError):
    """A streamed input ended before its end: its producer failed or was lost."""

    code = "input-broken"

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(name, reason)
        self.name = name
        self.reason = reason

    def __str__(self) -> str:
        return f"input {self.name!r} broke off: {self.reason}"
