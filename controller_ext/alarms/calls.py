"""What alarms ask of the API. Blocking; callers use a thread."""

from __future__ import annotations

import base64
import http.client
import json
from typing import Any, Final
from urllib.parse import quote, urlsplit

from controller_ext.alarms.feed import Alarm

_CALL_S: Final = 35.0
"""A fire is answered when its rules' runs are accepted, which may take 25 s while no invoker is there."""
_PARTS: Final = ("namespace", "name")


class TriggerApi:
    """The API, asked with the key of an alarm.

    Args:
        url: `http[s]://HOST[:PORT]`.
    """

    def __init__(self, url: str) -> None:
        self._target = urlsplit(url)

    def fire(self, alarm: Alarm) -> int | None:
        """Fire an alarm's trigger; return the status of the answer, None if there was none."""
        return self._call("POST", alarm, _trigger(alarm), alarm["payload"])[0]

    def delete(self, alarm: Alarm, *, rules: bool) -> int | None:
        """Delete an alarm's trigger, and its rules if they are to go too; return the status as `fire` does.

        Without an answer, or with one from 500 on, it is to be called again: what is gone by then is no error.
        """
        linked: list[str] = []
        if rules:
            status, found = self._call("GET", alarm, _trigger(alarm))
            if status is None or status >= 500:
                return status
            linked = list(found.get("rules") or ()) if status == 200 else []
        status, _ = self._call("DELETE", alarm, _trigger(alarm))
        if status == 200:
            for rule in linked:
                namespace, _, name = rule.partition("/")
                self._call("DELETE", alarm, f"{quote(namespace, safe='')}/rules/{quote(name, safe='')}")
        return status

    def _call(self, method: str, alarm: Alarm, path: str, body: Any = None) -> tuple[int | None, Any]:
        """Return status and JSON of an answer; None: there was none."""
        kind = http.client.HTTPSConnection if self._target.scheme == "https" else http.client.HTTPConnection
        connection = kind(self._target.hostname or "", self._target.port, timeout=_CALL_S)
        key = base64.b64encode(alarm["apikey"].encode()).decode()
        headers = {"Authorization": f"Basic {key}", "Content-Type": "application/json"}
        try:
            sent = None if body is None else json.dumps(body).encode()
            connection.request(method, f"{self._target.path}/api/v1/namespaces/{path}", sent, headers)
            reply = connection.getresponse()
            text = reply.read()
        except (OSError, http.client.HTTPException):
            return None, None
        finally:
            connection.close()
        try:
            return reply.status, json.loads(text)
        except ValueError:
            return reply.status, None


def _trigger(alarm: Alarm) -> str:
    namespace, name = (quote(alarm[part], safe="") for part in _PARTS)
    return f"{namespace}/triggers/{name}"
