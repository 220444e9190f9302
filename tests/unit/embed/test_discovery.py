"""What is common to the ways in which members find each other through a service."""

from __future__ import annotations

import asyncio
import json

import pytest

from etcdpy.base.log import close_logger, logger_to, silent_logger
from etcdpy.embed.config import Config
from etcdpy.embed.discovery import (
    BAD_ENDPOINT,
    DUPLICATE_NAME,
    INVALID_PEER_URL,
    INVALID_URL,
    Backoff,
    Refused,
    join_discovered_cluster,
    read_registrations,
)
from etcdpy.embed.errors import DiscoveryFailed
from tests.unit.server.web import serving_pages


def test_registrations_become_a_cluster() -> None:
    values = ["a=http://x:1,a=http://x:2", "b=http://y:1"]

    assert read_registrations(values, 2, is_v2=True) == {"a": ("http://x:1", "http://x:2"), "b": ("http://y:1",)}


@pytest.mark.parametrize(
    ("values", "is_v2", "text"),
    [
        (["a"], True, INVALID_URL),
        (["a=x"], False, INVALID_PEER_URL),
        (["a=http://x:1", "a=http://y:1"], True, DUPLICATE_NAME),
        (["a=http://x:1", "a=http://y:1"], False, DUPLICATE_NAME),
    ],
)
def test_registrations_that_are_none(values: list[str], is_v2: bool, text: str) -> None:
    with pytest.raises(Refused) as caught:
        read_registrations(values, len(values), is_v2=is_v2)
    assert str(caught.value) == text


def test_a_refusal_names_the_token() -> None:
    async def run() -> str:
        async with serving_pages({}) as web:
            config = Config(discovery=f"{web.url}/v2/keys/t")
            with pytest.raises(DiscoveryFailed) as caught:
                await join_discovered_cluster(config, 1, silent_logger())
            assert (caught.value.reason, caught.value.token) == (BAD_ENDPOINT, config.discovery)
            return str(caught.value)

    assert asyncio.run(run()) == "failed to join discovery cluster (discovery: bad discovery endpoint)"


class Kept:
    """Keeps what is logged."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []

    def write(self, line: bytes) -> None:
        self.lines.append(line)

    def close(self) -> None:
        pass


def test_attempts_come_at_growing_intervals_up_to_a_limit() -> None:
    kept = Kept()
    log = logger_to(kept)

    async def run() -> None:
        backoff = Backoff(log, url="http://d", unit_seconds=1e-9)
        for _ in range(10):
            await backoff.wait("why")

    asyncio.run(run())
    close_logger(log)
    lines = [json.loads(line) for line in kept.lines]
    assert [line["backoff"] for line in lines][:3] == ["2ns", "4ns", "8ns"]
    assert [line["backoff"] for line in lines][-3:] == ["256ns"] * 3
    assert {(line["msg"], line["url"], line["reason"]) for line in lines} == {
        ("retry connecting to discovery service", "http://d", "why")
    }
