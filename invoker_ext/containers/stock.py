"""A container with a stock runtime in any language: the invoker acts as its data logic unit.

Inputs go as the JSON arguments of `/run`, the outputs are cut out of the result (DESIGN §5). Nothing overlaps: a
firing has returned and drained at once.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import deque
from typing import Any, Final, cast

import aiohttp

from action_runtime.wire.errors import DataflowError
from action_runtime.wire.frames import KNEE_BYTES
from action_runtime.wire.values import WHOLE, Media
from invoker_ext.containers.assignment import Assignment, StreamEnd, init_value, run_environment
from invoker_ext.containers.container import Container, Host
from invoker_ext.containers.driver import Handle
from invoker_ext.containers.job import Failure, Job, Report
from invoker_ext.containers.states import State
from invoker_ext.dataflow.commands import Bound, Chunks, Constant, Streamed, Value
from invoker_ext.relay.json_form import object_json
from invoker_ext.relay.results import Split, split_json
from invoker_ext.sink.datum import Stored
from invoker_ext.sink.sink import Sink

_OK: Final = 200
_INIT: Final = 0
"""In place of a ticket."""
_RETRY_S: Final = 0.05
"""Between connection attempts of an init: how an invoker waits for the server to come up. Source: stock."""
_SENTINELS_S: Final = 2.0
"""Longest wait for the ends of both logs after a reply. Source: stock's idle gap."""
_SILENT_S: Final = 0.05
"""The same for an image whose runtime ended no log before: what the engine has on its way comes within this."""
_SENTINELS: Final = 2
_EXITED: Final = 400
"""What a runtime answers whose function ended its process (spec/openwhisk-internals.md §4.6)."""


class StockContainer(Container):
    """Speaks `/init` and `/run` (spec/openwhisk-internals.md §4).

    Args:
        number: The pool's.
        name: For people and records.
        host: Who owns it.
        loop: The invoker's.
        sink: Where its outputs go.
    """

    def __init__(self, number: int, name: str, host: Host, loop: asyncio.AbstractEventLoop, sink: Sink) -> None:
        super().__init__(number, name, host, loop)
        self._sink = sink
        self._url = "http://localhost"
        self._path: str | None = None
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._streamed: dict[int, asyncio.Event] = {}
        self._sentinels = asyncio.Event()
        self._patience_s = _SENTINELS_S

    def start(self, handle: Handle, start_timeout_s: float) -> None:
        """See Container. The server inside is waited for by the init."""
        super().start(handle, start_timeout_s)
        if self._pipes is not None:
            self._pipes.lines.sentinelled = True
            self._pipes.on_sentinel = self._sentinels.set
        handle.when_reachable(self._find)

    def _find(self) -> None:
        address = self._handle.address if self._handle is not None else None
        if isinstance(address, tuple):
            host, port = address
            self._url = f"http://{host}:{port}"
        else:
            self._path = address
        self._loop.call_soon(self._is_there)

    def feed(self, assignment: Assignment, name: str) -> None:
        """See Container. Arguments are JSON: the function can begin once the last part is there."""
        del name
        streamed = self._streamed.get(assignment.ticket)
        if streamed is not None and _is_complete(assignment):
            streamed.set()

    def throttle(self, *, on: bool) -> None:
        """See Container. Nothing is emitted here while a function runs."""

    def _is_there(self) -> None:
        if self.state is State.STARTING and not self._broken:
            self._is_up()

    def _disconnect(self) -> None:
        tasks, self._tasks = self._tasks, {}
        for task in tasks.values():
            if task is not asyncio.current_task():
                task.cancel()

    # -- init -------------------------------------------------------------------------------------

    def _send_init(self, job: Job, timeout_s: float) -> None:
        self._tasks[_INIT] = self._loop.create_task(self._init(job, timeout_s), name=f"init {self.name}")

    async def _init(self, job: Job, timeout_s: float) -> None:
        value = init_value(job, timeout_s)
        if "code" in job.code:
            value["code"] = job.code["code"]
        body = json.dumps({"value": value}, ensure_ascii=False).encode()
        while True:
            try:
                status, reply = await self._post("/init", body)
            except aiohttp.ClientConnectorError:
                await asyncio.sleep(_RETRY_S)  # not listening yet; the container's timer bounds this
                continue
            except aiohttp.ClientError:
                self._lost()
                return
            break
        if status != _OK:
            await self._both_sentinels()
        self._tasks.pop(_INIT, None)
        self._inited(_init_error(reply), ok=status == _OK)

    # -- run --------------------------------------------------------------------------------------

    def _send_run(self, assignment: Assignment) -> None:
        self._announce(assignment)
        self._streamed[assignment.ticket] = asyncio.Event()
        if _is_complete(assignment):
            self._streamed[assignment.ticket].set()
        task = self._loop.create_task(self._run(assignment), name=f"run {self.name}")
        self._tasks[assignment.ticket] = task

    async def _run(self, assignment: Assignment) -> None:
        job = assignment.job
        await self._streamed[assignment.ticket].wait()
        try:
            value = object_json(_materialised(assignment))
        except OSError as error:
            self._fail(assignment, Failure.NOT_STARTED, f"An input could not be read back: {error.strerror}.")
            return
        members = json.dumps(run_environment(job, job.timeout_s), ensure_ascii=False).encode()
        try:
            status, reply = await self._post("/run", b'{"value":' + value + b"," + members[1:])
        except aiohttp.ClientError:
            self._lost()
            return
        await self._both_sentinels()
        self._finish(assignment, status, reply)

    def _finish(self, assignment: Assignment, status: int, reply: bytes) -> None:
        """Turn a reply into what a container with a DLU would have sent."""
        wants = assignment.job.wants
        failed = Split("exited" if status == _EXITED else "invalid")
        split = split_json(reply, wants) if status == _OK else failed
        try:
            self._emit(assignment, split)
        except DataflowError as error:
            self._fail(assignment, Failure.WRITE_REFUSED, str(error))
            return
        small = len(reply) < KNEE_BYTES or split.status not in ("ok", "error")
        report = Report(
            status=split.status,
            characters=len(reply.decode(errors="replace")),
            counts=split.counts,
            body=reply.strip() if small else None,
            digest=None if small or WHOLE in wants else f"sha256-{hashlib.sha256(reply).hexdigest()}",
        )
        self._let_go(assignment)
        self._returned(assignment, report)
        self._drained(assignment)

    def _fail(self, assignment: Assignment, failure: Failure, detail: str | None) -> None:
        """End the container for what became of one of its functions."""
        self.end(failure, detail)

    def _let_go(self, assignment: Assignment) -> asyncio.Task[None] | None:
        """Forget the request of a function; return its task."""
        del self._streamed[assignment.ticket]
        return self._tasks.pop(assignment.ticket, None)

    def _emit(self, assignment: Assignment, split: Split) -> None:
        job = assignment.job
        owner = f"{job.user.namespace}/{job.run}"
        for one in split.outputs:
            stored = self._sink.put_bytes(one.head, one.data, owner)
            job.listener.emitted(one.output, one.index, one.how, stored)

    # -- the wire ---------------------------------------------------------------------------------

    async def _post(self, path: str, body: bytes) -> tuple[int, bytes]:
        """Post once, on a connection of its own; the container's timer bounds the wait.

        Raises:
            ClientError: No usable reply; ClientConnectorError: no connection.
        """
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        connector: aiohttp.BaseConnector
        if self._path is None:
            connector = aiohttp.TCPConnector(force_close=True)
        else:
            connector = aiohttp.UnixConnector(self._path, force_close=True)
        timeout = aiohttp.ClientTimeout(total=None)
        async with (
            aiohttp.ClientSession(connector=connector, timeout=timeout) as client,
            client.post(self._url + path, data=body, headers=headers) as reply,
        ):
            if reply.content_length is None:
                raise aiohttp.ClientPayloadError("a reply without Content-Length is no reply")
            return reply.status, await reply.read()

    async def _both_sentinels(self) -> None:
        """Wait until both streams say that the activation's log is complete."""
        if self._pipes is None:
            return
        try:
            async with asyncio.timeout(self._patience_s):
                while self._pipes.lines.sentinels < _SENTINELS:
                    self._sentinels.clear()
                    await self._sentinels.wait()
        except TimeoutError:
            # The runtime writes none: what has come is the log, and the next function is not waited for that long.
            if not self._pipes.lines.sentinels:
                self._patience_s = _SILENT_S


def _init_error(reply: bytes) -> Any:
    """Return the `error` value of a failed init; the text of the reply if it has none."""
    try:
        document = json.loads(reply)
    except ValueError:
        return reply.decode(errors="replace") or None
    return document.get("error") if isinstance(document, dict) else reply.decode(errors="replace")


def _is_complete(assignment: Assignment) -> bool:
    """Say whether every streamed input has come to its end."""
    for bound in assignment.job.inputs:
        if isinstance(bound.value, Streamed):
            parts = assignment.streams.get(bound.name)
            if not parts or not isinstance(parts[-1], StreamEnd):
                return False
    return True


def _materialised(assignment: Assignment) -> list[Bound]:
    """Return the inputs with every stream as a value: bytes joined, anything else as a list."""
    inputs = []
    for bound in assignment.job.inputs:
        value: Value = bound.value
        if isinstance(value, Streamed):
            value = _joined(assignment.streams[bound.name])
        inputs.append(Bound(bound.name, value))
    return inputs or [Bound(WHOLE, Constant("{}"))]


def _joined(parts: deque[Stored | StreamEnd]) -> Value:
    data = tuple(part for part in parts if not isinstance(part, StreamEnd))
    if data and all(part.head.media is Media.BYTES for part in data):
        return Chunks(cast("tuple[Any, ...]", data))
    return cast("Value", data)
