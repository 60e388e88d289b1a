"""The web action behind the feeds of alarms, as stock's feeds and tests call it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from werkzeug.test import TestResponse

from controller_ext.alarms.stored import all_alarms
from controller_ext.api.alarms import PATH
from invoker_ext.stores.subjects import GUEST_KEY, SYSTEM_KEY
from tests.support.api import Api

CRON = {"cron": "* * * * *"}
REFUSED = {"error": "Trigger authentication request failed."}
UNKNOWN = {"error": "could not find trigger /guest/t in the database"}


@pytest.fixture(autouse=True)
def _trigger(api: Api) -> None:
    for name, entity_type in (("t", "trigger"), ("a", "action")):
        body = {"namespace": "guest", "name": name, "entityType": entity_type, "updated": 1}
        api.entities.put(f"guest/{name}", body, None)


def ask(api: Api, method: str, **params: Any) -> TestResponse:
    """Ask as anybody: the key among the parameters counts."""
    given = {"authKey": GUEST_KEY, "triggerName": "/guest/t", **params}
    return api.call(method, PATH, {name: value for name, value in given.items() if value is not None}, auth=None)


def test_an_alarm_is_made_told_of_changed_and_deleted(api: Api):
    made = ask(api, "POST", **CRON, trigger_payload={"a": 1})
    assert (made.status_code, made.get_json()) == (200, {"status": "success"})
    told = ask(api, "GET").get_json()
    assert told["config"] == {"name": "t", "namespace": "guest", "payload": {"a": 1}, "cron": "* * * * *"}
    assert told["status"]["active"] is True
    assert ask(api, "PUT", cron="*/5 * * * *").get_json() == {"status": "success"}
    assert ask(api, "GET").get_json()["config"]["cron"] == "*/5 * * * *"
    assert ask(api, "DELETE").get_json() == {"status": "success"}
    assert all_alarms(api.entities) == []


def test_the_key_is_kept_with_the_alarm_and_never_told(api: Api):
    ask(api, "POST", **CRON)
    assert all_alarms(api.entities)[0].alarm["apikey"] == GUEST_KEY
    assert GUEST_KEY not in ask(api, "GET").get_data(as_text=True)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_parameters_may_come_in_the_query(api: Api, method: str):
    ask(api, "POST", **CRON)
    reply = api.client.open(PATH, method=method, query_string={"authKey": GUEST_KEY, "triggerName": "/_/t"})
    assert reply.status_code == 200
    assert method == "HEAD" or reply.get_json()["config"]["name"] == "t"
    assert len(all_alarms(api.entities)) == 1


def test_making_an_alarm_again_replaces_it(api: Api):
    ask(api, "POST", **CRON)
    assert ask(api, "POST", isInterval=True, minutes=5).status_code == 200
    (one,) = all_alarms(api.entities)
    assert "cron" not in one.alarm


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_an_alarm_that_is_not_there_is_not_found(api: Api, method: str):
    reply = ask(api, method, **CRON)
    assert (reply.status_code, reply.get_json()) == (404, UNKNOWN)


@pytest.mark.parametrize("method", ["POST", "GET", "PUT", "DELETE"])
@pytest.mark.parametrize(
    ("params", "status", "answer"),
    [
        ({"authKey": None}, 400, {"error": "no authKey parameter was provided"}),
        ({"triggerName": None}, 400, {"error": "no trigger name parameter was provided"}),
        ({"authKey": "DoesNotWork"}, 401, REFUSED),
        ({"authKey": GUEST_KEY[:-1] + "x"}, 401, REFUSED),
        ({"authKey": SYSTEM_KEY}, 403, REFUSED),
        ({"triggerName": "/other/t"}, 403, REFUSED),
        ({"triggerName": "/guest/p/t"}, 400, {"error": "the trigger name must be /NAMESPACE/NAME"}),
        ({"triggerName": "t*"}, 400, {"error": "The name of the entity contains illegal characters."}),
    ],
)
def test_who_may_not_fire_the_trigger_is_refused(
    api: Api, method: str, params: dict[str, Any], status: int, answer: dict[str, Any]
):
    reply = ask(api, method, **{**CRON, **params})
    assert (reply.status_code, reply.get_json()) == (status, answer)
    assert all_alarms(api.entities) == []


@pytest.mark.parametrize(("name", "status"), [("missing", 404), ("a", 409)])
def test_what_is_no_trigger_gets_no_alarm(api: Api, name: str, status: int):
    reply = ask(api, "POST", **CRON, triggerName=f"/guest/{name}")
    assert (reply.status_code, reply.get_json()) == (status, REFUSED)


def test_the_alarm_of_a_trigger_that_is_gone_can_be_deleted(api: Api):
    ask(api, "POST", **CRON)
    trigger = api.entities.get("guest/t")
    assert trigger is not None
    api.entities.delete(trigger.id, trigger.revision)
    assert ask(api, "GET").get_json() == REFUSED
    assert ask(api, "DELETE").status_code == 200


def test_what_is_wrong_with_an_alarm_is_said_before_who_asks(api: Api):
    reply = ask(api, "POST", authKey="DoesNotWork", cron="***")
    assert (reply.status_code, reply.get_json()) == (400, {"error": "cron pattern '***' is not valid"})


def test_no_path_of_the_api_leads_to_an_alarm(api: Api):
    ask(api, "POST", **CRON)
    (one,) = all_alarms(api.entities)
    namespace, _, rest = one.id.partition("/")
    for collection in ("actions", "triggers", "packages"):
        assert api.call("GET", f"/api/v1/namespaces/{namespace}/{collection}/{rest}").status_code in (400, 404)
        assert GUEST_KEY not in api.call("GET", f"/api/v1/namespaces/whisk.system/{collection}").get_data(as_text=True)


def test_a_body_that_is_no_object_is_refused(api: Api):
    assert api.call("POST", PATH, b"[]").status_code == 400


@pytest.mark.parametrize("member", ["trigger_payload", "strict"])
def test_an_alarm_that_could_not_be_read_again_is_not_stored(api: Api, member: str):
    raw = json.dumps({"authKey": GUEST_KEY, "triggerName": "t", **CRON})[:-1]
    for levels in (600, *range(900, 1000, 4)):
        deep = f'{raw}, "{member}": {{"a": {"[" * levels}{"]" * levels}}}}}'.encode()
        assert api.call("POST", PATH, deep, auth=None).status_code == 400
    assert all_alarms(api.entities) == []
