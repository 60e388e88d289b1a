from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from controller_ext.entities.errors import KindForbidden, Refused
from controller_ext.entities.limits import SystemLimits
from controller_ext.entities.names import Name
from controller_ext.runs.accept import BROKER_INLINE_BYTES
from controller_ext.runs.ports import (
    Accepted,
    BalancerUnavailable,
    Ended,
    Gap,
    MessageTooLarge,
    NoInvoker,
    OnlyStock,
    Prepared,
    Throttled,
)
from invoker_ext.contract.graph import Graph, GraphKind
from invoker_ext.contract.messages import ActivationMessage
from invoker_ext.contract.records import Activation
from tests.support.api import SYSTEM, Api, make_api

ID = "X-Openwhisk-Activation-Id"
WORKFLOW = "dataflow: 1\nsteps:\n  one:\n    action: a\n    inputs: {x: $run.x}\nresult: one\n"


def ended(message: ActivationMessage, status: int = 0, result: bytes | None = b'{"n":1}') -> Ended:
    return Ended(
        Activation(
            activation_id=message.activation_id,
            namespace="guest",
            name="a",
            subject="guest",
            version="0.0.1",
            start_ms=1,
            end_ms=2,
            duration_ms=1,
            status=status,
            result=result,
            annotations=(),
            logs=("TIME stdout: x",),
        )
    )


@pytest.fixture
def answered(api: Api) -> Api:
    """Action `a`, whose invocations end with `{"n":1}`."""
    api.action("a")
    api.balancer.respond = ended
    return api


@pytest.fixture
def on_kafka(tmp_path: Path) -> Iterator[Api]:
    """The same in a deployment, where runs are accepted and go on."""
    api = make_api(tmp_path, broker=True)
    api.action("a")
    api.balancer.respond = lambda message: Accepted(message.activation_id)
    yield api
    api.close()


def sent(api: Api) -> ActivationMessage:
    return api.balancer.messages[-1]


def error_of(reply) -> tuple[int, str]:
    return reply.status_code, reply.get_json()["error"]


class TestAnswers:
    @pytest.mark.parametrize(("status", "code"), [(0, 200), (1, 502), (2, 502), (3, 500)])
    def test_the_record_decides_the_status(self, answered: Api, status: int, code: int):
        answered.balancer.respond = lambda message: ended(message, status, b'{"error":"x"}')
        reply = answered.call("POST", "actions/a?blocking=true", {})
        assert reply.status_code == code
        assert reply.headers[ID] == reply.get_json()["activationId"] == sent(answered).activation_id
        assert reply.get_json()["response"]["result"] == {"error": "x"}
        assert "code" not in reply.get_json()
        short = answered.call("POST", "actions/a?blocking=true&result=true", {})
        assert (short.status_code, short.data) == (code, b'{"error":"x"}')

    def test_the_record_of_a_plain_action_shows_no_logs(self, answered: Api):
        assert answered.call("POST", "actions/a?blocking=true", {}).get_json()["logs"] == []

    def test_the_record_of_a_sequence_shows_its_logs(self, answered: Api):
        answered.put("actions/s", {"exec": {"kind": "sequence", "components": ["/_/a"]}})
        assert answered.call("POST", "actions/s?blocking=true", {}).get_json()["logs"] == ["TIME stdout: x"]

    @pytest.mark.parametrize("query", ["blocking=true", "blocking=true&result=true"])
    def test_an_array_comes_bare(self, answered: Api, query: str):
        answered.balancer.respond = lambda message: ended(message, result=b"[1, 2]")
        assert answered.call("POST", f"actions/a?{query}", {}).data == b"[1, 2]"

    def test_no_result_is_an_empty_object(self, answered: Api):
        answered.balancer.respond = lambda message: ended(message, result=None)
        assert answered.call("POST", "actions/a?blocking=true&result=true", {}).data == b"{}"

    def test_a_result_is_passed_on_as_it_is(self, answered: Api):
        raw = b'{"a" : 1.50, "a":2}'
        answered.balancer.respond = lambda message: ended(message, result=raw)
        assert answered.call("POST", "actions/a?blocking=true&result=true", {}).data == raw
        assert raw in answered.call("POST", "actions/a?blocking=true", {}).data

    @pytest.mark.parametrize("query", ["", "?result=true", "?blocking=false&timeout=5"])
    def test_a_non_blocking_invocation_is_accepted(self, api: Api, query: str):
        api.action("a")
        reply = api.call("POST", f"actions/a{query}", {})
        assert reply.status_code == 202
        assert reply.get_json() == {"activationId": reply.headers[ID]}
        assert not sent(api).blocking

    def test_what_outlasts_the_wait_is_accepted(self, api: Api):
        api.action("slow", "import time\ndef main(a):\n  time.sleep(1)\n  return a\n")
        reply = api.call("POST", "actions/slow?blocking=true&timeout=50", {})
        assert reply.status_code == 202
        assert sent(api).blocking

    @pytest.mark.parametrize("query", ["", "&result=true"])
    @pytest.mark.parametrize("body", [b'{"x":"' + b"y" * 300_000 + b'"}', b"[" + b"1," * 100_000 + b"1]"])
    def test_a_large_result_is_streamed_with_its_length(self, answered: Api, query: str, body: bytes):
        answered.balancer.large["r"] = body

        def respond(message: ActivationMessage) -> Ended:
            return replace(ended(message, result=None), large=("door", "r", len(body)))

        answered.balancer.respond = respond
        reply = answered.call("POST", f"actions/a?blocking=true{query}", {})
        assert reply.status_code == 200
        assert int(reply.headers["Content-Length"]) == len(reply.data)
        document = json.loads(reply.data)
        if query or body[:1] == b"[":
            assert reply.data == body
        else:
            assert document["response"]["result"] == json.loads(body)
            assert document["activationId"] == sent(answered).activation_id


class TestMessages:
    def test_arguments_are_package_then_binding_then_action_then_payload(self, answered: Api):
        answered.put("packages/p", {"parameters": [{"key": k, "value": "package"} for k in "abcd"]})
        binding = {"namespace": "_", "name": "p"}
        answered.put("packages/b", {"binding": binding, "parameters": [{"key": k, "value": "binding"} for k in "bcd"]})
        answered.action("p/x", parameters=[{"key": k, "value": "action"} for k in "cd"])
        answered.call("POST", "actions/b/x", {"d": "payload", "e": None})
        message = sent(answered)
        assert json.loads(message.content or b"") == {
            "a": "package",
            "b": "binding",
            "c": "action",
            "d": "payload",
            "e": None,
        }
        assert (message.action, message.binding) == ("guest/p/x", "guest/b")

    def test_a_payload_with_nothing_to_merge_is_passed_on_as_it_is(self, answered: Api):
        raw = b'{ "a" : 1.50 , "a" : 2 }'
        answered.call("POST", "actions/a", raw)
        assert sent(answered).content == raw

    @pytest.mark.parametrize("raw", [None, b"{}"])
    def test_no_payload_is_an_empty_object(self, answered: Api, raw: bytes | None):
        answered.call("POST", "actions/a", raw)
        assert sent(answered).content == b"{}"

    def test_the_message_names_the_revision_the_caller_and_the_transaction(self, answered: Api):
        answered.call("POST", "actions/a", {}, X_Request_ID="mine")
        message = sent(answered)
        document = answered.entities.get("guest/a")
        assert document is not None
        assert (message.revision, message.version) == (document.revision, "0.0.1")
        assert message.user.namespace == "guest"
        assert message.transid[0] == "mine"
        assert ActivationMessage.decode(message.encode()) == message
        assert answered.balancer.memory_mb == [256]

    def test_init_parameters_and_ciphers_are_named(self, answered: Api):
        parameters = [{"key": "i", "value": 1, "init": True}, {"key": "s", "value": "x", "encryption": "aes-256"}]
        answered.action("a", parameters=parameters)
        answered.call("POST", "actions/a", {})
        assert sent(answered).init_args == ("i",)
        assert sent(answered).locked_args == {"s": "aes-256"}

    def test_a_sequence_gets_the_payload_alone_and_a_graph(self, answered: Api):
        answered.put("packages/p", {"parameters": [{"key": "x", "value": 1}]})
        answered.put("actions/p/s", {"exec": {"kind": "sequence", "components": ["/_/a"]}})
        answered.call("POST", "actions/p/s", {"y": 2})
        message = sent(answered)
        assert json.loads(message.content or b"") == {"y": 2}
        graph = answered.entities.graph(message.graph or "")
        assert graph is not None
        assert Graph.from_json(graph).kind is GraphKind.SEQUENCE

    def test_a_workflow_follows_the_newest_version_of_its_actions(self, answered: Api):
        answered.put("actions/w", {"exec": {"kind": "dataflow:1", "code": WORKFLOW}})
        answered.call("POST", "actions/w", {"x": 1})
        first = sent(answered)
        answered.call("POST", "actions/w", {"x": 1})
        assert sent(answered).graph == first.graph
        answered.action("unrelated")
        answered.call("POST", "actions/w", {"x": 1})
        assert sent(answered).graph == first.graph
        answered.action("a", limits={"memory": 512})
        answered.call("POST", "actions/w", {"x": 1})
        assert sent(answered).graph != first.graph
        assert answered.balancer.memory_mb[-1] == 512

    def test_a_message_names_its_graph_and_does_not_carry_it(self, answered: Api):
        code = WORKFLOW.replace("one", "remarkable")
        answered.put("actions/w", {"exec": {"kind": "dataflow:1", "code": code}})
        answered.call("POST", "actions/w", {"x": 1})
        message = sent(answered)
        assert f'"graph":"{message.graph}"'.encode() in message.encode()
        assert b"remarkable" not in message.encode()
        graph = answered.entities.graph(message.graph or "")
        assert graph is not None
        assert graph["steps"][0]["name"] == "remarkable"

    def test_a_workflow_whose_action_is_gone_tells_so(self, answered: Api):
        answered.put("actions/w", {"exec": {"kind": "dataflow:1", "code": WORKFLOW}})
        answered.call("DELETE", "actions/a")
        status, error = error_of(answered.call("POST", "actions/w", {}))
        assert status == 400
        assert "steps.one.action" in error
        answered.action("a")
        assert answered.call("POST", "actions/w?blocking=true", {}).status_code == 200

    def test_a_sequence_whose_component_is_gone_runs_into_that(self, answered: Api):
        answered.put("actions/s", {"exec": {"kind": "sequence", "components": ["/_/a"]}})
        answered.call("DELETE", "actions/a")
        assert answered.call("POST", "actions/s?blocking=true", {}).status_code == 200
        graph = answered.entities.graph(sent(answered).graph or "")
        assert graph is not None
        assert graph["steps"][0]["call"]["fault"] == "Sequence component does not exist."

    def test_the_graph_of_a_sequence_has_the_limits_of_the_sequence_and_of_those_inside(self, answered: Api):
        inner = {"kind": "sequence", "components": ["/_/a"]}
        answered.put("actions/inner", {"exec": inner, "limits": {"logs": 5}})
        outer = {"kind": "sequence", "components": ["/_/inner"]}
        answered.put("actions/outer", {"exec": outer, "limits": {"timeout": 1000}})
        answered.call("POST", "actions/outer", {})
        document = answered.entities.graph(sent(answered).graph or "")
        assert document is not None
        assert document["limits"][:2] == [1000, 10]
        assert document["steps"][0]["call"]["graph"]["limits"][:2] == [60_000, 5]

    def test_a_sequence_may_run_by_control_flow(self, answered: Api):
        answered.put("actions/s2", {"exec": {"kind": "sequence", "components": ["/_/a"]}})
        exec_ = {"kind": "sequence", "components": ["/_/a", "/_/s2"]}
        body = {"exec": exec_, "annotations": [{"key": "dataflow", "value": False}], "limits": {"timeout": 1000}}
        answered.put("actions/s", body)
        assert answered.call("POST", "actions/s", {"x": 1}).status_code == 202
        (sequence,) = answered.control_flow.sequences
        assert sequence.limits == {"timeout": 1000, "logs": 10}
        assert sequence.components == ("guest/a", "guest/s2")
        assert sequence.message.content == b'{"x": 1}'
        assert answered.balancer.messages == []

    def test_a_sequence_that_no_invoker_takes_goes_by_control_flow_until_one_does(self, answered: Api):
        answered.put("actions/s", {"exec": {"kind": "sequence", "components": ["/_/a"]}})
        answered.balancer.refuse = OnlyStock("only stock")
        assert answered.call("POST", "actions/s", {"x": 1}).status_code == 202
        (sequence,) = answered.control_flow.sequences
        assert (sequence.components, sequence.message.content) == (("guest/a",), b'{"x": 1}')
        answered.balancer.refuse = None
        answered.call("POST", "actions/s", {"x": 1})
        assert len(answered.control_flow.sequences) == 1
        assert sent(answered).graph is not None

    def test_a_component_of_control_flow_merges_its_own_parameters(self, answered: Api):
        answered.action("a", parameters=[{"key": "p", "value": 1}], limits={"timeout": 2000})
        answered.put("actions/s", {"exec": {"kind": "sequence", "components": ["/_/a"]}})
        answered.call("POST", "actions/s", {})
        prepare = answered.services.acceptor.component
        parent = sent(answered)
        prepared = prepare("guest/a", b'{"q":2}', parent, stepwise=True)
        assert isinstance(prepared, Prepared)
        assert json.loads(prepared.message.content or b"") == {"p": 1, "q": 2}
        assert prepared.message.cause == parent.activation_id
        assert prepared.message.transid[2] == parent.transid
        assert prepared.needs.timeout_s == 2.0
        array = prepare("guest/a", b"[1]", parent, stepwise=True)
        assert isinstance(array, Prepared)
        assert array.message.content == b"[1]"
        inner = prepare("guest/s", b"{}", parent, stepwise=True)
        assert isinstance(inner, Prepared)
        assert inner.composed is not None
        assert prepare("guest/nosuch", b"{}", parent, stepwise=True) is Gap.ABSENT

    def test_a_sequence_by_control_flow_is_refused_once_a_package_in_it_is_private(self, answered: Api):
        package = "/api/v1/namespaces/whisk.system/packages/p"
        answered.call("PUT", package, {"publish": True}, auth=SYSTEM)
        action = {"exec": {"kind": "python:3", "code": ""}}
        answered.call("PUT", "/api/v1/namespaces/whisk.system/actions/p/a", action, auth=SYSTEM)
        body = {"exec": {"kind": "sequence", "components": ["/whisk.system/p/a"]}}
        answered.put("actions/s", {**body, "annotations": [{"key": "dataflow", "value": False}]})
        assert answered.call("POST", "actions/s", {}).status_code == 202
        parent = answered.control_flow.sequences[0].message
        prepare = answered.control_flow.prepare
        assert isinstance(prepare("whisk.system/p/a", b"{}", parent, stepwise=True), Prepared)

        answered.call("PUT", f"{package}?overwrite=true", {"publish": False}, auth=SYSTEM)

        assert prepare("whisk.system/p/a", b"{}", parent, stepwise=True) is Gap.OUT_OF_REACH
        status, error = error_of(answered.call("POST", "actions/s", {}))
        assert (status, "'whisk.system/p/a'" in error) == (403, True)
        answered.call("PUT", f"{package}?overwrite=true", {"publish": True}, auth=SYSTEM)
        assert answered.call("POST", "actions/s", {}).status_code == 202

    def test_a_sequence_by_control_flow_is_refused_once_the_provider_of_a_binding_in_it_is_private(self, answered: Api):
        package = "/api/v1/namespaces/whisk.system/packages/p"
        answered.call("PUT", package, {"publish": True}, auth=SYSTEM)
        action = {"exec": {"kind": "python:3", "code": ""}}
        answered.call("PUT", "/api/v1/namespaces/whisk.system/actions/p/a", action, auth=SYSTEM)
        answered.put("packages/b", {"binding": {"namespace": "whisk.system", "name": "p"}})
        body = {"exec": {"kind": "sequence", "components": ["/_/b/a"]}}
        answered.put("actions/s", {**body, "annotations": [{"key": "dataflow", "value": False}]})
        assert answered.call("POST", "actions/s", {}).status_code == 202

        answered.call("PUT", f"{package}?overwrite=true", {"publish": False}, auth=SYSTEM)

        assert answered.call("POST", "actions/s", {}).status_code == 403

    def test_kinds_are_those_that_the_user_may_use_now(self, answered: Api):
        acceptor = answered.services.acceptor
        answered.call("POST", "actions/a", {})
        user = sent(answered).user
        with pytest.raises(KindForbidden):
            acceptor.plan(replace(user, limits={"allowedKinds": ["nodejs:20"]}), Name.split("guest/a"))
        assert acceptor.plan(user, Name.split("guest/a")).name == "guest/a"

    def test_a_workflow_in_control_flow_has_its_own_time_and_the_bound_of_a_request_for_its_result(self, answered: Api):
        answered.action("a", limits={"timeout": 90_000})
        code = WORKFLOW.replace("action: a", "action: a\n    retry: {attempts: 2}")
        answered.put("actions/w", {"exec": {"kind": "dataflow:1", "code": code}})
        answered.put("actions/bounded", {"exec": {"kind": "dataflow:1", "code": f"timeout_s: 200\n{WORKFLOW}"}})
        answered.call("POST", "actions/a", {})
        parent = sent(answered)
        prepare = answered.services.acceptor.component
        unbounded, bounded = (prepare(one, b"{}", parent, stepwise=True) for one in ("guest/w", "guest/bounded"))
        assert isinstance(unbounded, Prepared)
        assert unbounded.needs.timeout_s == 180.0
        assert isinstance(bounded, Prepared)
        assert bounded.needs.timeout_s == 200.0
        assert bounded.message.result_bytes == 1 << 20

    def test_large_parameters_of_a_workflow_are_spooled(self, answered: Api):
        parameters = [{"key": "p", "value": 1}, {"key": "x", "value": 2}]
        answered.put("actions/w", {"exec": {"kind": "dataflow:1", "code": WORKFLOW}, "parameters": parameters})
        answered.call("POST", "actions/w", {"x": "y" * 2_000_000})
        message = sent(answered)
        assert message.content is None
        assert message.spool is not None
        members = answered.balancer.spooled[message.spool.name]
        assert members.keys() == {"p", "x"}
        assert len(members["x"]) == 2_000_002

    @pytest.mark.parametrize("native", [True, False])
    def test_on_kafka_no_large_parameters_of_a_run_are_in_its_message(self, on_kafka: Api, native: bool):
        exec_ = {"kind": "dataflow:1", "code": WORKFLOW} if native else {"kind": "sequence", "components": ["/_/a"]}
        on_kafka.put("actions/run", {"exec": exec_})
        for size, spooled in ((BROKER_INLINE_BYTES - 100, False), (BROKER_INLINE_BYTES, True)):
            assert on_kafka.call("POST", "actions/run", {"x": "y" * size}).status_code == 202
            message = sent(on_kafka)
            assert (message.content is None, message.spool is not None) == (spooled, spooled)
        last = sent(on_kafka)
        assert on_kafka.balancer.spooled[last.activation_id].keys() == {"x"}
        # Invokers of stock take plain actions, and know no spools.
        assert on_kafka.call("POST", "actions/a", {"x": "y" * BROKER_INLINE_BYTES}).status_code == 202
        assert sent(on_kafka).spool is None

    def test_a_sequence_of_large_parameters_that_no_invoker_takes_has_them_in_control_flow(self, on_kafka: Api):
        on_kafka.put("actions/s", {"exec": {"kind": "sequence", "components": ["/_/a"]}})
        on_kafka.balancer.refuse = OnlyStock("only stock")
        body = {"x": "y" * BROKER_INLINE_BYTES}
        for key in ("one", "one", "two"):  # the same request again is another message under the first one's id
            assert on_kafka.call("POST", "actions/s", body, Idempotency_Key=key).status_code == 202
        messages = [sequence.message for sequence in on_kafka.control_flow.sequences]
        assert [(json.loads(one.content or b"{}"), one.spool) for one in messages] == [(body, None)] * 3

    def test_the_record_belongs_to_the_caller(self, answered: Api):
        answered.call("PUT", "/api/v1/namespaces/whisk.system/packages/p", {"publish": True}, auth=SYSTEM)
        path = "/api/v1/namespaces/whisk.system/actions/p/a"
        answered.call("PUT", path, {"exec": {"kind": "python:3", "code": ""}}, auth=SYSTEM)
        answered.call("POST", path, {})
        assert sent(answered).user.namespace == "guest"


class TestRefusals:
    @pytest.mark.parametrize(
        ("path", "body", "status", "text"),
        [
            ("a", b"[1]", 400, "JSON object expected"),
            ("nosuch", b"[1]", 400, "JSON object expected"),
            ("nosuch?blocking=maybe", b"{}", 400, "'maybe' is not a valid Boolean value"),
            ("nosuch", b"{}", 404, "The requested resource does not exist."),
            ("a?timeout=0", b"{}", 400, "Timeout must be number of milliseconds up to 60000."),
            ("a?timeout=60001", b"{}", 400, "Timeout must be number of milliseconds up to 60000."),
            ("a?timeout=x", b"{}", 400, "Timeout must be number of milliseconds up to 60000."),
            ("a", b'{"p":"' + b"x" * 1_048_569 + b'"}', 413, "Request larger than allowed: 1048577 > 1048576 bytes."),
            ("nosuch", b"x" * 1_048_577, 413, "Request larger than allowed: 1048577 > 1048576 bytes."),
            ("nosuchpackage/a", b"x" * 1_048_577, 404, "The requested resource does not exist."),
            ("final", b'{"p":2}', 400, "Request defines parameters that are not allowed (e.g., reserved properties)."),
            ("final", b'{"p":null}', 400, "Request defines parameters that are not allowed"),
        ],
    )
    def test_checks_come_in_stocks_order_and_count_for_the_throttle(
        self, answered: Api, path: str, body: bytes, status: int, text: str
    ):
        answered.action(
            "final",
            parameters=[{"key": "p", "value": 1}, {"key": "q", "value": None}],
            annotations=[{"key": "final", "value": True}],
        )
        got, error = error_of(answered.call("POST", f"actions/{path}", body))
        assert got == status
        assert text in error
        assert answered.balancer.messages == []
        assert len(answered.balancer.charged) == 1

    def test_a_body_that_is_no_json_counts_for_the_throttle_too(self, answered: Api):
        assert answered.call("POST", "actions/a", b"x", Content_Type="text/plain").status_code == 415
        assert len(answered.balancer.charged) == 1

    def test_a_declared_parameter_without_a_value_is_not_final(self, answered: Api):
        answered.action(
            "final", parameters=[{"key": "q", "value": None}], annotations=[{"key": "final", "value": True}]
        )
        answered.call("POST", "actions/final", {"q": 1})
        assert sent(answered).content == b'{"q": 1}'

    def test_a_throttled_namespace_hears_so_before_anything_else(self, api: Api):
        api.balancer.refuse = Throttled("Too many requests in the last minute (count: 61, allowed: 60).")
        for path in ("nosuch", "nosuch/a"):
            assert error_of(api.call("POST", f"actions/{path}", b"[")) == (
                429,
                "Too many requests in the last minute (count: 61, allowed: 60).",
            )

    @pytest.mark.parametrize(
        ("error", "status"),
        [
            (NoInvoker("none"), 503),
            (BalancerUnavailable("gone"), 503),
            (MessageTooLarge("large"), 413),
            (RuntimeError("a bug"), 500),
        ],
    )
    def test_what_goes_wrong_behind_the_api_has_its_status(self, api: Api, error: Exception, status: int):
        api.action("a")
        api.balancer.refuse = error
        reply = api.call("POST", "actions/a", {})
        assert reply.status_code == status
        assert reply.get_json()["code"] == reply.headers["X-Request-ID"]

    def test_a_large_result_that_is_gone_is_an_error(self, answered: Api):
        def respond(message: ActivationMessage) -> Ended:
            return replace(ended(message, result=None), large=("door", "gone", 9))

        answered.balancer.respond = respond
        assert error_of(answered.call("POST", "actions/a?blocking=true", {})) == (500, "the result is no longer there")

    def test_a_workflow_has_a_bound_of_its_own(self, tmp_path):
        api = make_api(tmp_path, SystemLimits(workflow_bytes=2_000_000))
        api.action("a")
        api.balancer.respond = ended
        api.put("actions/w", {"exec": {"kind": "dataflow:1", "code": WORKFLOW}})
        assert api.call("POST", "actions/w", {"x": "y" * 1_900_000}).status_code == 200
        reply = api.call("POST", "actions/w", {"x": "y" * 2_100_000})
        assert error_of(reply) == (413, "Request larger than allowed: 2100009 > 2000000 bytes.")
        api.close()

    def test_refusals_are_errors_of_the_caller(self):
        assert all(kind.blame.value == -1 for kind in Refused.__subclasses__())


def test_a_workflow_whose_step_was_deleted_says_which_one_and_that_it_cannot_run(api: Api):
    api.action("gone")
    text = "dataflow: 1\nsteps:\n  one:\n    action: gone\nresult: one\n"
    assert api.put("actions/wf", {"exec": {"kind": "dataflow:1", "code": text}}).status_code == 200
    api.call("DELETE", "actions/gone")

    reply = api.call("POST", "actions/wf?blocking=true", {})

    assert reply.status_code == 400
    first, *rest = reply.get_json()["error"].splitlines()
    assert first == "The workflow '/guest/wf' cannot run:"
    assert rest == [
        "steps.one.action (line 4): step `one` runs action `gone`, which does not exist as /guest/gone: create it first"
    ]
    refused = api.put("actions/other", {"exec": {"kind": "dataflow:1", "code": text}}).get_json()["error"]
    assert refused.startswith("The request content was malformed:\nThe workflow is not valid:\n")


def test_plans_are_bounded_by_their_parameters(api: Api, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("controller_ext.runs.plan.KEPT_BYTES", 5000)
    for name in ("a", "b"):
        api.action(name, parameters=[{"key": "p", "value": "x" * 2000}])
    api.call("POST", "actions/a", {})
    acceptor, user = api.services.acceptor, sent(api).user
    first, second = (acceptor.plan(user, Name.split(f"guest/{name}")) for name in ("a", "b"))

    assert acceptor.plan(user, Name.split("guest/b")) is second
    assert acceptor.plan(user, Name.split("guest/a")) is not first
