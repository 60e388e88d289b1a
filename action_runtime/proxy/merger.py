"""The outlet where no relay is: what is emitted waits to be merged into the result, inputs are the parameters."""

from __future__ import annotations

from action_runtime.errors import InputMissing, OutputMisused
from action_runtime.files import InputFile, OutputFile
from action_runtime.serde import encode, json_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Merger:
    """Collects the outputs of one activation. See `action_runtime.api` for the calls."""

    def __init__(self, argument: Any) -> None:
        self._argument = argument
        self._texts: dict[str, list[str]] = {}
        self._written: dict[str, bytearray] = {}
        self._open: list[OutputFile] = []

    def emit(self, name: str, value: Any) -> None:
        """Keep the JSON form of a value, which is its snapshot."""
        if name in self._written:
            raise OutputMisused(name, "was opened as a file before: use one way only")
        self._texts.setdefault(name, []).append(json_text(encode(value)))

    def open_output(self, name: str, chunk_bytes: int) -> OutputFile:
        """Keep what will be written."""
        if name in self._written or name in self._texts:
            raise OutputMisused(name, "exists: open an output once, and do not emit to it as well")
        content = self._written[name] = bytearray()
        file = OutputFile(name, chunk_bytes, content.extend, lambda _: None)
        self._open.append(file)
        return file

    def open_input(self, name: str) -> InputFile:
        """Return a file over a parameter."""
        if not isinstance(self._argument, dict) or name not in self._argument:
            raise InputMissing(name)
        value = self._argument[name]
        return InputFile(name, iter(value if isinstance(value, list) else (value,)))

    def texts(self) -> dict[str, list[str]]:
        """Close what is open and return the JSON texts of all outputs."""
        for file in self._open:
            file.close()
        written = {name: [json_text(encode(bytes(content)))] for name, content in self._written.items()}
        return self._texts | written
