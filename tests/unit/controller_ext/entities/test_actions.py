from __future__ import annotations

from typing import Any

import pytest

from controller_ext.entities import actions, limited
from controller_ext.entities.errors import KindForbidden, Malformed, Rejected, TooLarge
from controller_ext.entities.limits import SystemLimits
from controller_ext.entities.names import Name
from controller_ext.entities.runtimes import Manifest, Runtime

SYSTEM = SystemLimits()
MANIFEST = Manifest(
    {
        "python": (Runtime(kind="python:3.11", image="i", default=True), Runtime(kind="python:3", image="i")),
        "java": (Runtime(kind="java:8", image="i", require_main=True),),
        "old": (Runtime(kind="old:1", image="i", deprecated=True),),
    }
)
EXEC = {"kind": "python:3", "code": "x"}
PREFIX = "The request content was malformed:\n"
LONGER = (
    "requirement failed: The fully qualified name of the entity must contain at least the namespace and the name of"
    " the entity."
)
NO_CODE = "'code' must be a string or attachment object defined in 'exec' for '{}' actions"


def put(body: Any) -> actions.ActionPut:
    return actions.parse(limited.read(body, MANIFEST, "guest", SYSTEM), SYSTEM)


def created(body: Any) -> dict[str, Any]:
    return actions.create(put(body), Name("guest", None, "a"), 1, SYSTEM)


def annotation(document: dict[str, Any], key: str) -> Any:
    return {one["key"]: one["value"] for one in document["annotations"]}.get(key)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ([], "Object expected in field 'exec'"),
        ("x", "Object expected in field 'exec'"),
        ({"exec": 5}, "JSON object expected"),
        ({"exec": {"code": "x"}}, "'kind' must be a string defined in 'exec'"),
        ({"exec": {"kind": 5}}, "'kind' must be a string defined in 'exec'"),
        ({"exec": {"kind": "sequence"}}, "'components' must be defined for sequence kind"),
        ({"exec": {"kind": "sequence", "components": "x"}}, "'components' must be an array"),
        ({"exec": {"kind": "sequence", "components": None}}, "'components' must be an array"),
        ({"exec": {"kind": "sequence", "components": [1]}}, "fully qualified name malformed"),
        ({"exec": {"kind": "sequence", "components": ["a"]}}, LONGER),
        ({"exec": {"kind": "blackbox"}}, "'image' must be a string defined in 'exec' for 'blackbox' actions"),
        ({"exec": {"kind": "python:3"}}, NO_CODE.format("python:3")),
        ({"exec": {"kind": "dataflow:1"}}, NO_CODE.format("dataflow:1")),
        ({"exec": {**EXEC, "code": {"attachmentType": "text/plain"}}}, NO_CODE.format("python:3")),
        (
            # Stock takes it, and fails whenever the action is read or invoked: nothing is behind the name.
            {"exec": {**EXEC, "code": {"attachmentName": "couch:1", "attachmentType": "text/plain"}, "binary": False}},
            "'code' must be a string in 'exec' of 'python:3' actions; attachments are made by the server",
        ),
        ({"exec": {"kind": "java:8", "code": ""}}, "'main' must be a string defined in 'exec' for 'java:8' actions"),
        ({"exec": {**EXEC, "main": 1}}, "if defined, 'main' be a string in 'exec' for 'python:3' actions"),
        ({"exec": {**EXEC, "main": None}}, "if defined, 'main' be a string in 'exec' for 'python:3' actions"),
        (
            {"exec": {"kind": "cobol:1", "code": "x"}},
            "The specified runtime 'cobol:1' is not supported by this platform. Valid values are: 'python:3.11', "
            "'python:3', 'java:8', 'old:1', 'sequence', 'blackbox'.",
        ),
        ({"exec": EXEC, "parameters": {"a": 1}}, "parameters malformed!"),
        ({"exec": EXEC, "parameters": [{"key": "a"}]}, "parameters malformed!"),
        ({"exec": EXEC, "parameters": [{"key": "", "value": 1}]}, "parameters malformed!"),
        ({"exec": EXEC, "parameters": [{"key": "a", "value": 1, "init": "x"}]}, "parameters malformed!"),
        ({"exec": EXEC, "annotations": "x"}, "parameters malformed!"),
        ({"exec": EXEC, "limits": []}, "Object expected in field 'timeout'"),
        ({"exec": EXEC, "publish": "x"}, 'Expected JsBoolean, but got "x"'),
        ({"exec": EXEC, "version": "x"}, "semantic version malformed"),
        ({"exec": EXEC, "version": 1}, "semantic version malformed"),
        ({"exec": EXEC, "version": "0.0.0"}, "semantic version malformed"),
        ({"exec": EXEC, "delAnnotations": "x"}, 'Expected Array as JsArray, but got "x"'),
        ({"exec": EXEC, "delAnnotations": ["x", 1]}, "Expected String as JsString, but got 1"),
    ],
)  # fmt: skip
def test_a_bad_body_is_malformed(body: Any, text: str):
    with pytest.raises(Malformed) as caught:
        put(body)
    assert str(caught.value) == PREFIX + text


def test_a_deprecated_kind_is_rejected():
    with pytest.raises(Rejected, match="'old:1' runtime is no longer supported"):
        put({"exec": {"kind": "old:1", "code": ""}})


def test_a_kind_that_the_namespace_may_not_use_is_forbidden():
    with pytest.raises(KindForbidden, match=r"actions of kind 'python:3'\.$"):
        actions.check_kind("python:3", MANIFEST, {"allowedKinds": ["java:8"]})
    actions.check_kind("python:3", MANIFEST, {})


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"exec": {"kind": "python:3", "code": "x" * 101}}, "exec larger than allowed: 101 > 100 bytes."),
        ({"parameters": [{"key": "a", "value": "x" * 8}]}, "parameters larger than allowed: 11 > 10 bytes."),
        ({"annotations": [{"key": "a", "value": "x" * 8}]}, "annotations larger than allowed: 11 > 10 bytes."),
    ],
)
def test_what_is_above_its_bound_is_too_large(body: Any, text: str):
    with pytest.raises(TooLarge) as caught:
        limited.read(body, MANIFEST, "guest", SystemLimits(exec_bytes=100, parameter_bytes=10))
    assert str(caught.value) == text


def test_a_new_action_needs_code():
    with pytest.raises(Rejected, match=r"^exec undefined$"):
        created({})


def test_a_new_action_has_stock_defaults():
    document = created({"exec": {"kind": "Python:Default ", "code": "abcd"}})
    assert document["exec"] == {"kind": "python:3.11", "code": "abcd", "binary": True}
    assert document["version"] == "0.0.1"
    assert document["publish"] is False
    assert document["parameters"] == []
    assert annotation(document, "provide-api-key") is False
    assert annotation(document, "exec") == "python:3.11"


def test_the_callers_kind_annotation_loses_and_his_api_key_annotation_wins():
    document = created(
        {"exec": EXEC, "annotations": [{"key": "exec", "value": "lie"}, {"key": "provide-api-key", "value": True}]}
    )
    assert annotation(document, "exec") == "python:3"
    assert annotation(document, "provide-api-key") is True


def test_of_equal_keys_the_last_one_wins():
    document = created({"exec": EXEC, "parameters": [{"key": "a", "value": 1}, {"key": "a", "value": 2, "init": True}]})
    assert document["parameters"] == [{"key": "a", "value": 2, "init": True}]


@pytest.mark.parametrize(
    ("code", "binary"),
    [("abcd", True), ("abc", False), (" YWJj\n", True), ("YW Jj", False), ("", False), ("====", False), ("YWI=", True)],
)
def test_what_looks_like_base64_is_binary(code: str, binary: bool):
    assert created({"exec": {"kind": "python:3", "code": code}})["exec"]["binary"] is binary


def test_a_blackbox_keeps_its_image_and_drops_blank_code():
    document = created({"exec": {"kind": "blackbox", "image": "i:1", "code": " "}})
    assert document["exec"] == {"kind": "blackbox", "image": "i:1", "binary": False}


def test_the_parameters_of_a_sequence_are_its_components():
    document = created({"exec": {"kind": "sequence", "components": ["_/a"]}, "parameters": [{"key": "p", "value": 1}]})
    assert document["exec"] == {"kind": "sequence", "components": ["/guest/a"]}
    assert document["parameters"] == [{"key": "_actions", "value": ["/guest/a"]}]


OLD = created(
    {
        "exec": EXEC,
        "parameters": [{"key": "p", "value": 1}],
        "annotations": [{"key": "x", "value": 1}],
        "limits": {"memory": 128},
    }
)
OLD_SEQUENCE = created({"exec": {"kind": "sequence", "components": ["_/a"]}})


def updated(body: Any, old: dict[str, Any] = OLD) -> dict[str, Any]:
    return actions.update(put(body), old, 2)


def test_an_empty_update_changes_version_and_time_only():
    document = updated({})
    assert (document["version"], document["updated"]) == ("0.0.2", 2)
    assert {**document, "version": "0.0.1", "updated": 1} == OLD


def test_an_update_merges_limits_and_annotations_and_replaces_parameters():
    document = updated(
        {
            "limits": {"timeout": 1000},
            "annotations": [{"key": "y", "value": 2}],
            "delAnnotations": ["x"],
            "parameters": [{"key": "q", "value": 3}],
            "version": "1.2.3",
            "publish": True,
        }
    )
    assert document["limits"] == {"timeout": 1000, "memory": 128, "logs": 10, "concurrency": 1}
    assert annotation(document, "x") is None
    assert annotation(document, "y") == 2
    assert document["parameters"] == [{"key": "q", "value": 3}]
    assert (document["version"], document["publish"]) == ("1.2.3", True)


def test_an_update_to_a_sequence_ignores_deleted_annotations():
    document = updated({"exec": {"kind": "sequence", "components": ["_/a"]}, "delAnnotations": ["x"]})
    assert annotation(document, "x") == 1
    assert annotation(document, "exec") == "sequence"
    assert document["parameters"] == [{"key": "_actions", "value": ["/guest/a"]}]


def test_the_components_of_a_sequence_survive_an_update_of_its_parameters():
    document = updated({"parameters": [{"key": "q", "value": 3}]}, OLD_SEQUENCE)
    assert document["parameters"] == OLD_SEQUENCE["parameters"]


def test_a_sequence_that_becomes_code_loses_its_components():
    assert updated({"exec": EXEC}, OLD_SEQUENCE)["parameters"] == []


def test_final_parameters_are_those_with_a_value():
    merged: list[dict[str, Any]] = [{"key": "a", "value": 1}, {"key": "b", "value": None}]
    assert actions.immutable_names(merged, [{"key": "final", "value": True}]) == {"a"}
    assert actions.immutable_names(merged, [{"key": "final", "value": "true"}]) == frozenset()


def test_a_family_without_a_default_is_no_manifest():
    with pytest.raises(ValueError, match="family f has 0 defaults"):
        Manifest({"f": (Runtime(kind="f:1", image="i"), Runtime(kind="f:2", image="i"))})
