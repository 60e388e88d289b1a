"""What the feeds of `/whisk.system/alarms` ask for: stock's web action `alarmsWeb/alarmWebAction`, served by the API.

The method says what is to be done with the alarm of a trigger: POST makes it, GET tells of it, PUT changes it, DELETE
deletes it. Parameters come in the body or the query, the key of the trigger's owner among them.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, Final

from flask import Blueprint, Response, request

from action_runtime.wire.errors import Blame, DataflowError
from controller_ext import json_text
from controller_ext.alarms import feed
from controller_ext.alarms.machine import Stored
from controller_ext.alarms.stored import alarm_id, document, stored
from controller_ext.api import bodies, replies
from controller_ext.api.auth import Authenticator
from controller_ext.api.errors import Unauthenticated, status_and_text
from controller_ext.api.services import Services
from controller_ext.entities import triggers
from controller_ext.entities.catalog import ACTIVATE
from controller_ext.entities.errors import Forbidden, NotFound, Refused, Rejected, WrongCollection
from controller_ext.entities.names import Name, check_entity, check_namespace
from invoker_ext.contract.naming import HERE

PATH: Final = "/api/v1/web/whisk.system/alarmsWeb/alarmWebAction.http"
_METHODS: Final = ("POST", "GET", "PUT", "DELETE")
_DONE: Final = {"status": "success"}


class TriggerRefused(DataflowError):
    """The key of an alarm may not fire its trigger, or there is none.

    Args:
        why: What the API would have answered to the key.
    """

    code = "trigger-refused"
    blame = Blame.CALLER

    def __init__(self, why: DataflowError) -> None:
        super().__init__("Trigger authentication request failed.")
        self.why = why


def make(services: Services, authenticator: Authenticator) -> Blueprint:
    """Return the route."""
    blueprint = Blueprint("alarms", __name__)
    blueprint.add_url_rule(PATH, "alarm", _Alarms(services, authenticator).serve, methods=_METHODS)
    return blueprint


class _Alarms:
    def __init__(self, services: Services, authenticator: Authenticator) -> None:
        self._services = services
        self._store = services.catalog.store
        self._authenticator = authenticator

    def serve(self) -> Response:
        """Do what is asked; refusals have the form of a web action's, which the feed hands on."""
        try:
            return replies.json_object(self._serve(self._parameters(), self._services.now_ms()))
        except TriggerRefused as error:
            return replies.json_object({"error": str(error)}, status_and_text(error.why)[0])
        except Refused as error:
            status, text = status_and_text(error)
            return replies.json_object({"error": text}, status)

    def _parameters(self) -> dict[str, Any]:
        allowed_bytes = self._services.settings.limits.request_bytes
        bodies.check_announced(allowed_bytes)
        raw = bodies.read(allowed_bytes)
        return {**request.args.to_dict(), **(json_text.parse_object(raw) if raw else {})}

    def _serve(self, params: dict[str, Any], now_ms: int) -> Mapping[str, Any]:
        method = request.method
        key, name = params.get("authKey"), params.get("triggerName")
        if not isinstance(key, str) or not key:
            raise Rejected("no authKey parameter was provided")
        if not isinstance(name, str) or not name:
            raise Rejected("no trigger name parameter was provided")
        if method == "POST":
            made = feed.create(params, now_ms)  # what is wrong with it is said first, as stock does
            trigger = self._trigger(key, name)
            self._put(trigger, {"apikey": key, "name": trigger.name, "namespace": trigger.namespace, **made}, now_ms)
            return _DONE
        trigger = self._trigger(key, name, must_exist=method != "DELETE")
        old = self._alarm(trigger)
        if method == "PUT":
            changed = {**feed.update(params, old.alarm, now_ms), "apikey": key}
            self._store.put(old.id, document(old.id, changed, now_ms), old.revision)
        elif method == "DELETE":
            self._store.delete(old.id, old.revision)
        else:  # GET, and HEAD with it
            return feed.shown(old.alarm)
        return _DONE

    def _trigger(self, key: str, text: str, *, must_exist: bool = True) -> Name:
        """Return the name of a trigger that a key may fire.

        Raises:
            Rejected: It is no name.
            TriggerRefused: It is no key, that of another namespace, or there is no such trigger.
        """
        segments = text.removeprefix("/").split("/") if text.startswith("/") else [HERE, text]
        if len(segments) != 2:
            raise Rejected("the trigger name must be /NAMESPACE/NAME")
        try:
            user = self._authenticator.identify("Basic " + base64.b64encode(key.encode()).decode())
            name = Name(check_namespace(segments[0], user.namespace), None, check_entity(segments[1]))
            if name.namespace != user.namespace or ACTIVATE not in user.rights:
                raise Forbidden([str(name)])
            if must_exist:
                self._services.catalog.typed(str(name), triggers.TYPE)
        except (Unauthenticated, Forbidden, NotFound, WrongCollection) as error:
            raise TriggerRefused(error) from error
        return name

    def _alarm(self, trigger: Name) -> Stored:
        found = self._store.get(alarm_id(trigger))
        if found is None:
            raise NotFound(f"could not find trigger /{trigger} in the database")
        return stored(found)

    def _put(self, trigger: Name, alarm: feed.Alarm, now_ms: int) -> None:
        """Store an alarm in place of one that the trigger may have already."""
        doc_id = alarm_id(trigger)
        old = self._store.get(doc_id)
        self._store.put(doc_id, document(doc_id, alarm, now_ms), None if old is None else old.revision)
