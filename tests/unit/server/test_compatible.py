"""Which cluster versions this one may join, over real sockets."""

from __future__ import annotations

import asyncio
import json

import pytest

from etcdpy.base.log import silent_logger
from etcdpy.server.compatible import allowed_range, is_compatible, parse_version
from etcdpy.state.members import Member
from tests.unit.server.web import Page, serving_pages

ME = Member(id=1, peer_urls=("http://127.0.0.1:1",))
NOBODY = "http://127.0.0.1:1"


def judge(*versions: str | None, downgrade: str = "false") -> bool:
    """Whether we may join members that tell these cluster versions; None: one that is down."""

    async def run() -> bool:
        members = [ME]
        pages = {"/downgrade/enabled": Page(downgrade)}
        for number, version in enumerate(versions, 2):
            pages[f"/{number}/version"] = Page(json.dumps({"etcdserver": "3.5.1", "etcdcluster": version}))
            pages[f"/{number}/downgrade/enabled"] = Page(downgrade)
        async with serving_pages(pages) as web:
            for number, version in enumerate(versions, 2):
                url = NOBODY if version is None else f"{web.url}/{number}"
                members.append(Member(id=number, peer_urls=(NOBODY, url)))
            return await is_compatible(members, ME.id, silent_logger())

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("versions", "expected"),
    [
        (("3.5.0",), True),
        (("3.0.0",), True),
        (("3.4.0", None), True),
        (("3.5.0", "3.6.0"), False),
        (("2.9.0", "3.5.0"), False),
        (("not_decided",), False),
        (("not_decided", "3.5.0"), True),
        ((None,), False),
        ((), False),
    ],
)
def test_a_cluster_of_our_version_or_an_older_one(versions: tuple[str | None, ...], expected: bool) -> None:
    assert judge(*versions) is expected


@pytest.mark.parametrize(("version", "expected"), [("3.6.0", True), ("3.5.0", False), ("3.7.0", False)])
def test_while_a_downgrade_is_on_only_the_next_version(version: str, expected: bool) -> None:
    assert judge(version, downgrade="true") is expected


@pytest.mark.parametrize("text", ["", "maybe", "\xff"])
def test_an_unclear_answer_about_downgrades_is_none(text: str) -> None:
    assert judge("3.5.0", downgrade=text)


def test_a_body_that_is_no_version_does_not_count() -> None:
    async def run() -> bool:
        pages = {"/a/version": Page("[]"), "/b/version": Page("{")}
        async with serving_pages(pages) as web:
            members = [ME, Member(id=2, peer_urls=(f"{web.url}/a", f"{web.url}/b"))]
            return await is_compatible(members, ME.id, silent_logger())

    assert not asyncio.run(run())


def test_ranges_and_versions() -> None:
    assert allowed_range(is_downgrading=False) == ((3, 0, 0), (3, 5, 0))
    assert allowed_range(is_downgrading=True) == ((3, 6, 0), (3, 6, 0))
    assert parse_version("3.5.0-rc.1+x") == (3, 5, 0)
    assert [parse_version(text) for text in ("3.5", "x", "", "3.5.0.1", "٣.5.0")] == [None] * 5
