"""APIs on a real server: made by route management, called without a key as anybody would."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from tests.support.deploying import KEY, TIMEOUT_S, Deployer
from tests.support.server import Server, serving
from tests.support.swagger import apidoc

ECHO = "def main(args):\n    return {'body': args}\n"
BYTES = """
import base64

def main(args):
    body = base64.b64decode(args["__ow_body"])[::-1]
    return {"headers": {"Content-Type": "image/png"}, "statusCode": 201, "body": base64.b64encode(body).decode()}
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving("--workers", "2") as one:
        yield one


@pytest.fixture
def live(server: Server) -> Iterator[Deployer]:
    client = server.client()
    for name, code in (("echo", ECHO), ("bytes", BYTES)):
        client.action(name, code, annotations=[{"key": "web-export", "value": True}])
    yield client
    client.close()


def manage(live: Deployer, method: str, name: str, body: Any = None, **query: str) -> requests.Response:
    url = f"{live.url}/api/v1/web/whisk.system/apimgmt/{name}.http"
    return requests.request(method, url, json=body, params=query, auth=KEY, timeout=TIMEOUT_S)


def create(live: Deployer, path: str, method: str, action: str = "echo", base: str = "/base") -> str:
    """Add an operation; return the URL of its API."""
    url = f"{live.url}/api/v1/web/_/default/{action}.http"
    body = {"apidoc": apidoc(path, method, base, name=action, backendUrl=url)}
    reply = manage(live, "POST", "createApi", body, responsetype="http", spaceguid=KEY[0], accesstoken="DUMMY TOKEN")
    assert reply.status_code == 200, reply.text
    return str(reply.json()["gwApiUrl"])


def test_an_api_is_called_with_path_query_json_and_bytes_until_it_is_deleted(live: Deployer):
    url = create(live, "/pets/{id}", "GET")
    create(live, "/pets", "POST")
    create(live, "/images", "PUT", "bytes")
    assert url == f"{live.url}/api/{KEY[0]}/base"

    got = requests.get(f"{url}/pets/7?colour=red", timeout=TIMEOUT_S)
    assert got.status_code == 200
    assert {name: got.json()[name] for name in ("id", "colour", "__ow_path", "__ow_method")} == {
        "id": "7",
        "colour": "red",
        "__ow_path": "/base/pets/7",
        "__ow_method": "get",
    }
    assert requests.post(f"{url}/pets", json={"name": "é"}, timeout=TIMEOUT_S).json()["name"] == "é"
    png = bytes(range(256))
    got = requests.put(f"{url}/images", data=png, headers={"Content-Type": "image/png"}, timeout=TIMEOUT_S)
    assert (got.status_code, got.headers["Content-Type"], got.content) == (201, "image/png", png[::-1])

    assert requests.delete(f"{url}/pets/7", timeout=TIMEOUT_S).json() == {
        "status": 404,
        "message": "Error: Whoops. Verb not supported.",
    }
    assert manage(live, "DELETE", "deleteApi", basepath="/base").json() == {}
    assert requests.get(f"{url}/pets/7", timeout=TIMEOUT_S).json() == {"status": 404, "message": "Error: Not found."}


def test_a_document_that_was_read_serves_again_once_it_is_uploaded(live: Deployer):
    url = create(live, "/hello/{name}", "GET", base="/again")
    [one] = manage(live, "GET", "getApi", basepath="/again").json()["apis"]
    manage(live, "DELETE", "deleteApi", basepath="/again")
    assert requests.get(f"{url}/hello/you", timeout=TIMEOUT_S).status_code == 404

    swagger = json.dumps(one["value"]["apidoc"])
    reply = manage(live, "POST", "createApi", {"apidoc": {"namespace": "_", "swagger": swagger}})

    assert reply.json() == one["value"]
    assert requests.get(f"{url}/hello/you", timeout=TIMEOUT_S).json()["name"] == "you"


def test_creations_by_several_workers_lose_nothing(live: Deployer):
    with ThreadPoolExecutor(8) as threads:
        [url] = set(threads.map(lambda number: create(live, f"/p{number}", "GET", base="/many"), range(24)))

    [one] = manage(live, "GET", "getApi", basepath="/many").json()["apis"]
    assert sorted(one["value"]["apidoc"]["paths"]) == sorted(f"/p{number}" for number in range(24))
    assert {requests.get(f"{url}/p{number}", timeout=TIMEOUT_S).status_code for number in range(24)} == {200}


def test_apis_outlive_the_server(live: Deployer, server: Server):
    path = create(live, "/p", "GET", base="/lasting").removeprefix(live.url)

    server.stop()
    server.start()

    assert requests.get(f"{server.url}{path}/p", timeout=TIMEOUT_S).status_code == 200
