"""Frames as they are on the wire, byte for byte: what another language's implementation must produce and read."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from action_runtime.wire.codec import Decoder, encode
from action_runtime.wire.frames import Frame, FrameKind

FILES = sorted(Path(__file__).parent.glob("*.hex"))


@dataclass(slots=True, frozen=True)
class Vector:
    kind: FrameKind
    descriptors: int
    meta: dict[str, Any]
    payload: bytes
    raw: bytes


def read(path: Path) -> Vector:
    lines = path.read_text(encoding="utf-8").splitlines()
    notes = dict(line[2:].split(": ", 1) for line in lines if line.startswith("# ") and ": " in line)
    return Vector(
        FrameKind[notes["kind"]],
        int(notes["descriptors"]),
        json.loads(notes["meta"]),
        bytes.fromhex(notes.get("payload", "")),
        bytes.fromhex("".join(line for line in lines if not line.startswith("#"))),
    )


def test_there_are_vectors():
    assert len(FILES) > 8


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_described_frame_becomes_these_bytes(path):
    vector = read(path)

    assert encode(vector.kind, vector.meta, vector.payload, vector.descriptors) == vector.raw


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_these_bytes_become_the_described_frame(path):
    vector = read(path)
    descriptors = tuple(range(1000, 1000 + vector.descriptors))

    assert Decoder().feed(vector.raw, descriptors) == [Frame(vector.kind, vector.meta, vector.payload, descriptors)]
