"""The Flask application of a worker."""

from __future__ import annotations

from typing import Final

from flask import Flask, Response, g, request
from flask.sessions import SecureCookieSession, SessionInterface

from controller_ext.api import (
    actions,
    activations,
    alarms,
    apimgmt,
    bodies,
    docs,
    errors,
    info,
    invocations,
    namespaces,
    packages,
    replies,
    rules,
    triggers,
    web,
)
from controller_ext.api.auth import Authenticator
from controller_ext.api.context import transaction_id
from controller_ext.api.errors import NoRoute, NotAcceptable, NotServedHere
from controller_ext.api.gateway import Gateway
from controller_ext.api.info import API, OPEN
from controller_ext.api.packaged import PackagedNames
from controller_ext.api.services import Services
from controller_ext.gateway.apis import Tables
from controller_ext.webactions import media

_ALL: Final = "*/*"
_BODY_SLACK_BYTES: Final = 16 << 20


class _NoSessions(SessionInterface):
    """There are no cookies here; Flask would look for one on every request."""

    def open_session(self, app: Flask, request: object) -> SecureCookieSession:
        return SecureCookieSession()

    def save_session(self, app: Flask, session: object, response: Response) -> None:
        """Nothing to keep."""


def create_app(services: Services) -> Flask:
    """Return the application.

    Args:
        services: Opened in this process, after the fork.
    """
    app = Flask("dataflower", static_folder=None)
    app.session_interface = _NoSessions()
    limits = services.settings.limits
    app.config["MAX_CONTENT_LENGTH"] = max(limits.workflow_bytes, limits.exec_bytes) + _BODY_SLACK_BYTES
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    # Stock redirects nothing: a path is served as it stands, or not at all.
    app.url_map.redirect_defaults = False
    app.url_map.merge_slashes = False
    app.url_map.converters["rest"] = web.RestConverter
    authenticator = Authenticator(services.catalog.store)
    _register(app, services, authenticator)
    _frame(app, authenticator)
    errors.install(app)
    named = PackagedNames(app.wsgi_app)
    app.wsgi_app = Gateway(named, Tables(services.catalog.store))  # type: ignore[method-assign]
    return app


def _register(app: Flask, services: Services, authenticator: Authenticator) -> None:
    under = f"{API}/namespaces"
    app.register_blueprint(info.make(services))
    app.register_blueprint(docs.make(services), url_prefix=API)
    app.register_blueprint(namespaces.make(services), url_prefix=under)
    app.register_blueprint(actions.make(services), url_prefix=f"{under}/<namespace>/actions")
    app.register_blueprint(invocations.make(services), url_prefix=f"{under}/<namespace>/actions")
    app.register_blueprint(packages.make(services), url_prefix=f"{under}/<namespace>/packages")
    app.register_blueprint(triggers.make(services), url_prefix=f"{under}/<namespace>/triggers")
    app.register_blueprint(rules.make(services), url_prefix=f"{under}/<namespace>/rules")
    app.register_blueprint(apimgmt.make(services), url_prefix=apimgmt.PREFIX)
    app.register_blueprint(alarms.make(services, authenticator))
    app.register_blueprint(activations.make(services), url_prefix=f"{under}/<namespace>/activations")
    app.register_blueprint(web.make(services, authenticator))


def _frame(app: Flask, authenticator: Authenticator) -> None:
    """Put around every request what all of them have: transaction id, caller, CORS headers."""

    @app.before_request
    def _begin() -> Response | None:
        environ = request.environ
        g.transid = transaction_id(environ.get("HTTP_X_REQUEST_ID"))
        path = request.path
        in_api = path.startswith(API) and path[len(API) : len(API) + 1] in ("", "/")
        g.in_api = in_api
        of_action = path.startswith(web.PREFIX) and not path.startswith(f"{apimgmt.PREFIX}/")
        g.web = web.target_of(environ) if of_action else None
        g.cors = replies.CORS if in_api else replies.OPERATOR_CORS
        if g.web is not None:
            g.cors = ()
            return None
        if request.method == "OPTIONS":
            return replies.text("OK")
        if in_api and path not in OPEN:
            g.user = authenticator.identify(environ.get("HTTP_AUTHORIZATION"))
        if request.method == "HEAD":
            raise NoRoute if in_api else NotServedHere
        return None

    @app.after_request
    def _end(response: Response) -> Response:
        if g.web is None and not _acceptable(response):
            response.close()
            response = errors.answer(NotAcceptable(replies.JSON_TYPE))
        if response.status_code >= 400 and response.status_code != 408:  # what stalled is not waited for again
            bodies.discard(request)
        response.headers.extend((("X-Request-ID", g.transid), *g.cors))
        return response


def _acceptable(response: Response) -> bool:
    """Return whether the client takes what it gets; stock asks when all is done, and about JSON that is no error."""
    wanted = request.environ.get("HTTP_ACCEPT", _ALL)
    if wanted == _ALL or response.status_code not in (200, 202) or response.mimetype != replies.JSON_TYPE:
        return True
    return media.accepted(wanted, replies.JSON_TYPE)
