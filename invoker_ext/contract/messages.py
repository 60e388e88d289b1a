"""Messages on the bus, in the shapes of OpenWhisk's `Message.scala`.

A run travels as an ActivationMessage with one more member, `run`, which a stock reader ignores. What a router needs
stands in `headers` beside the payload (Kafka record headers), so that nobody parses a payload to pass it on.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any, Final

import orjson

from invoker_ext.contract.records import Activation

_dumps: Final = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
_CONTENT: Final = b'{"content":'
_CONTENT_AT: Final = len(_CONTENT)
VERSION: Final = 1
"""Of the member `run`; two neighbours work together."""
DOOR: Final = "door"
"""Header of a run's message: the door, to invokers of other hosts, at which its controller waits for the result."""
WHOLE_RESULT_BYTES: Final = 1024 * 1024 + 4096
"""Up to this size who waits for a result is handed all of it; a larger one is streamed to the caller from the invoker's
door. The bus takes 1 MB (stock), and the text of a truncated response stands around its first megabyte."""


@dataclass(slots=True, frozen=True, kw_only=True)
class Identity:
    """Who invokes.

    Attributes:
        subject: ≥ 5 characters.
        namespace: Its name.
        uuid: The namespace's, the user part of the key.
        api_key: `uuid:key`.
        rights: Subset of READ PUT DELETE ACTIVATE.
        limits: Overrides of the defaults, in the wire's names.
    """

    subject: str
    namespace: str
    uuid: str
    api_key: str
    rights: tuple[str, ...] = ("READ", "PUT", "DELETE", "ACTIVATE")
    limits: dict[str, Any]

    @property
    def stores_activations(self) -> bool:
        """Whether records of its activations are kept: the namespace's limit `storeActivations`, true by default."""
        return self.limits.get("storeActivations") is not False

    def to_json(self) -> dict[str, Any]:
        """Return the stock shape."""
        return {
            "subject": self.subject,
            "namespace": {"name": self.namespace, "uuid": self.uuid},
            "authkey": {"api_key": self.api_key},
            "rights": list(self.rights),
            "limits": self.limits,
        }

    @staticmethod
    def from_json(document: dict[str, Any]) -> Identity:
        """Read the stock shape; raises KeyError or TypeError where it is not one."""
        return Identity(
            subject=document["subject"],
            namespace=document["namespace"]["name"],
            uuid=document["namespace"]["uuid"],
            api_key=document["authkey"].get("api_key", ""),
            rights=tuple(document["rights"]),
            limits=document["limits"],
        )


@dataclass(slots=True, frozen=True)
class Spool:
    """Parameters that the controller holds for the owner to pull, as JSON.

    Attributes:
        door: Address of the peer door that serves it (a Unix socket path, or host:port).
        name: Of the spooled bytes at that door.
        size_bytes: Of all of them.
        digest: Hex SHA-256 of the bytes.
        members: Of an object: member name → (offset, bytes) of its JSON text; None: nobody took them apart.
    """

    door: str
    name: str
    size_bytes: int
    digest: str
    members: dict[str, tuple[int, int]] | None


@dataclass(slots=True, frozen=True, kw_only=True)
class ActivationMessage:
    """Ask an invoker to run an action, or a graph.

    Attributes:
        transid: `[id, start ms, …]`, passed on verbatim.
        action: `namespace/[package/]name` of what is invoked (provider's, for bindings).
        version: Its version.
        revision: Of its document; None: the newest.
        binding: `namespace/package` of the binding it was named through.
        activation_id: 32 hex digits; of the run.
        controller: Whose `completed` topic gets the acknowledgement.
        blocking: Somebody waits for the result.
        content: Raw JSON of the merged arguments; None: none, or in `spool`.
        init_args: Names of parameters for init.
        locked_args: Parameter name → cipher.
        cause: Enclosing sequence's activation.
        graph: Digest of the graph to run; None: a plain action (stock message).
        refusal: Why nothing is to be executed, found by the controller; the activation ends as an application error.
        spool: Where the parameters are if they are too large for a message.
        result_bytes: Bound of the result of the graph; None: stock's own.
        epoch: Grows with every owner this run is given to.
        door: Peer door of the controller that compiles what the run names by its data; None: it names nothing so.
    """

    transid: list[Any]
    action: str
    version: str
    revision: str | None
    user: Identity
    activation_id: str
    controller: str
    blocking: bool
    content: bytes | None = None
    init_args: tuple[str, ...] = ()
    locked_args: dict[str, str]
    binding: str | None = None
    cause: str | None = None
    graph: str | None = None
    refusal: str | None = None
    spool: Spool | None = None
    result_bytes: int | None = None
    epoch: int = 0
    door: str | None = None

    def encode(self) -> bytes:
        """Return the stock JSON, the content spliced in unparsed."""
        path, _, name = self.action.rpartition("/")
        action = {"path": path, "name": name, "version": self.version}
        if self.binding is not None:
            action["binding"] = self.binding
        document: dict[str, Any] = {
            "transid": self.transid,
            "action": action,
            "revision": self.revision,
            "user": self.user.to_json(),
            "activationId": self.activation_id,
            "rootControllerIndex": {"asString": self.controller, "instanceType": "controller"},
            "blocking": self.blocking,
            "initArgs": list(self.init_args),
            "lockedArgs": self.locked_args,
        }
        if self.cause is not None:
            document["cause"] = self.cause
        if self.graph is not None or self.refusal is not None:
            run: dict[str, Any] = {"v": VERSION, "graph": self.graph, "epoch": self.epoch}
            if self.spool is not None:
                spool = self.spool
                run["spool"] = [spool.door, spool.name, spool.size_bytes, spool.digest, spool.members]
            if self.refusal is not None:
                run["refusal"] = self.refusal
            if self.result_bytes is not None:
                run["resultBytes"] = self.result_bytes
            if self.door is not None:
                run["door"] = self.door
            document["run"] = run
        text = orjson.dumps(document)
        if self.content is None:
            return text
        return _CONTENT + self.content + b"," + text[1:]

    def headers(self) -> dict[str, Any]:
        """Return `{"id", "c"[, "run"]}`: what a router needs.

        The activation id, how many bytes of content stand at offset 11 (0: none), and whether it is a graph, which only
        an invoker of ours takes.
        """
        headers: dict[str, Any] = {"id": self.activation_id, "c": len(self.content) if self.content is not None else 0}
        if self.graph is not None:
            headers["run"] = True
        return headers

    @staticmethod
    def decode(payload: bytes | memoryview, content_bytes: int = 0) -> ActivationMessage:
        """Read a message, stock or ours. Copies the content once.

        Args:
            payload: UTF-8 JSON.
            content_bytes: Header `c`: the content is then taken over without being parsed; 0: not known.

        Raises:
            ValueError: Not an ActivationMessage; carries what is missing.
        """
        try:
            raw: bytes | None = None
            if content_bytes:
                raw = bytes(payload[_CONTENT_AT : _CONTENT_AT + content_bytes])
                document = orjson.loads(b"{" + bytes(payload[_CONTENT_AT + content_bytes + 1 :]))
            else:
                document = json.loads(bytes(payload))
            action = document["action"]
            run = document.get("run") or {}
            spool = run.get("spool")
            if spool is not None:
                door, name, size_bytes, digest, members = spool
                if members is not None:
                    members = {member: (at, count) for member, (at, count) in members.items()}
                spool = Spool(door, name, size_bytes, digest, members)
            if raw is None and (content := document.get("content")) is not None:
                raw = _dumps(content).encode()
            message = ActivationMessage(
                transid=_transid(document["transid"]),
                action=f"{action['path']}/{action['name']}",
                version=action.get("version", "0.0.1"),
                revision=document["revision"],
                user=Identity.from_json(document["user"]),
                activation_id=document["activationId"],
                controller=document["rootControllerIndex"]["asString"],
                blocking=document["blocking"],
                content=raw,
                init_args=tuple(document["initArgs"]),
                locked_args=document["lockedArgs"],
                binding=action.get("binding"),
                cause=document.get("cause"),
                graph=run.get("graph"),
                refusal=run.get("refusal"),
                spool=spool,
                result_bytes=run.get("resultBytes"),
                epoch=run.get("epoch", 0),
                door=run.get("door"),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not an ActivationMessage: {error!r}") from error
        wrong = [name for name, kind in _KINDS.items() if not isinstance(getattr(message, name), kind)]
        wrong += [name for name in ("subject", "namespace", "uuid") if not isinstance(getattr(message.user, name), str)]
        if wrong or not isinstance(message.user.limits, dict):
            raise ValueError(f"not an ActivationMessage: {', '.join(wrong) or 'limits'}")
        return message

    @property
    def started_ms(self) -> int | None:
        """When its transaction began, epoch milliseconds; None: a transaction that stock could not read either."""
        return self.transid[1] if len(self.transid) > 1 else None


_KINDS: Final[dict[str, type | tuple[type, ...]]] = {
    "version": str,
    "revision": (str, type(None)),
    "activation_id": str,
    "controller": str,
    "blocking": bool,
    "locked_args": dict,
    "binding": (str, type(None)),
    "cause": (str, type(None)),
    "graph": (str, type(None)),
    "door": (str, type(None)),
    "epoch": int,
}
"""Of members that others rely on without looking."""


def _transid(value: Any) -> list[Any]:
    """Return a transaction as it is, or as stock calls one that it cannot read."""
    match value:
        case [str(), int(), *_]:
            return list(value)
        case _:
            return ["sid_unknown"]


@dataclass(slots=True, frozen=True)
class Completion:
    """The end of an activation, as its controller hears of it: stock's combined acknowledgement.

    Attributes:
        transid: Of the message, verbatim.
        activation: Its record (no logs for a plain action).
        large: The result is not in the record: `(door, name, bytes)` at which to pull it.
        controller: Who waits.
        epoch: Under which the run ended.
        stock_blocking: It goes out as stock's acknowledgements of a blocking call (`acks.acknowledgements`), or of one
            that is not; None: in one message.
    """

    transid: list[Any]
    activation: Activation
    large: tuple[str, str, int] | None = None
    controller: str = "0"
    stock_blocking: bool | None = None
    epoch: int = 0

    def encode(self, instance: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        """Return headers `{"id", "status", "at", "n"[, "large", "e"]}` and stock's CombinedCompletionAndResultMessage.

        `at`, `n`: where in the payload the result's JSON stands (n 0: none). A result that has a place in the store is
        left out: whoever reads the completion reads the same store. Otherwise copies the result twice.
        """
        rest = {"isSystemError": self.activation.status == 3, "instance": instance}
        return self._encode(rest)

    def encode_result(self) -> tuple[dict[str, Any], bytes]:
        """Return the same headers and the stock ResultMessage."""
        return self._encode({})

    def _encode(self, rest: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        shown = self.activation if self.activation.place is None else replace(self.activation, result=None)
        record, at, length = shown.document_json()
        back = orjson.dumps({"transid": self.transid, **rest})
        front = b'{"response":'
        headers: dict[str, Any] = {
            "id": self.activation.activation_id,
            "status": self.activation.status,
            "at": at + len(front) if length else 0,
            "n": length,
        }
        if self.large is not None:
            headers["large"] = list(self.large)
        if self.epoch:
            headers["e"] = self.epoch
        return headers, front + record + b"," + back[1:]
