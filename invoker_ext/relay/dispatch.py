"""Sending a firing, and the parts of its streamed inputs, to its container."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from action_runtime.wire.codec import encode_head_of
from action_runtime.wire.frames import MAX_FRAME_DESCRIPTORS, FrameKind
from invoker_ext.relay.layout import Layout
from invoker_ext.relay.session import Session
from invoker_ext.sink.datum import Stored


def send_run(session: Session, f: int, meta: dict[str, Any], layout: Layout, announce: Callable[[], None]) -> None:
    """Send the RUN of an open firing, behind the SEGMENTS it needs.

    Segments stay pinned until the container lets go. The payload goes out as it lies, uncopied unless it is small.

    Args:
        session: The container's.
        f: Of the firing; opened by `Session.open_firing`.
        meta: RUN's other members: `env`, `wants`, `plain`, `timeout_ms`.
        layout: Used up: its packed segments are released.
        announce: Called when all is ready, right before the first frame leaves; what it raises comes out.

    Raises:
        FrameTooLarge: The inputs do not fit a frame; nothing was sent or pinned.
    """
    try:
        size = sum(map(len, layout.parts))
        head = encode_head_of(FrameKind.RUN, orjson.dumps({"f": f, **meta, "inputs": layout.inputs}), size)
        for stored in layout.segments:
            session.lend(f, stored)
    finally:
        for stored in layout.packed:
            stored.release()
    announce()
    for start in range(0, len(layout.segments), MAX_FRAME_DESCRIPTORS):
        batch = layout.segments[start : start + MAX_FRAME_DESCRIPTORS]
        session.send(FrameKind.SEGMENTS, {"f": f}, descriptors=[stored.descriptor() for stored in batch])
    session.send_head(head, layout.parts)


def send_part(session: Session, f: int, name: str, stored: Stored) -> None:
    """Send one part of a streamed input; it stays pinned until user code has taken it.

    The caller keeps at most 8 untaken ones (`Session.unread`).
    """
    session.lend_part(f, name, stored)
    meta = {"f": f, "input": name, **stored.head.to_meta()}
    data = stored.inline
    if data is None:
        session.send(FrameKind.CHUNK, {**meta, "seg": 0}, descriptors=(stored.descriptor(),))
    else:
        session.send(FrameKind.CHUNK, {**meta, "at": 0}, data)


def send_end(session: Session, f: int, name: str, error: str | None = None) -> None:
    """Say that a streamed input is complete, or broke off with `error`."""
    meta: dict[str, Any] = {"f": f, "input": name}
    if error is not None:
        meta["error"] = error
    session.send(FrameKind.STREAM_END, meta)
