"""Discovery through v2 keys, with a service that misbehaves. With a real one: tests/compat/test_bootstrap_real.py."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from etcdpy.base.log import silent_logger
from etcdpy.embed.discovery import BAD_ENDPOINT, BAD_SIZE, DUPLICATE_ID, FULL, Refused
from etcdpy.embed.discovery_v2 import V2Discovery, read_proxy
from tests.unit.server.web import Page, Web, serving

OWN = "a"  # the id 10


def page(node: dict[str, Any], index: int = 0) -> Page:
    return Page(json.dumps({"action": "get", "node": node}), headers={"X-Etcd-Index": str(index)})


def fault(code: int, status: int = 404) -> Page:
    return Page(json.dumps({"errorCode": code, "message": "m", "cause": "c", "index": 7}), status=status)


class Keys:
    """A service with one token; `faults` are answered first."""

    def __init__(self, size: str, *nodes: tuple[str, str], faults: list[Page] | None = None) -> None:
        self.size = size
        self.nodes = [*nodes]
        self.faults = faults or []
        self.coming: list[Page] = []  # answers to those who wait

    def answer(self, method: str, path: str, body: str) -> Page:
        if self.faults:
            return self.faults.pop(0)
        name = path.partition("?")[0].rpartition("/v2/keys/t")[2].lstrip("/")
        if name == "_config/size":
            return page({"key": "/t/_config/size", "value": self.size})
        if method == "PUT":
            if name in dict(self.nodes):
                return fault(105, 412)
            self.nodes.append((name, body.partition("value=")[2].replace("%3D", "=")))
            return page({"key": f"/t/{name}"})
        if "wait=true" in path:
            return self.coming.pop(0)
        records = [
            {"key": f"/t/{name}", "value": value, "createdIndex": index}
            for index, (name, value) in enumerate(self.nodes)
        ]
        config = {"key": "/t/_config", "dir": True, "createdIndex": 0}
        return page({"key": "/t", "nodes": [config, *reversed(records)]}, len(self.nodes))


def join(keys: Keys, proxy: bool = False) -> tuple[list[str], int, list[str]]:
    async def run() -> tuple[list[str], int, list[str]]:
        async with serving(keys.answer) as web:
            found, size = await make(web, proxy).join("m=x")
            return found, size, web.requests

    return asyncio.run(run())


def make(web: Web, proxy: bool = False) -> V2Discovery:
    url = f"{'http://discovery.invalid' if proxy else web.url}/v2/keys/t"
    return V2Discovery(url, web.url if proxy else "", 10, silent_logger(), backoff_unit_seconds=1e-6)


def test_members_in_the_order_in_which_they_came() -> None:
    found, size, requests = join(Keys("3", ("9", "n=y"), ("1", "o=z")))

    assert (found, size) == (["n=y", "o=z", "m=x"], 3)
    puts = [request for request in requests if request.startswith("PUT")]
    assert puts == [f"PUT /v2/keys/t/{OWN}?prevExist=false"]


def test_through_a_proxy() -> None:
    _, _, requests = join(Keys("1"), proxy=True)

    assert requests[0].startswith("GET http://discovery.invalid/v2/keys/t/_config/size?")


@pytest.mark.parametrize(("text", "url"), [("", ""), ("p:1", "http://p:1"), ("http://p:1", "http://p:1")])
def test_a_proxy_may_be_named_without_a_scheme(text: str, url: str) -> None:
    assert read_proxy(text) == url


@pytest.mark.parametrize("text", ["http://a%zz", "a%zz:1", "a\n"])
def test_a_proxy_that_nobody_could_find_is_refused(text: str) -> None:
    with pytest.raises(Refused, match="invalid proxy address"):
        read_proxy(text)


def test_a_service_that_cannot_answer_now_is_asked_again() -> None:
    keys = Keys("1", faults=[Page(status=500), Page(status=503), Page("{", 502)])

    assert join(keys)[0] == ["m=x"]


def test_redirections_are_followed_but_not_for_ever() -> None:
    keys = Keys("1", faults=[Page(status=307, headers={"Location": "/v2/keys/t/_config/size"})])
    assert join(keys)[0] == ["m=x"]

    endless = Keys("1", faults=[Page(status=302, headers={"Location": "/"})] * 10)
    assert join(endless)[0] == ["m=x"], "the next attempt finds it well"


def test_changes_that_are_no_new_member_do_not_count() -> None:
    keys = Keys("3", ("9", "n=y"))
    keys.coming = [
        page({"key": "/t/_config/size", "value": "9", "modifiedIndex": 5}),
        page({"key": "/t/9", "value": "n=z", "modifiedIndex": 6}),
        page({"key": "/t/8", "modifiedIndex": 7}),
        page({"key": "/t/7", "value": "o=z", "modifiedIndex": 8}),
    ]
    found, _, requests = join(keys)

    assert found == ["n=y", "m=x", "o=z"]
    indexes = [request.partition("waitIndex=")[2] for request in requests if "waitIndex" in request]
    assert indexes == ["3", "6", "7", "8"]


def test_who_looks_too_late_looks_again_from_the_beginning() -> None:
    keys = Keys("3", ("9", "n=y"))
    answer = keys.answer

    def answer_late(method: str, path: str, body: str) -> Page:
        if "wait=true" in path:
            keys.nodes.append(("7", "o=z"))
            return fault(401, 400)
        return answer(method, path, body)

    keys.answer = answer_late  # type: ignore[method-assign]

    assert join(keys)[0] == ["n=y", "m=x", "o=z"]


REFUSED = {
    "full": (Keys("2", ("9", "n=y"), ("8", "o=y")), FULL),
    "registered twice": (Keys("2", (OWN, "m=x")), DUPLICATE_ID),
    "size 0": (Keys("0"), BAD_SIZE),
    "no number": (Keys("two"), BAD_SIZE),
    "a number out of all proportion": (Keys("9" * 20), BAD_SIZE),
    "another error": (Keys("2", faults=[fault(100)]), "100: m (c) [7]"),
    "no JSON": (Keys("2", faults=[Page("<html>")]), BAD_ENDPOINT),
    "no object": (Keys("2", faults=[Page("[]")]), BAD_ENDPOINT),
    "no node": (Keys("2", faults=[Page("{}")]), BAD_ENDPOINT),
    "an error that is none": (Keys("2", faults=[Page('{"errorCode": []}', 400)]), BAD_ENDPOINT),
    "nodes that are none": (
        Keys("2", faults=[page({"value": "2"}), page({"nodes": [1]})]),
        BAD_ENDPOINT,
    ),
    "nodes that are no list": (Keys("2", faults=[page({"value": "2"}), page({"nodes": 1})]), BAD_ENDPOINT),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals(name: str) -> None:
    keys, text = REFUSED[name]
    with pytest.raises(Refused) as caught:
        join(keys)
    assert str(caught.value) == text
