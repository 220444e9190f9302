"""Discovery through the v3 keys of one of our own members. With a real one: tests/compat/test_bootstrap_real.py."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from etcdpy.base.log import silent_logger
from etcdpy.client.aio import AsyncClient
from etcdpy.embed.config import Config
from etcdpy.embed.discovery import BAD_SIZE, FULL, NO_SIZE, Refused
from etcdpy.embed.discovery_v3 import discover_v3
from etcdpy.embed.etcd import Etcd
from tests.unit.embed.open_node import make_config
from tests.unit.server.spine import run

TOKEN = "/_etcd/registry/t"


@pytest.fixture(autouse=True)
def _leave_the_collector_as_it_was() -> Iterator[None]:
    """A member freezes what lives as long as the process, and a test's process goes on."""
    thresholds = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*thresholds)


def with_service(
    directory: Path, keys: dict[str, str], scenario: Callable[[Config, AsyncClient], Coroutine[Any, Any, None]]
) -> None:
    """Run `scenario` with a member that holds these keys of the token."""

    async def everything() -> None:
        config = make_config(
            directory,
            listen_client_urls=("http://127.0.0.1:0",),
            advertise_client_urls=("http://127.0.0.1:1",),
            listen_peer_urls=("http://127.0.0.1:0",),
        )
        etcd = Etcd(config, silent_logger())
        await etcd.start()
        try:
            async with AsyncClient(etcd.client_endpoints) as client:
                for key, value in keys.items():
                    await client.kv.put(f"{TOKEN}/{key}".encode(), value.encode())
                await scenario(Config(discovery_endpoints=tuple(etcd.client_endpoints), discovery_token="t"), client)
        finally:
            await etcd.stop()

    run(everything())


def discover(config: Config, number: int) -> Coroutine[Any, Any, tuple[list[str], int]]:
    return discover_v3(config, number, f"m{number}=http://h:{number}", silent_logger(), backoff_unit_seconds=1e-6)


def test_members_wait_for_each_other(tmp_path: Path) -> None:
    async def scenario(config: Config, client: AsyncClient) -> None:
        first, second = await asyncio.gather(discover(config, 10), discover(config, 11))
        assert first == second == (sorted(first[0], key=first[0].index), 2)
        assert sorted(first[0]) == ["m10=http://h:10", "m11=http://h:11"]
        stored = await client.kv.get(f"{TOKEN}/members/a".encode())
        assert stored.kvs[0].value == b"m10=http://h:10"
        # One that was cut off while it waited comes back to its place; another one comes too late.
        assert await discover(config, 10) == first
        with pytest.raises(Refused, match=FULL):
            await discover(config, 12)

    with_service(tmp_path, {"_config/size": "2"}, scenario)


def test_what_is_no_registration_does_not_count(tmp_path: Path) -> None:
    async def scenario(config: Config, client: AsyncClient) -> None:
        waiting = asyncio.ensure_future(discover(config, 10))
        while not (await client.kv.get(f"{TOKEN}/members/a".encode())).kvs:
            await asyncio.sleep(0)
        await client.kv.put(f"{TOKEN}/members/1".encode(), b"nothing")
        await client.kv.put(f"{TOKEN}/members/a".encode(), b"m10=http://h:10")
        await client.kv.put(f"{TOKEN}/members/2".encode(), b"m2=http://h:2")
        assert await waiting == (["m10=http://h:10", "m2=http://h:2"], 2)

    with_service(tmp_path, {"_config/size": "2", "members/0": "nothing"}, scenario)


@pytest.mark.parametrize(
    ("keys", "text"),
    [({}, NO_SIZE), ({"_config/size": "x"}, BAD_SIZE), ({"_config/size": "0"}, BAD_SIZE)],
)
def test_a_token_without_a_size(tmp_path: Path, keys: dict[str, str], text: str) -> None:
    async def scenario(config: Config, client: AsyncClient) -> None:
        with pytest.raises(Refused, match=text):
            await discover(config, 10)
        assert not (await client.kv.get(f"{TOKEN}/members/".encode(), prefix=True)).kvs

    with_service(tmp_path, keys, scenario)
