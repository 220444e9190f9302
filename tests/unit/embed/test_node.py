"""A node put together from its files: alone, again, with other settings, and from what a crash left."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from etcdpy.base.invariant import StorageError
from etcdpy.base.log import silent_logger
from etcdpy.embed.node import build_node
from etcdpy.pb.rpc_pb2 import LeaseGrantRequest, PutRequest, RangeRequest, RangeResponse
from etcdpy.server.auto_compaction import AutoCompaction
from etcdpy.server.quota import QUOTA_BYTES_DEFAULT
from etcdpy.state.apply import proposal as kinds
from tests.unit.embed.open_node import make_config, open_node
from tests.unit.server.spine import run, until


def test_a_new_node_has_etcds_ids_and_takes_writes(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_node(tmp_path) as (node, _):
            assert (f"{node.member_id:x}", f"{node.cluster_id:x}") == ("d46c78f094ae4bda", "aa60e965f8e2bda6")
            assert (await node.service.call(kinds.PUT, PutRequest(key=b"a"))).revision == 2
            assert node.quota.limit_bytes == QUOTA_BYTES_DEFAULT

    run(scenario())


def test_a_restart_knows_keys_leases_and_members(tmp_path: Path) -> None:
    async def first() -> None:
        async with open_node(tmp_path) as (node, _):
            await node.housekeeper.publish("one", ["http://c:1"])
            await node.service.call(kinds.LEASE_GRANT, LeaseGrantRequest(ID=7, TTL=60))
            await node.service.call(kinds.PUT, PutRequest(key=b"a", value=b"v", lease=7))

    async def second() -> None:
        async with open_node(tmp_path, elect=False) as (node, _):
            answer = node.service.range_now(RangeRequest(key=b"a"))
            assert [kv.value for kv in RangeResponse.FromString(answer.body).kvs] == [b"v"]
            assert node.lessor.keys_of(7) == [b"a"]
        async with open_node(tmp_path) as (node, _):
            (member,) = node.roster.get_members()
            assert (member.name, node.roster.version) == ("one", "3.5.0")
            assert node.store.current_revision == 2

    run(first())
    run(second())


def test_a_clean_stop_leaves_the_commit_index_in_the_log(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_node(tmp_path) as (node, _):
            await node.service.call(kinds.PUT, PutRequest(key=b"a"))
            committed = node.member.committed_index
        async with open_node(tmp_path, elect=False) as (node, _):
            assert node.recovered.hard_state.commit == committed

    run(scenario())


def test_after_a_failure_the_stop_adds_nothing(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_node(tmp_path) as (node, _):
            await node.service.call(kinds.PUT, PutRequest(key=b"a"))
            committed = node.member.committed_index
            node.driver.fail(RuntimeError("broken"))
        async with open_node(tmp_path, elect=False) as (node, _):
            assert node.recovered.hard_state.commit < committed
        async with open_node(tmp_path) as (node, _):
            assert node.store.current_revision == 2, "what was told is there all the same"

    run(scenario())


def test_a_lost_store_is_made_again_from_the_whole_log(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_node(tmp_path) as (node, _):
            for number in range(5):
                await node.service.call(kinds.PUT, PutRequest(key=b"%d" % number))
            expected = node.store.hash_kv().hash
        shutil.rmtree(node.config.member_path / "store")
        async with open_node(tmp_path) as (node, _):
            assert (node.store.keys_total, node.store.hash_kv().hash) == (5, expected)

    run(scenario())


def test_a_lost_store_behind_a_snapshot_is_refused(tmp_path: Path) -> None:
    """The entries before the snapshot are in no log: starting would lose them in silence."""

    async def scenario() -> None:
        async with open_node(tmp_path, snapshot_count=3) as (node, _):
            for number in range(9):
                await node.service.call(kinds.PUT, PutRequest(key=b"%d" % number))
            await until(lambda: bool(list(node.config.snap_path.glob("*.snap"))) and node.disk.is_idle)
        shutil.rmtree(node.config.member_path / "store")
        with pytest.raises(StorageError, match="the log begins after the snapshot"):
            async with open_node(tmp_path):
                pass

    run(scenario())


def test_settings_reach_their_parts(tmp_path: Path) -> None:
    async def scenario() -> None:
        settings: dict[str, Any] = {
            "quota_backend_bytes": -1,
            "auto_compaction_retention": "5",
            "auto_compaction_mode": "revision",
            "wal_dir": str(tmp_path / "wal"),
            "election_timeout_ms": 4000,
            "enable_lease_checkpoint_persist": True,
        }
        async with open_node(tmp_path, **settings) as (node, _):
            assert node.quota.limit_bytes is None
            assert isinstance(node.housekeeper._auto_compaction, AutoCompaction)
            assert list((tmp_path / "wal").glob("*.wal"))
            await node.service.call(kinds.LEASE_GRANT, LeaseGrantRequest(ID=7, TTL=1))
            assert node.lessor._leases[7].ttl == 6, "one and a half elections"
            assert node.lessor.are_checkpoints_persisted

    run(scenario())


def test_two_nodes_cannot_have_the_same_files(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_node(tmp_path) as (node, _):
            with pytest.raises(StorageError):
                build_node(make_config(tmp_path), silent_logger(), node.driver._loop)

    run(scenario())
