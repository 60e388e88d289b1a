"""The manifest that is made of kinds."""

import pytest

from controller_ext.entities import code
from controller_ext.entities.errors import Malformed
from controller_ext.entities.runtimes import manifest_of
from tests.support.composer import trees


def test_functions_of_compositions_are_evaluated_in_their_kind_where_that_is_set_and_offered():
    kinds = ("python:3", "nodejs:20")
    manifest = manifest_of(kinds, evaluating=True)
    evaluating = {kind for kind in (*kinds, "nodejs:18", "nodejs:default") if manifest.evaluates(kind)}
    assert evaluating == {"nodejs:20", "nodejs:default"}
    assert not manifest_of(kinds).evaluates("nodejs:20")


def test_the_first_kind_of_each_family_is_its_default():
    manifest = manifest_of(["python:3.12", "python:3", "nodejs:20", "python:3.10", "nodejs:18"])

    assert manifest.resolve("python:default").kind == "python:3.12"
    assert manifest.resolve("nodejs:default").kind == "nodejs:20"
    shown = {one["kind"]: one["default"] for family in manifest.document().values() for one in family}
    assert shown == {
        "python:3.12": True,
        "python:3": False,
        "python:3.10": False,
        "nodejs:20": True,
        "nodejs:18": False,
    }


def test_kinds_have_the_names_of_stocks_images():
    runtimes = manifest_of(["python:3.12", "python:3", "nodejs:20"]).document()

    assert [one["image"] for family in runtimes.values() for one in family] == [
        "openwhisk/action-python-v3.12:nightly",
        "openwhisk/action-python-v3.12:nightly",
        "openwhisk/action-nodejs-v20:nightly",
    ]


def test_a_family_of_which_nothing_is_there_has_no_default():
    with pytest.raises(Malformed, match=r"The specified runtime 'nodejs:default' is not supported by this platform"):
        manifest_of(["python:3.11"]).resolve("nodejs:default")


def test_who_errs_about_the_kind_of_workflows_is_told_it():
    with pytest.raises(Malformed, match=r"'blackbox'\. Workflows are of kind 'dataflow:1'\."):
        manifest_of(["python:3.11"]).resolve("dataflow:2")


def test_a_program_of_composer_needs_no_node_and_other_code_of_that_kind_does():
    manifest = manifest_of(["python:3.11"])
    program = trees.deployed(trees.seq("a", trees.function("p => p")))["exec"]
    assert code.parse(program, manifest, "guest") == {**program, "binary": False}

    needing = trees.deployed(trees.seq("a", trees.function("p => process.env")))["exec"]
    for refused in (needing, {**program, "code": "const main = p => p"}, {**program, "kind": "ruby:default"}):
        with pytest.raises(Malformed, match="is not supported by this platform"):
            code.parse(refused, manifest, "guest")
