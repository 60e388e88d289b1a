"""Runtimes manifests of stock's form."""

import json

import pytest

from invoker_ext.contract import kinds
from invoker_ext.contract.manifest import Reactive, Stem, read_runtimes

IMAGE = {"prefix": "openwhisk", "name": "action-python-v3.11", "tag": "nightly"}


def test_images_and_stem_cells_are_read_with_the_default_of_each_family_first():
    cells = [{"initialCount": 2, "memory": "256 MB"}, {"count": 1, "memory": "1GB"}]
    document = {
        "runtimes": {
            "python": [
                {"kind": "python:3.10", "image": {"name": "a"}},
                {"kind": "python:3.11", "default": True, "image": {**IMAGE, "registry": "h:5000"}, "stemCells": cells},
            ]
        },
        "blackboxes": [],
    }
    found = read_runtimes(json.dumps(document))
    assert list(found.images.items()) == [
        ("python:3.11", "h:5000/openwhisk/action-python-v3.11:nightly"),
        ("python:3.10", "a:latest"),
    ]
    assert found.stems == (Stem("python:3.11", 256, 2), Stem("python:3.11", 1024, 1))


REACTIVE = {"minCount": 1, "maxCount": 4, "ttl": "2 minutes", "threshold": 2, "increment": 3}


def with_reactive(**changes):
    cell = {"initialCount": 2, "memory": "256 MB", "reactive": {**REACTIVE, **changes}}
    return json.dumps({"runtimes": {"go": [{"kind": "go:1", "image": {"name": "x"}, "stemCells": [cell]}]}})


@pytest.mark.parametrize(("ttl", "ttl_s"), [("2 minutes", 120), ("1 minute", 60), ("30s", 30), ("1 hour", 3600)])
def test_stem_cells_may_follow_cold_starts(ttl, ttl_s):
    (stem,) = read_runtimes(with_reactive(ttl=ttl)).stems

    assert stem.reactive == Reactive(min_count=1, max_count=4, ttl_s=ttl_s, threshold=2, increment=3)
    assert [stem.reactive.wanted(colds) for colds in (0, 1, 2, 3, 4, 100)] == [1, 1, 3, 3, 4, 4]


@pytest.mark.parametrize(
    "wrong",
    [
        {"minCount": -1},
        {"minCount": 5},
        {"minCount": 0, "maxCount": 0},
        {"maxCount": True},
        {"threshold": 0},
        {"increment": 0},
        {"ttl": "0 s"},
        {"ttl": "soon"},
        {"ttl": None},
    ],
)
def test_stem_cells_that_cannot_follow_are_refused(wrong):
    with pytest.raises(ValueError, match="'reactive' of a stem cell of go:1 needs"):
        read_runtimes(with_reactive(**wrong))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "is not JSON"),
        ("[]", "has no object 'runtimes'"),
        ('{"runtimes": {"go": {}}}', "runtimes.go is no list of objects"),
        ('{"runtimes": {"go": [{"kind": "go"}]}}', "not FAMILY:VERSION"),
        ('{"runtimes": {"go": [{"kind": "go:1", "image": {"tag": "x"}}]}}', "the image of go:1 has no name"),
        ('{"runtimes": {"go": [{"kind": "go:1", "image": {"name": "x"}, "stemCells": [{}]}]}}', "a stem cell of go:1"),
    ],
)
def test_what_is_no_manifest_is_refused_with_the_place(text, why):
    with pytest.raises(ValueError, match=why):
        read_runtimes(text)


def test_kinds_are_run_by_interpreters_or_by_images_of_any_family():
    text = "python:3=python,go:1.20=image:h:5000/go:1"
    found = kinds.read(text)
    assert kinds.problem(text) is None
    assert kinds.images(found) == {"go:1.20": "h:5000/go:1"}
    assert kinds.interpreters(found) == {"python:3": "python"}
    for wrong in ("go:1.20=/usr/bin/go", "go:1=image:", "go=image:x"):
        assert wrong in str(kinds.problem(wrong))
