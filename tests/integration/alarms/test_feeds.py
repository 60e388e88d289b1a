"""The feeds of alarms on a real server, asked as `wsk` asks them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from controller_ext.alarms.stored import all_alarms
from invoker_ext.stores.sqlite import SqliteEntities
from invoker_ext.stores.subjects import GUEST_KEY
from tests.support.deploying import Deployer
from tests.support.server import Server, serving
from tests.support.waiting import wait_until

FEEDS = "/whisk.system/alarms"
EVERY_SECOND = "* * * * * *"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving("--workers", "2") as server:
        yield server


@pytest.fixture
def wsk(server: Server) -> Iterator[Wsk]:
    client = server.client()
    yield Wsk(client)
    client.close()


class Wsk:
    """The requests of `wsk trigger … --feed`."""

    def __init__(self, client: Deployer) -> None:
        self.client = client

    def ask(self, feed: str, event: str, trigger: str, **params: Any) -> tuple[int, Any]:
        """Invoke a feed; return the status and the action's result."""
        _, namespace, path = (feed if feed.startswith("/") else f"/_/{feed}").split("/", 2)
        given = {**params, "lifecycleEvent": event, "triggerName": f"/_/{trigger}", "authKey": GUEST_KEY}
        reply = self.client.call("POST", f"../{namespace}/actions/{path}?blocking=true&result=false", json=given)
        return reply.status_code, reply.json()["response"]["result"]

    def create(self, trigger: str, feed: str, **params: Any) -> tuple[int, Any]:
        """Create a trigger and ask its feed for an alarm; if that fails the trigger is deleted again."""
        body = {"name": trigger, "annotations": [{"key": "feed", "value": feed}]}
        self.client.call("PUT", f"triggers/{trigger}?overwrite=false", json=body).raise_for_status()
        answer = self.ask(feed, "CREATE", trigger, **params)
        if answer[0] != 200:
            self.delete(trigger, feed)
        return answer

    def delete(self, trigger: str, feed: str) -> None:
        self.ask(feed, "DELETE", trigger)
        self.client.call("DELETE", f"triggers/{trigger}").raise_for_status()

    def rule(self, name: str, trigger: str, action: str) -> None:
        body = {"trigger": f"/_/{trigger}", "action": f"/_/{action}"}
        self.client.call("PUT", f"rules/{name}?overwrite=true", json=body).raise_for_status()

    def runs(self, action: str, since_ms: int = 0) -> list[dict[str, Any]]:
        reply = self.client.call("GET", f"activations?name={action}&limit=200&docs=true&since={since_ms}")
        found: list[dict[str, Any]] = reply.json()
        return found

    def exists(self, path: str) -> bool:
        return self.client.call("GET", path).status_code == 200


@pytest.mark.timeout(90)
def test_a_trigger_runs_its_rules_action_by_the_clock_until_it_is_deleted(wsk: Wsk, server: Server):
    wsk.client.action("tick", "def main(args): return {'n': args.get('n')}")
    assert wsk.create("t", f"{FEEDS}/alarm", cron=EVERY_SECOND, trigger_payload={"n": 7}) == (
        200,
        {"status": "success"},
    )
    wsk.rule("r", "t", "tick")
    wait_until(lambda: len(wsk.runs("tick")) >= 2, within_s=20)
    assert wsk.runs("tick")[0]["response"]["result"] == {"n": 7}
    assert wsk.runs("t"), "the trigger has records, as after any fire"

    server.stop()
    server.start()
    again = Wsk(server.client())
    restarted_ms = int(time.time() * 1000)
    wait_until(lambda: again.runs("tick", restarted_ms), within_s=20)

    again.delete("t", f"{FEEDS}/alarm")
    again.client.action("tock", "def main(args): return {}")
    deleted_ms = int(time.time() * 1000)
    again.create("later", f"{FEEDS}/once", date=deleted_ms + 3_500)
    again.rule("r2", "later", "tock")
    wait_until(lambda: again.runs("tock"), within_s=20)
    assert len(again.runs("tick", deleted_ms)) <= 1, "one may have been under way"
    again.delete("later", f"{FEEDS}/once")
    again.client.close()


def test_an_alarm_may_take_trigger_and_rules_along(wsk: Wsk):
    wsk.client.action("last", "def main(args): return {}")
    wsk.create("gone", f"{FEEDS}/once", date=int(time.time() * 1000) + 2_500, deleteAfterFire="rules")
    wsk.rule("gone-rule", "gone", "last")
    wait_until(lambda: not wsk.exists("triggers/gone") and not wsk.exists("rules/gone-rule"), within_s=20)
    wait_until(lambda: len(wsk.runs("last")) == 1, within_s=20)


def test_all_events_of_a_feed_are_answered_as_by_stock(wsk: Wsk):
    feed = f"{FEEDS}/interval"
    assert wsk.create("t1", feed, minutes=1) == (200, {"status": "success"})
    status, told = wsk.ask(feed, "READ", "t1")
    assert (status, told["config"]["minutes"], told["config"]["payload"]) == (200, 1, {"payload": ""})
    assert (told["config"]["namespace"], told["status"]["active"]) == ("guest", True)
    assert wsk.ask(feed, "UPDATE", "t1", minutes=3) == (200, {"status": "success"})
    assert wsk.ask(feed, "READ", "t1")[1]["config"]["minutes"] == 3
    assert wsk.ask(feed, "DELETE", "t1") == (200, {"status": "success"})
    gone = {"error": {"error": "could not find trigger /guest/t1 in the database"}}
    assert wsk.ask(feed, "DELETE", "t1") == (502, gone)
    assert wsk.ask(feed, "PAUSE", "t1") == (502, {"error": "unsupported lifecycleEvent"})


@pytest.mark.parametrize(
    ("feed", "text"),
    [
        ("alarm", "alarms trigger feed is missing the cron parameter"),
        ("once", "alarms once trigger feed is missing the date parameter"),
        ("interval", "interval trigger feed is missing the minutes parameter"),
    ],
)
def test_a_feed_of_a_binding_says_what_is_wrong_and_leaves_nothing(wsk: Wsk, feed: str, text: str):
    body = {"binding": {"namespace": "whisk.system", "name": "alarms"}}
    wsk.client.call("PUT", "packages/bound?overwrite=true", json=body).raise_for_status()
    assert wsk.create("t2", f"bound/{feed}") == (502, {"error": {"error": text}})
    assert not wsk.exists("triggers/t2")


def test_an_alarm_of_no_trigger_is_refused(wsk: Wsk):
    answer = {"error": {"error": "Trigger authentication request failed."}}
    assert wsk.ask(f"{FEEDS}/alarm", "CREATE", "missing", cron=EVERY_SECOND) == (502, answer)


def test_an_alarm_whose_trigger_is_gone_ends_and_says_so_once_it_is_back(wsk: Wsk, server: Server):
    feed = f"{FEEDS}/alarm"
    wsk.create("t3", feed, cron=EVERY_SECOND)
    wsk.client.call("DELETE", "triggers/t3").raise_for_status()
    store = SqliteEntities(server.data / "entities.db")
    wait_until(lambda: not any(one.alarm["status"]["active"] for one in all_alarms(store)), within_s=20)
    store.close()
    wsk.client.call("PUT", "triggers/t3", json={"name": "t3"}).raise_for_status()
    reason = wsk.ask(feed, "READ", "t3")[1]["status"]["reason"]
    assert (reason["kind"], reason["statusCode"]) == ("AUTO", 404)
    wsk.delete("t3", feed)


def test_no_log_names_a_key(server: Server):
    secret = GUEST_KEY.partition(":")[2]
    assert [log.name for log in (server.data / "log").iterdir() if secret in log.read_text()] == []
