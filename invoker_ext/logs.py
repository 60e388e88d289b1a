"""Logs of every process but the containers', on stderr: one JSON object a line, or, on a terminal, a line to read.

Beside `contract`, not in it, for what is in `contract` does no I/O.
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any, Final

_STANDARD: Final = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


class JsonFormatter(logging.Formatter):
    """Time, level, process, logger and message, which is a constant phrase; whatever is given as `extra` follows."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        """Return one line."""
        fields: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "process": self._process,
            "logger": record.name,
            "message": record.getMessage(),
        }
        fields.update(_given(record))
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return json.dumps(fields, default=str, ensure_ascii=False)


class TextFormatter(logging.Formatter):
    """The same for people: time of day, level, process and message, then what was given, as `name=value`."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        """Return one line, and the trace of an error below it."""
        time = datetime.fromtimestamp(record.created).astimezone().strftime("%H:%M:%S")
        given = "".join(f"  {name}={value}" for name, value in _given(record).items())
        line = f"{time} {record.levelname.lower():<7} {self._process}: {record.getMessage()}{given}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def formatter(process: str) -> logging.Formatter:
    """Return the form in which this process logs to its stderr.

    Args:
        process: Name of the process in each line.
    """
    return TextFormatter(process) if sys.stderr.isatty() else JsonFormatter(process)


def _given(record: logging.LogRecord) -> dict[str, Any]:
    """Return what a line was given as `extra`."""
    return {name: value for name, value in record.__dict__.items() if name not in _STANDARD}


def configure(process: str, level: str) -> None:
    """Send all logs of this process to stderr.

    Args:
        process: Name of the process in each line.
        level: Name of the lowest level that is written.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(formatter(process))
    logging.basicConfig(level=level, handlers=[handler], force=True)
