"""Web actions: `/api/v1/web/NAMESPACE/PACKAGE/ACTION[.EXTENSION][/PATH]`, for anybody, with the owner's rights."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote, unquote, unquote_to_bytes

import orjson
from flask import Blueprint, Response, g, request
from werkzeug.routing import BaseConverter

from controller_ext.api import bodies, headers, invocations, queries, replies
from controller_ext.api.auth import Authenticator, identity_of
from controller_ext.api.errors import NoRoute, NotAcceptable, NotAdmitted, Unauthenticated
from controller_ext.api.gateway import PATH_PARAMETERS
from controller_ext.api.info import API
from controller_ext.api.services import Services
from controller_ext.entities.catalog import ACTIVATE, Located
from controller_ext.entities.errors import NotFound, ParametersNotAllowed, Refused, WrongCollection
from controller_ext.entities.names import Name
from controller_ext.runs.accept import WEB_RESULT_BYTES
from controller_ext.runs.ports import Accepted, Ended, Prepared, Throttled
from controller_ext.webactions import answers, arguments, media, target
from controller_ext.webactions.answers import Answer, Refusal
from controller_ext.webactions.arguments import WebRequest
from controller_ext.webactions.target import Target
from controller_ext.webactions.terms import Terms
from controller_ext.workflow.errors import DefinitionError
from invoker_ext.contract.messages import Identity

PREFIX: Final = f"{API}/web/"
_WAIT_S: Final = queries.MAX_WAIT_MS / 1000
_LARGE_AT_A_TIME: Final = 4
"""Results above a megabyte that a worker makes answers of; parsed, one may take ten times its size."""
_NO_HEADERS: Final = frozenset({"content-length", "content-type", "transfer-encoding"})
"""Are about the body, not for the action."""
_PATH_SAFE: Final = "!$&'()*+,;=:@"
"""Stands in a segment of a path as it is. Source: RFC 3986 §3.3."""


def make(services: Services, authenticator: Authenticator) -> Blueprint:
    """Return the route."""
    blueprint = Blueprint("web", __name__)
    handler = _WebActions(services, authenticator)
    action = f"{PREFIX}<namespace>/<package>/<action>"
    for rule in (action, f"{action}/<rest:rest>"):
        blueprint.add_url_rule(rule, view_func=handler.serve, methods=target.METHODS, provide_automatic_options=False)
    return blueprint


class RestConverter(BaseConverter):
    """Of a rule: whatever is left of a path, even nothing."""

    regex = "(?s:.*)"
    part_isolating = False


def target_of(environ: Mapping[str, Any]) -> Target | None:
    """Return which web action a request is for; None: it is for none, whatever its path begins with."""
    if environ["REQUEST_METHOD"] not in target.METHODS:
        return None
    path, sent = environ["PATH_INFO"], environ.get("RAW_URI", "").partition("?")[0]
    if unquote_to_bytes(sent).decode("latin-1") == path:
        segments = [unquote(one, errors="replace") for one in sent.split("/")]
    else:
        # Somebody in between has chosen another path; what was an encoded slash in it cannot be told any more.
        segments = path.encode("latin-1").decode(errors="replace").split("/")
    return target.parse(segments[PREFIX.count("/") :])


class _VerbatimResponse(Response):
    """Sends the headers of an action as they are; werkzeug would rewrite or refuse some."""

    def get_wsgi_headers(self, environ: Any) -> Any:
        sent = self.headers.copy()
        if self.status_code in (204, 304):
            sent.remove("Content-Length")
        return sent


class _WebActions:
    def __init__(self, services: Services, authenticator: Authenticator) -> None:
        self._services = services
        self._authenticator = authenticator
        self._most_bytes = services.settings.limits.request_bytes
        self._large = threading.BoundedSemaphore(_LARGE_AT_A_TIME)

    def serve(self, **path: str) -> Response:
        """Answer a request for `g.web`, which was read from the same path.

        `g.cors` is what its answer gets of CORS headers, also if it is an error's.
        """
        wanted: Target | None = g.web
        if wanted is None:
            raise NoRoute
        bodies.check_announced(self._most_bytes)
        owner = self._owner(wanted.name.namespace)
        located, terms = self._find(wanted.name)
        try:
            prepared = self._prepare(owner, wanted, located, terms)
        except (Refused, DefinitionError, NotAdmitted):
            self._charge(owner)
            raise
        if prepared is None:
            self._charge(owner)
            return _bare(Response(b"", 200))
        try:
            outcome = invocations.start(self._services, prepared, _WAIT_S)
        except Throttled:
            g.cors = ()
            raise
        return self._answered(outcome, wanted)

    def _owner(self, namespace: str) -> Identity:
        subject = self._services.catalog.store.subject_by_namespace(namespace)
        if subject is None:
            raise NotFound
        return identity_of(subject)

    def _find(self, name: Name) -> tuple[Located, Terms]:
        try:
            located = self._services.catalog.action(name)
        except WrongCollection as error:
            raise NotFound from error
        terms = Terms.of(located.action.body["annotations"])
        if terms is None:
            raise NotFound
        return located, terms

    def _charge(self, owner: Identity) -> None:
        """Count a request that reaches no action: stock throttles before it looks at it."""
        try:
            self._services.balancer.charge(owner)
        except Throttled:
            g.cors = ()
            raise

    def _prepare(self, owner: Identity, wanted: Target, located: Located, terms: Terms) -> Prepared | None:
        """Check a request in the order of stock's `WebActions.scala`; None: OPTIONS, which is answered here."""
        self._services.catalog.authorize(owner, ACTIVATE, Name.split(located.action.id))
        body = bodies.read_any(self._most_bytes)
        g.cors = terms.cors(request.headers.get("Access-Control-Request-Headers"))
        if request.method == "OPTIONS" and not terms.own_options:
            return None
        user = self._user()
        secret = request.headers.get("X-Require-Whisk-Auth")
        if not terms.allow(request.method, secret and headers.utf8(secret), known=user is not None):
            raise NotAdmitted
        cors, g.cors = g.cors, ()  # stock refuses what it cannot read without them
        given = arguments.build(_sent(wanted, user, body), raw=terms.raw)
        g.cors = cors
        plan = self._services.acceptor.plan(owner, wanted.name)
        if not terms.raw and not given.allowed(plan.immutable):
            raise ParametersNotAllowed
        below = plan.defaults if terms.raw else {**plan.defaults, **_of_the_path(plan.immutable)}
        transid = [g.transid, self._services.now_ms()]
        return self._services.acceptor.prepare_web(plan, owner, given.over(below), transid=transid)

    def _user(self) -> str | None:
        """Return the namespace of who asks, None for whoever has no valid key."""
        try:
            return self._authenticator.identify(request.environ.get("HTTP_AUTHORIZATION")).namespace
        except Unauthenticated:
            return None

    def _answered(self, outcome: Accepted | Ended, wanted: Target) -> Response:
        if isinstance(outcome, Accepted):
            reply = replies.error("Response not yet ready.", 202)
            reply.headers[replies.ID_HEADER] = outcome.activation_id
            return reply
        activation = outcome.activation
        answer = self._transcoded(outcome, wanted.extension)
        if isinstance(answer, Refusal):
            reply = replies.error(answer.text, answer.status)
        else:
            _check_acceptable(answer, wanted)
            reply = _response(answer)
        reply.headers[replies.ID_HEADER] = activation.activation_id
        return reply

    def _transcoded(self, outcome: Ended, extension: str) -> Answer | Refusal:
        activation = outcome.activation
        result = activation.result
        if outcome.large is not None:
            door, name, size_bytes = outcome.large
            if size_bytes > WEB_RESULT_BYTES:
                return answers.unfit(extension)
            with self._large:
                result = b"".join(self._services.door.pull(door, name, size_bytes))
                return answers.transcode(result, activation.status, extension)
        return answers.transcode(result, activation.status, extension)


def _of_the_path(immutable: frozenset[str]) -> dict[str, bytes]:
    """Return the parameters in the path of the API through which the request came, as JSON texts.

    Query and body go over them; what the action does not let anybody give stays as it is.
    """
    found: dict[str, str] = request.environ.get(PATH_PARAMETERS, {})
    return {name: orjson.dumps(value) for name, value in found.items() if name not in immutable | arguments.RESERVED}


def _sent(wanted: Target, user: str | None, body: bytes) -> WebRequest:
    return WebRequest(
        method=request.method,
        headers=headers.for_action(_NO_HEADERS),
        path="".join("/" + quote(one, safe=_PATH_SAFE) for one in wanted.rest),
        query=request.query_string,
        user=user,
        content_type=request.headers.get("Content-Type") or None,
        body=body,
    )


def _check_acceptable(answer: Answer, wanted: Target) -> None:
    offered = answer.content_type
    if offered is not None and not media.accepted(request.headers.get("Accept"), offered):
        g.cors = ()
        raise NotAcceptable(media.TEXT.name if wanted.extension == "text" else offered)


def _response(answer: Answer) -> Response:
    reply = _VerbatimResponse(answer.body, answer.status, headers=answer.headers, content_type=answer.content_type)
    return _bare(reply) if answer.content_type is None else reply


def _bare(reply: Response) -> Response:
    """Take off the content type that Flask gives every response."""
    del reply.headers["Content-Type"]
    return reply
