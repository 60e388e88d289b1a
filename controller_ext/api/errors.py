"""The one place where an HTTP status is chosen: for an error, and for the record of an invocation that ended."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Final

from flask import Flask, Response, g
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from action_runtime.wire.errors import Blame, DataflowError
from controller_ext.api import replies
from controller_ext.entities import errors as entity_errors
from controller_ext.runs import ports
from controller_ext.workflow.errors import DefinitionError, WorkflowBroken
from invoker_ext.store import RevisionConflict, StoreFull, StoreRefused, StoreUnavailable

logger = logging.getLogger(__name__)

DEFAULT_TEXTS: Final[Mapping[int, str]] = {
    400: "The request contains bad syntax or cannot be fulfilled.",
    401: "Authentication is possible but has failed or not yet been provided.",
    404: "The requested resource could not be found.",
    408: "The request did not arrive in time.",
    413: "The request entity is larger than the server is willing or able to process.",
    414: "The requested URI is too long for the server to process.",
    500: "There was an internal server error.",
    503: "The server is currently unavailable (because it is overloaded or down for maintenance).",
}


class Unauthenticated(DataflowError):
    """The request carries no credentials, or wrong ones."""

    code = "unauthenticated"
    blame = Blame.CALLER


class NoRoute(DataflowError):
    """Nothing is served at this path by this method."""

    code = "no-route"
    blame = Blame.CALLER

    def __init__(self) -> None:
        super().__init__(DEFAULT_TEXTS[404])


class NotServedHere(DataflowError):
    """A path outside the API; stock answers as if its wildcard OPTIONS route were all there is."""

    code = "not-served-here"
    blame = Blame.CALLER

    def __init__(self) -> None:
        super().__init__("HTTP method not allowed, supported methods: OPTIONS")


class Stalled(DataflowError):
    """The body broke off, or no more of it came for too long."""

    code = "stalled"
    blame = Blame.CALLER

    def __init__(self) -> None:
        super().__init__(DEFAULT_TEXTS[408])


class NotAdmitted(DataflowError):
    """A web action wants a key or a secret that the request does not have."""

    code = "not-admitted"
    blame = Blame.CALLER

    def __init__(self) -> None:
        super().__init__(DEFAULT_TEXTS[401])


class NotAcceptable(DataflowError):
    """The client does not want what it would get."""

    code = "not-acceptable"
    blame = Blame.CALLER

    def __init__(self, media_type: str) -> None:
        super().__init__(f"Resource representation is only available with these types:\n{media_type}")


class UnsupportedMedia(DataflowError):
    """The body is of a type that the route does not read."""

    code = "unsupported-media"
    blame = Blame.CALLER

    def __init__(self, content_type: str) -> None:
        super().__init__(f"The request's Content-Type [{content_type}] is not supported. Expected:\napplication/json")


_OWN: Final = None
"""The error's own text is for the caller."""
_ROWS: Final[Mapping[type[DataflowError], tuple[int, str | None]]] = {
    entity_errors.Rejected: (400, _OWN),
    entity_errors.NotFound: (404, _OWN),
    entity_errors.Conflict: (409, _OWN),
    entity_errors.Forbidden: (403, _OWN),
    entity_errors.KindForbidden: (403, _OWN),
    entity_errors.TooLarge: (413, _OWN),
    entity_errors.KeyReused: (422, _OWN),
    entity_errors.Refused: (400, _OWN),
    Unauthenticated: (401, _OWN),
    NotAdmitted: (401, _OWN),
    NotAcceptable: (406, _OWN),
    NoRoute: (404, _OWN),
    NotServedHere: (405, _OWN),
    Stalled: (408, _OWN),
    UnsupportedMedia: (415, _OWN),
    RevisionConflict: (409, "Concurrent modification to resource detected."),
    StoreRefused: (400, DEFAULT_TEXTS[400]),
    # Their own texts tell the operator where the file is: they are for the log.
    StoreFull: (503, "The server's disk is full; its operator must free space. Then try again."),
    StoreUnavailable: (503, DEFAULT_TEXTS[503]),
    ports.Throttled: (429, _OWN),
    ports.NoInvoker: (503, DEFAULT_TEXTS[503]),
    ports.OnlyStock: (503, DEFAULT_TEXTS[503]),
    ports.BalancerUnavailable: (503, DEFAULT_TEXTS[503]),
    ports.DoorUnavailable: (503, DEFAULT_TEXTS[503]),
    ports.MessageTooLarge: (413, DEFAULT_TEXTS[413]),
    ports.DataGone: (500, _OWN),
}


def status_and_text(error: DataflowError) -> tuple[int, str]:
    """Return what a caller gets for an error: HTTP status and sentence."""
    if isinstance(error, WorkflowBroken):
        return 400, str(error)
    if isinstance(error, DefinitionError):
        return 400, f"The request content was malformed:\nThe workflow is not valid:\n{error}"
    for kind in type(error).__mro__:
        row = _ROWS.get(kind)
        if row is not None:
            status, text = row
            return status, str(error) if text is None else text
    if error.blame is Blame.CALLER:
        return 400, str(error)
    return 500, DEFAULT_TEXTS[500]


def blame_and_text(error: DataflowError) -> tuple[bool, str]:
    """Return whether the caller must act, by the status that he would get, and the sentence."""
    status, text = status_and_text(error)
    return status < 500, text


_OF_RECORDS: Final = (200, 502, 502, 500)


def status_of_record(status: int) -> int:
    """Return the HTTP status of an invocation by that of its record, as stock's `Actions.scala`.

    Args:
        status: 0 success, 1 application, 2 developer, 3 internal error.
    """
    return _OF_RECORDS[status]


def install(app: Flask) -> None:
    """Make every error of a request an answer; log those that somebody else than the caller must act on, once."""
    app.register_error_handler(DataflowError, answer)
    app.register_error_handler(HTTPException, _answer_http)
    app.register_error_handler(Exception, _answer_bug)


def told(error: DataflowError, transid: str) -> tuple[int, str]:
    """Return what a caller gets, as `status_and_text`; log it if somebody else must act."""
    status, text = status_and_text(error)
    if status >= 500:
        logger.error("request failed", extra={"transid": transid, "code": error.code, "reason": str(error)})
    return status, text


def answer(error: DataflowError) -> Response:
    """Return what a caller gets for an error; log it if somebody else must act."""
    status, text = told(error, g.transid)
    reply = replies.error(text, status)
    if isinstance(error, Unauthenticated):
        reply.headers["WWW-Authenticate"] = 'Basic realm="OpenWhisk secure realm",charset=UTF-8'
    elif status == 405:
        reply.headers["Allow"] = "OPTIONS"
    return reply


def _answer_http(error: HTTPException) -> Response:
    """Answer what the framework refuses: an unknown path or method (404 both), a body above any bound."""
    status = 413 if isinstance(error, RequestEntityTooLarge) else (error.code or 500)
    if status in (404, 405):
        return answer(NoRoute() if g.in_api else NotServedHere())
    text = DEFAULT_TEXTS.get(status, DEFAULT_TEXTS[400 if status < 500 else 500])
    return replies.error(text, status)


def _answer_bug(error: Exception) -> Response:
    logger.error("request failed by a bug", extra={"transid": g.transid}, exc_info=error)
    return replies.error(DEFAULT_TEXTS[500], 500)
