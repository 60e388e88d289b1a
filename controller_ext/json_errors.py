"""What stock's parser says of a text that is no JSON: where it stopped, what it found there, what it expected. Pure.

The text is read a second time for it, by the same steps as stock reads it, since the parser that read it first expects
other things at other places. Positions are those of bytes.

Source: spray-json 1.3.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

SHOWN_CHARS: Final = 160
"""Of a line around an error; a whole body may be one line. Stock shows all of it."""
READ_BYTES: Final = 64 << 10
"""Texts above it are not read again: that takes up to a microsecond a byte."""
_END: Final = -1
_BLANK: Final = frozenset(b" \t\n\r")
_DIGITS: Final = frozenset(b"0123456789")
_HEX: Final = frozenset(b"0123456789abcdefABCDEF")
_ESCAPES: Final = frozenset(b'"/\\bfnrt')
_WORDS: Final = {ord("t"): b"true", ord("f"): b"false", ord("n"): b"null"}
_QUOTE: Final = "'\"'"


def sentence(raw: bytes) -> str | None:
    """Return what is wrong with a text in stock's words; None: stock's parser takes it, or it is above READ_BYTES.

    Args:
        raw: The text, in UTF-8.
    """
    if len(raw) > READ_BYTES:
        return None
    try:
        _Reader(raw).read()
    except _Stopped as stopped:
        return stopped.sentence(raw)
    return None


@dataclass(slots=True, eq=False)
class _Stopped(Exception):
    """The reader cannot go on.

    Attributes:
        at: Where.
        found: The byte there, or _END.
        expected: What would have been right.
    """

    at: int
    found: int
    expected: str

    def sentence(self, raw: bytes) -> str:
        """Return stock's two lines and the mark below them."""
        before = raw[: self.at].decode(errors="replace")
        begin = before.rfind("\n") + 1
        # Stock takes the position in bytes less the beginning of the line in characters.
        column = self.at - begin
        line = raw.decode(errors="replace")[begin:].partition("\n")[0]
        cut = max(0, column - SHOWN_CHARS // 2) if len(line) > SHOWN_CHARS else 0
        shown = "".join("?" if _is_control(char) else char for char in line[cut : cut + SHOWN_CHARS])
        place = f"at input index {self.at} (line {before.count(chr(10)) + 1}, position {column + 1})"
        return f"Unexpected {self._found()} {place}, expected {self.expected}:\n{shown}\n{' ' * (column - cut)}^\n"

    def _found(self) -> str:
        if self.found == _END:
            return "end-of-input"
        char = chr(self.found)
        return f"character '\\u{self.found:04x}'" if _is_control(char) else f"character '{char}'"


def _is_control(char: str) -> bool:
    return char < " " or "\x7f" <= char <= "\x9f"


@dataclass(slots=True)
class _Reader:
    """Reads a text value by value, without recursion."""

    raw: bytes
    at: int = 0
    closers: list[int] = field(default_factory=list)
    """What ends the objects and arrays around, innermost last."""

    def read(self) -> None:
        """Read all of it; raises _Stopped."""
        self._blank()
        self._value()
        while self.closers:
            self._after_value()
        if self._here() != _END:
            self._stop("end-of-input")

    def _after_value(self) -> None:
        """Go on inside the innermost object or array: with its next member, or behind its end."""
        closer = self.closers[-1]
        if self._take(ord(",")):
            self._blank()
            self._member() if closer == ord("}") else self._value()
            return
        self._require(closer)
        self.closers.pop()
        self._blank()

    def _value(self) -> None:
        """Read a value, or the beginning of an object or array up to its first value that is neither."""
        while True:
            here = self._here()
            if here in (ord("{"), ord("[")):
                closer = ord("}") if here == ord("{") else ord("]")
                self.at += 1
                self._blank()
                if self._take(closer):
                    break
                self.closers.append(closer)
                if closer == ord("}"):
                    self._name()
                continue
            self._scalar(here)
            break
        self._blank()

    def _scalar(self, here: int) -> None:
        if here in _WORDS:
            self._word(_WORDS[here])
        elif here in _DIGITS or here == ord("-"):
            self._number()
        elif here == ord('"'):
            self._string()
        else:
            self._stop("JSON Value")

    def _member(self) -> None:
        self._name()
        self._value()

    def _name(self) -> None:
        self._string()
        self._blank()
        self._require(ord(":"))
        self._blank()

    def _word(self, word: bytes) -> None:
        begin = self.at
        for wanted in word:
            if not self._take(wanted):
                raise _Stopped(begin, self._here(), "JSON Value")

    def _number(self) -> None:
        self._take(ord("-"))
        if not self._take(ord("0")):
            self._digits()
        if self._take(ord(".")):
            self._digits()
        if self._take(ord("e")) or self._take(ord("E")):
            self._take(ord("-")) or self._take(ord("+"))
            self._digits()

    def _digits(self) -> None:
        if self._here() not in _DIGITS:
            self._stop("DIGIT")
        while self._here() in _DIGITS:
            self.at += 1

    def _string(self) -> None:
        if not self._take(ord('"')):
            self._stop(_QUOTE)
        while (here := self._here()) not in (ord('"'), _END) and here >= ord(" "):
            self.at += 1
            if here == ord("\\"):
                self._escape()
        self._require(ord('"'))

    def _escape(self) -> None:
        if self._take(ord("u")):
            for _ in range(4):
                if self._here() not in _HEX:
                    self._stop("hex digit")
                self.at += 1
        elif self._here() in _ESCAPES:
            self.at += 1
        else:
            self._stop("JSON escape sequence")

    def _blank(self) -> None:
        while self._here() in _BLANK:
            self.at += 1

    def _here(self) -> int:
        return self.raw[self.at] if self.at < len(self.raw) else _END

    def _take(self, wanted: int) -> bool:
        if self._here() != wanted:
            return False
        self.at += 1
        return True

    def _require(self, wanted: int) -> None:
        if not self._take(wanted):
            self._stop(f"'{chr(wanted)}'")

    def _stop(self, expected: str) -> None:
        raise _Stopped(self.at, self._here(), expected)
