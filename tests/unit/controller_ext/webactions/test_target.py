from __future__ import annotations

import pytest

from controller_ext.entities.names import Name
from controller_ext.webactions.target import Target, parse


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("guest/default/a", Target(Name("guest", None, "a"), "http", ())),
        ("guest/p/a.json", Target(Name("guest", "p", "a"), "json", ())),
        ("guest/p/a.b.svg/x/y", Target(Name("guest", "p", "a.b"), "svg", ("x", "y"))),
        ("guest/p/a.foo", Target(Name("guest", "p", "a.foo"), "http", ())),
        ("guest/p/a.jsons", Target(Name("guest", "p", "a.jsons"), "http", ())),
        ("guest/p/a.http/", Target(Name("guest", "p", "a"), "http", ("",))),
        ("guest/p/a//", Target(Name("guest", "p", "a"), "http", ("", ""))),
        ("whisk.system/p q/a@b.text", Target(Name("whisk.system", "p q", "a@b"), "text", ())),
    ],
)
def test_a_path_names_an_action_an_extension_and_a_rest(path: str, target: Target):
    assert parse(path.split("/")) == target


@pytest.mark.parametrize(
    "path", ["", "guest", "guest/default", "guest/default/", "guest//a", "/p/a", "g/p/.json", "g/ä/a"]
)
def test_other_paths_are_none(path: str):
    assert parse(path.split("/")) is None
