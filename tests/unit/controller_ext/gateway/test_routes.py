from __future__ import annotations

import re

import pytest
from hypothesis import given, strategies as st

from controller_ext.gateway.routes import Routes, split
from tests.support.swagger import document, operation


def api(base: str, *paths: str, method: str = "get", name: str = ""):
    return document(
        {
            path: {
                method: operation(path, f"https://h/api/v1/web/guest/default/{name or path.strip('/') or 'root'}.http")
            }
            for path in paths
        },
        base,
    )


def found(routes: Routes, path: str) -> str | None:
    """Return what serves a path, its parameters and what is left of the path, as one text."""
    route = routes.find(split(path))
    if route is None:
        return None
    backend = next(iter(route.methods.values()))
    assert backend is not None
    action = backend.path.removeprefix("/api/v1/web/guest/default/").removesuffix(".http")
    return " ".join(
        [action, *(f"{name}={value}" for name, value in route.parameters.items()), "/".join(route.rest)]
    ).strip()


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("/base/a", "a"),
        ("/base/a/", "a"),
        ("//base//a", "a"),
        ("/base/a/more/x", "a more/x"),
        ("/base/pets/7", "pets/{id} id=7"),
        ("/base/pets/new", "pets/new"),
        ("/base/pets/new/x", "pets/new x"),
        ("/base/pets/7/toys", "pets/{id}/toys id=7"),
        ("/base/pets/new/toys", "pets/{id}/toys id=new"),
        ("/base/files/a.txt", "files/{name}.{kind} name=a kind=txt"),
        ("/base/files/a.b.txt", "files/{name}.{kind} name=a kind=b.txt"),
        ("/base/files/v1-x", "files/v1-{x} x=x"),
        ("/base/files/v1-", "files/{name} name=v1-"),
        ("/base/files/plain", "files/{name} name=plain"),
        ("/base/files", None),
        ("/base", None),
        ("/base/A", None),
        ("/", None),
        ("/other", None),
    ],
)
def test_the_longest_route_that_a_path_begins_with_serves_it(path: str, wanted: str | None):
    paths = [
        "/a",
        "/pets/{id}",
        "/pets/new",
        "/pets/{id}/toys",
        "/files/{name}",
        "/files/{name}.{kind}",
        "/files/v1-{x}",
    ]
    assert found(Routes([api("/base", *paths)]), path) == wanted


def test_the_root_of_an_api_takes_what_nothing_else_takes():
    routes = Routes([api("/base", "/", "/a")])

    assert found(routes, "/base") == "root"
    assert found(routes, "/base/x/y") == "root x/y"
    assert found(routes, "/base/a") == "a"


def test_an_api_at_the_root_of_its_tenant_has_no_base_path():
    assert found(Routes([api("/", "/a")]), "/a") == "a"


@pytest.mark.parametrize("swap", [False, True])
def test_of_equal_routes_the_longer_base_path_wins(swap: bool):
    apis = [
        api("/a", "/b/c", name="short"),
        api("/a/b", "/c", name="long"),
        api("/a/b", "/c", method="put", name="put"),
    ]
    route = Routes(apis[::-1] if swap else apis).find(["a", "b", "c"])

    assert route is not None
    assert {method: backend and backend.path.rpartition("/")[2] for method, backend in route.methods.items()} == {
        "GET": "long.http",
        "PUT": "put.http",
    }


def test_an_operation_without_a_web_action_is_a_route_all_the_same():
    route = Routes([document({"/": {"get": {}}})]).find(["base"])

    assert route is not None
    assert route.methods == {"GET": None}


def test_without_apis_there_are_no_routes():
    assert Routes([]).find([]) is None
    assert Routes([]).find(["a"]) is None


def test_parameters_that_stand_side_by_side_share_a_segment():
    assert found(Routes([api("/", "/{a}{b}")]), "/xyz") == "{a}{b} a=x b=yz"
    assert found(Routes([api("/", "/{a}{b}")]), "/x") is None
    assert found(Routes([api("/", "/{a}-")]), "/-") is None


@pytest.mark.timeout(5)
def test_no_path_is_expensive():
    many = "/".join(f"{{p{number}}}" for number in range(200))
    wide = "-".join(f"{{p{number}}}" for number in range(500))
    routes = Routes([api("/", f"/{many}/end", f"/{wide}/end", *(f"/{{x{number}}}/y" for number in range(500)))])

    for path in (["x"] * 200, ["x-" * 4000, "end"], ["x"] * 4000):
        routes.find(path)


SEGMENT = st.sampled_from(["a", "b", "{x}", "{y}", "a{x}", "{x}-{y}"])
TEMPLATE = st.lists(SEGMENT, max_size=3).map(lambda segments: "/" + "/".join(segments))
PATH = st.lists(st.sampled_from(["a", "b", "c", "ab", "a-b"]), max_size=4)


def matches(template: str, path: list[str]) -> bool:
    """Say by a regular expression whether a path begins with a route."""
    pattern = re.sub(r"\\\{\w\\\}", "[^/]+?", re.escape("/".join(split(template))))
    return (
        re.fullmatch(f"(?:{pattern}/)?.*" if not pattern else f"{pattern}/.*", "".join(f"{one}/" for one in path))
        is not None
    )


@given(st.lists(TEMPLATE, min_size=1, max_size=6, unique=True), PATH)
def test_what_is_found_is_what_a_search_through_all_routes_finds(templates: list[str], path: list[str]):
    route = Routes([api("/", *templates)]).find(path)

    fitting = [template for template in templates if matches(template, path)]
    assert (route is None) == (not fitting)
    if route is not None:
        longest = max(len(split(template)) for template in fitting)
        assert len(path) - len(route.rest) == longest
        assert list(route.rest) == path[longest:]


def test_the_more_of_a_segment_is_written_out_the_better():
    routes = Routes([api("/", "/{a}", "/x{a}", "/xy{a}", "/xyz")])

    assert [found(routes, f"/{path}") for path in ("xyz", "xyq", "xq", "q")] == [
        "xyz",
        "xy{a} a=q",
        "x{a} a=q",
        "{a} a=q",
    ]
