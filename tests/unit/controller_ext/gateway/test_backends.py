from __future__ import annotations

from typing import Any

import pytest

from controller_ext.gateway.backends import Backend, compile_document, cors
from tests.support.swagger import document, operation

WEB = "https://h/api/v1/web/guest/default/a"


def configured(*execute: Any, name: str = "x-ibm-configuration", **more: Any) -> dict[str, Any]:
    return {name: {"assembly": {"execute": list(execute)}, **more}}


def case(*execute: Any, operation_id: str = "x") -> dict[str, Any]:
    return {"operation-switch": {"case": [{"operations": [operation_id], "execute": list(execute)}]}}


def invoke(url: str, verb: str = "keep") -> dict[str, Any]:
    return {"invoke": {"target-url": url, "verb": verb}}


def variable(value: Any, name: Any = "message.headers.X-Require-Whisk-Auth") -> dict[str, Any]:
    return {"set-variable": {"actions": [{"set": name, "value": value}]}}


def backend(*execute: Any, url: str = "") -> Backend | None:
    api = document({"/p": {"get": operation("x", url)}}, **configured(*execute))
    [(path, method, found)] = compile_document(api)
    assert (path, method) == ("/p", "GET")
    return found


A = "/api/v1/web/guest/default/a"


@pytest.mark.parametrize(
    ("execute", "wanted"),
    [
        ([case(invoke(f"{WEB}.json"))], Backend(f"{A}.json", False, None, ())),
        ([case(invoke(f"{WEB}.http$(request.path)"))], Backend(f"{A}.http", True, None, ())),
        ([case(invoke(f"{WEB}.json", "post"))], Backend(f"{A}.json", False, "POST", ())),
        ([case(invoke(f"{WEB}.json", "whatever"))], Backend(f"{A}.json", False, "GET", ())),
        ([case(invoke(f"{WEB}.json?a=b#c"))], Backend(f"{A}.json", False, None, ())),
        ([case(invoke(f"{WEB}.json/more"))], Backend(f"{A}.json/more", False, None, ())),
        ([invoke(f"{WEB}.json")], Backend(f"{A}.json", False, None, ())),
        ([invoke("https://h/x"), case(invoke(f"{WEB}.json"))], Backend(f"{A}.json", False, None, ())),
        (
            [variable("all", "message.headers.X-All"), case(variable("s3cret"), invoke(f"{WEB}.json"))],
            Backend(f"{A}.json", False, None, (("X-All", "all"), ("X-Require-Whisk-Auth", "s3cret"))),
        ),
        (
            [case(variable(1234567890123456), invoke(f"{WEB}.json"))],
            Backend(f"{A}.json", False, None, (("X-Require-Whisk-Auth", "1234567890123456"),)),
        ),
        ([case(invoke("https://example.com/elsewhere"))], None),
        ([case(invoke("https://h/api/v1/namespaces/guest/actions/a"))], None),
        ([case(invoke("https://h/api/v1/web/guest/a.json"))], None),
        ([case(invoke(f"{WEB}.json"), operation_id="y")], None),
        ([], None),
    ],
)
def test_the_assembly_says_what_serves_an_operation(execute: list[Any], wanted: Backend | None):
    assert backend(*execute) == wanted


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (True, "message.headers.X"),
        (None, "message.headers.X"),
        ({}, "message.headers.X"),
        ("a\r\nX: y", "message.headers.X"),
        ("é", "message.headers.X"),
        ("1", "message.headers.Content-Length"),
        ("chunked", "message.headers.transfer-encoding"),
        ("h", "message.headers.Host"),
        ("x", "message.headers.X Y"),
        ("x", "message.body"),
        ("x", 5),
    ],
)
def test_headers_that_would_break_a_request_are_not_set(value: Any, name: Any):
    assert backend(case(invoke(f"{WEB}.json"), variable(value, name))) == Backend(f"{A}.json", False, None, ())


def test_without_an_assembly_the_operation_itself_names_its_action():
    assert backend(url=f"{WEB}.json") == Backend(f"{A}.json", False, None, ())
    assert backend(url=f"{WEB}.http") == Backend(f"{A}.http", True, None, ())


@pytest.mark.parametrize(
    ("more", "wanted"),
    [
        (configured(cors={"enabled": True}), True),
        (configured(cors={"enabled": False}), False),
        (configured(cors={"enabled": False}, name="x-gateway-configuration"), False),
        (configured(cors={"enabled": "yes"}), None),
        (configured(), None),
        ({}, None),
    ],
)
def test_a_document_says_whether_the_gateway_answers_for_cors(more: dict[str, Any], wanted: bool | None):
    assert cors(document({}, **more)) is wanted
