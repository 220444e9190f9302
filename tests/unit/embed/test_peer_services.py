"""A whole node that talks to a peer. The peer is a real HTTP server that says what the test wants."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import Response

from etcdpy.api.ops.app import application
from etcdpy.base.errors import Corrupt
from etcdpy.embed.node import Node
from etcdpy.pb.rpc_pb2 import CORRUPT, CompactionRequest, LeaseGrantRequest, LeaseTimeToLiveRequest, PutRequest
from etcdpy.server.corruption import DataInconsistent
from etcdpy.state.apply import proposal as kinds
from etcdpy.state.members import Member
from etcdpy.state.mvcc.hash_kv import KvHash
from etcdpy.transport.http1 import HttpServer
from etcdpy.transport.peer_http import fetch
from tests.unit.embed.open_node import open_node
from tests.unit.server.spine import run, until
from tests.unit.server.test_peer_questions import Peer

PEER_ID = 5


def says(found: KvHash, *, hash_: int | None = None) -> Response:
    """Return the answer of a peer that holds what we hold, or something else."""
    record = {
        "header": {"revision": found.revision},
        "hash": found.hash if hash_ is None else hash_,
        "compact_revision": found.compact_revision,
    }
    return Response(json.dumps(record))


@asynccontextmanager
async def node_and_peer(directory: Path, **settings: Any) -> AsyncIterator[tuple[Node, Peer]]:
    """A node that has written something, whose roster has a second member."""
    peer = Peer(Response("", 500))
    async with open_node(directory, **settings) as (node, _), peer.serve() as url:
        node.roster.add_member(Member(id=PEER_ID, peer_urls=(url,)), mirror=False)
        for number in range(8):
            await node.service.call(kinds.PUT, PutRequest(key=b"%d" % (number % 3), value=b"v"))
        yield node, peer


def is_accused(node: Node, member_id: int) -> bool:
    return [alarm.memberID for alarm in node.alarms.list_alarms(CORRUPT)] == [member_id]


def test_the_check_at_the_start(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with node_and_peer(tmp_path, initial_corrupt_check=True) as (node, peer):
            own = node.store.hash_kv(0)
            await node.questions.check_before_serving(is_new=False)
            peer.answer = says(own)
            await node.questions.check_before_serving(is_new=False)
            peer.answer = says(own, hash_=1)
            with pytest.raises(DataInconsistent, match="found data inconsistency with peers"):
                await node.questions.check_before_serving(is_new=False)
            await node.questions.check_before_serving(is_new=True)

    run(scenario())


def test_nobody_asked_for_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with node_and_peer(tmp_path) as (node, peer):
            await node.questions.check_before_serving(is_new=False)
            node.questions.start_monitor()

            assert (peer.requests, node.tasks._tasks) == ([], set())

    run(scenario())


def test_the_periodic_check_raises_the_alarm_and_the_cluster_refuses(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with node_and_peer(tmp_path, corrupt_check_time_seconds=0.001) as (node, peer):
            peer.answer = says(node.store.hash_kv(0))
            node.questions.start_monitor()
            await until(lambda: len(peer.requests) > 2)
            assert not node.alarms.is_raised(CORRUPT)
            peer.answer = says(node.store.hash_kv(0), hash_=1)
            await until(lambda: is_accused(node, PEER_ID))

            with pytest.raises(Corrupt):
                await node.service.call(kinds.PUT, PutRequest(key=b"a"))

    run(scenario())


def test_the_check_of_compactions(tmp_path: Path) -> None:
    async def scenario() -> None:
        settings = {"compact_hash_check_enabled": True, "compact_hash_check_time_seconds": 0.001}
        async with node_and_peer(tmp_path, **settings) as (node, peer):
            before = node.store.hash_kv(6)
            peer.answer = says(before)
            await node.service.call(kinds.COMPACTION, CompactionRequest(revision=6))
            await node.compactions.wait_finished()
            assert node.store.compaction.hashes.list_newest_first()[0].hash == before.hash
            node.questions.start_monitor()
            await until(lambda: bool(peer.requests))
            assert peer.requests[0][3] == b'{"revision":6}'
            assert not node.alarms.is_raised(CORRUPT)

            peer.answer = says(before, hash_=1)
            await node.service.call(kinds.COMPACTION, CompactionRequest(revision=7))
            await node.compactions.wait_finished()
            peer.answer = says(node.store.compaction.hashes.list_newest_first()[0], hash_=1)
            await until(lambda: is_accused(node, 0))  # one against one: nobody in particular

    run(scenario())


def test_compactions_are_not_hashed_for_nobody(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with node_and_peer(tmp_path) as (node, _):
            await node.service.call(kinds.COMPACTION, CompactionRequest(revision=6))
            await node.compactions.wait_finished()

            assert node.store.compaction.hashes.list_newest_first() == []

    run(scenario())


def test_the_version_monitor_asks_the_peers(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with node_and_peer(tmp_path) as (node, peer):
            peer.answer = Response('{"etcdserver":"3.5.1","etcdcluster":"3.5.0"}')

            assert await node.versions.ask_versions(node.roster.get_members()[:1]) in (
                {PEER_ID: "3.5.1"},
                {node.member_id: None},
            )

    run(scenario())


def test_the_peer_port_serves_all_of_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with node_and_peer(tmp_path) as (node, _):
            loop = asyncio.get_running_loop()
            http = HttpServer(application(node.questions.routes()), loop=loop)
            server = await loop.create_server(http.connection, "127.0.0.1", 0)
            url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            try:
                await node.service.call(kinds.LEASE_GRANT, LeaseGrantRequest(ID=7, TTL=60))

                renewed = await fetch(f"{url}/leases", method="POST", body=b"\x08\x07", timeout_seconds=5)
                assert (renewed.status, renewed.body) == (200, b"\x10\x07\x18\x3c")
                hashed = await fetch(f"{url}/members/hashkv", body=b"{}", timeout_seconds=5)
                assert json.loads(hashed.body)["hash"] == node.store.hash_kv(0).hash
                promoted = await fetch(f"{url}/members/promote/99", method="POST", timeout_seconds=5)
                assert promoted.status == 404
                assert (await fetch(f"{url}/downgrade/enabled", timeout_seconds=5)).body == b"false"
            finally:
                server.close()
                http.abort()
                await server.wait_closed()

    run(scenario())


def test_members_as_the_peer_port_shows_them(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with node_and_peer(tmp_path) as (node, _):
            node.roster.add_member(Member(id=6, peer_urls=("http://x:1",), is_learner=True), mirror=False)

            assert {"id": 6, "peerURLs": ["http://x:1"], "isLearner": True} in node.questions.member_records()

    run(scenario())


def test_the_own_leases_are_asked_of_nobody(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with node_and_peer(tmp_path) as (node, peer):
            await node.service.call(kinds.LEASE_GRANT, LeaseGrantRequest(ID=7, TTL=60))
            assert (await node.questions.renewer.time_to_live(LeaseTimeToLiveRequest(ID=7))).grantedTTL == 60
            assert peer.requests == []

    run(scenario())
