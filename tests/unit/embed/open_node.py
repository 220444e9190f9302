"""A whole node in a folder of the test's, driven by the running loop; nothing listens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from etcdpy.base.log import silent_logger
from etcdpy.embed.config import Config
from etcdpy.embed.etcd import GuardedScheduler
from etcdpy.embed.grpc_methods import GrpcApi, build_grpc_api
from etcdpy.embed.node import Node, build_node
from tests.unit.server.spine import until

PEER_URL = "http://127.0.0.1:23480"


def make_config(directory: Path, **settings: Any) -> Config:
    return Config(
        **{
            "data_dir": str(directory / "data"),
            "initial_advertise_peer_urls": (PEER_URL,),
            "initial_cluster": f"default={PEER_URL}",
            **settings,
        }
    )


@asynccontextmanager
async def open_node(directory: Path, *, elect: bool = True, **settings: Any) -> AsyncIterator[tuple[Node, GrpcApi]]:
    """Bring a node to life, and down again as `embed.etcd` does."""
    loop = asyncio.get_running_loop()
    node = build_node(make_config(directory, **settings), silent_logger(), loop)
    api = build_grpc_api(node, node.tasks, GuardedScheduler(loop, node.driver))
    node.housekeeper.watch_feed = api
    node.driver.start(node.service)
    node.housekeeper.start()
    try:
        if elect:
            node.driver.campaign_when_applied()
            await until(lambda: node.member.is_leader and node.driver.is_quiet)
        yield node, api
    finally:
        node.reconfiguration.stop()
        node.service.stop()
        await node.tasks.close()
        node.housekeeper.stop()
        node.compactions.stop()
        await until(lambda: node.driver.is_quiet or node.driver.has_failed)
        node.close()
