from __future__ import annotations

import pytest

from controller_ext.entities.errors import Malformed, Rejected
from controller_ext.entities.names import Name, check_entity, check_namespace, parse


@pytest.mark.parametrize("name", ["a", "A_1", "my act", "x@y.z&-w", "a" * 256, "1"])
def test_names_of_word_characters_are_allowed(name: str):
    assert check_entity(name) == name


@pytest.mark.parametrize("name", ["bad !name", " a", "a ", "-a", "é", "a/b", "", "a\n", "a\x00"])
def test_other_characters_are_illegal(name: str):
    with pytest.raises(Rejected, match=r"^The name of the entity contains illegal characters\.$"):
        check_entity(name)


def test_a_name_has_at_most_256_characters():
    with pytest.raises(Rejected, match=r"^Name segement longer than allowed: 257 > 256\.$"):
        check_entity("a" * 257)


def test_the_underscore_is_the_callers_namespace():
    assert check_namespace("_", "guest") == "guest"
    assert check_namespace("other", "guest") == "other"


@pytest.mark.parametrize(
    ("segment", "text"),
    [
        ("n!", "The namespace contains illegal characters."),
        ("n" * 300, "Namespace longer than allowed: 300 > 256."),
    ],
)
def test_a_bad_namespace_is_told(segment: str, text: str):
    with pytest.raises(Rejected) as caught:
        check_namespace(segment, "guest")
    assert str(caught.value) == text


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("/ns/a", Name("ns", None, "a")),
        ("ns/a", Name("ns", None, "a")),
        ("/ns/p/a", Name("ns", "p", "a")),
        ("_/a", Name("guest", None, "a")),
        ("/_/p/a", Name("guest", "p", "a")),
    ],
)
def test_full_names_are_read_leniently(text: str, name: Name):
    assert parse(text, "guest") == name


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        ("/", "path undefined"),
        ("", "path undefined"),
        ("a", "must contain at least the namespace"),
        ("/ns/p/a/b", "has more parts than a namespace, a package and a name"),
        ("/ns/a!", r"requirement failed: path contains invalid parts WrappedArray\(ns, a!\)$"),
    ],
)
def test_what_is_no_full_name_is_malformed(text: str, detail: str):
    with pytest.raises(Malformed, match=detail):
        parse(text, "guest")


@pytest.mark.parametrize("full", ["ns/a", "ns/p/a"])
def test_an_id_is_split_and_put_together_again(full: str):
    assert str(Name.split(full)) == full
