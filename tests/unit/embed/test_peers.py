"""The peers of a whole node: its parts know each other, and a leader's snapshot goes through all of them."""

from __future__ import annotations

import shutil
from pathlib import Path

from etcdpy.pb.raft_values import Message
from etcdpy.pb.rpc_pb2 import PutRequest, RangeRequest, RangeResponse, WatchRequest, WatchResponse
from etcdpy.pb.rpc_pb2 import WatchCreateRequest as Create
from etcdpy.raft.constants import MSG_HEARTBEAT, MSG_SNAP
from etcdpy.state.apply import proposal as kinds
from tests.unit.api.v3.fake_call import FakeCall
from tests.unit.embed.open_node import open_node
from tests.unit.server.cluster_scene import LEADER_PUTS, LEADER_TERM, make_leader_snapshot
from tests.unit.server.spine import run, until

WATCH = b"/etcdserverpb.Watch/Watch"


def test_watchers_and_reads_go_on_after_a_snapshot(tmp_path: Path) -> None:
    """A watcher of before hears of what the snapshot brought, and whom the member talks to follows it."""

    async def scenario() -> None:
        async with open_node(tmp_path) as (node, api):
            await node.service.call(kinds.PUT, PutRequest(key=b"mine"))
            leader = await make_leader_snapshot(tmp_path / "leader", joiner=node.roster.get_members()[0])
            call = FakeCall()
            watch = api.methods[WATCH].handler(call)
            create = WatchRequest(create_request=Create(key=b"of the leader", start_revision=2))
            watch.on_message(create.SerializeToString())
            await until(lambda: call.written != [])
            call.take()

            index = leader.snapshot.index
            path = shutil.copy(leader.path, node.recovered.snapshotter.db_file_path(index))
            message = Message(MSG_SNAP, node.member_id, leader.leader_id, LEADER_TERM, snapshot=leader.snapshot)
            await node.peers.receive_snapshot(message, str(path))
            await until(lambda: node.member.applied_index >= index and node.driver.is_quiet)

            answer = node.service.range_now(RangeRequest(key=b"of the leader"))
            assert [kv.value for kv in RangeResponse.FromString(answer.body).kvs] == [b"19"]
            assert RangeResponse.FromString(node.service.range_now(RangeRequest(key=b"mine")).body).count == 0

            def events() -> list[bytes]:
                answers = [WatchResponse.FromString(written) for written in call.written]
                return [event.kv.value for one in answers for event in one.events]

            # It had seen revision 2, which in the snapshot's history is the leader's first.
            await until(lambda: len(events()) >= LEADER_PUTS - 1)
            assert events() == [b"%d" % number for number in range(1, LEADER_PUTS)]
            assert call.status is None, "the call goes on"
            watch.on_end()

    run(scenario())


def test_a_leader_that_is_heard_of_again_lets_linearizable_reads_go_on(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_node(tmp_path) as (node, _):
            leader = await make_leader_snapshot(tmp_path / "leader", joiner=node.roster.get_members()[0])
            index = leader.snapshot.index
            path = shutil.copy(leader.path, node.recovered.snapshotter.db_file_path(index))
            message = Message(MSG_SNAP, node.member_id, leader.leader_id, LEADER_TERM, snapshot=leader.snapshot)
            await node.peers.receive_snapshot(message, str(path))
            await until(lambda: node.member.applied_index >= index)
            node.peers.receive(Message(MSG_HEARTBEAT, node.member_id, leader.leader_id, LEADER_TERM, commit=index))
            await until(lambda: node.driver.is_quiet)

            assert (node.member.leader_id, node.member.is_leader) == (leader.leader_id, False)
            assert node.housekeeper.has_leader.is_set()
            assert not node.driver.has_failed

    run(scenario())


def test_the_log_is_kept_while_snapshots_are_sent(tmp_path: Path) -> None:
    """The keeper asks the sender of the same node."""

    async def scenario() -> None:
        async with open_node(tmp_path) as (node, _):
            keeper, sender = node.housekeeper._snapshots, node.peers._sender
            assert sender is not None
            assert not keeper.is_log_needed()
            sender.in_flight += 1
            assert keeper.is_log_needed()
            sender.in_flight -= 1

    run(scenario())


def test_the_transport_s_word_of_our_removal_reaches_the_housekeeper(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_node(tmp_path) as (node, _):
            assert not node.housekeeper.was_removed.is_set()
            node.peers.on_removed_here()
            assert node.housekeeper.was_removed.is_set()

    run(scenario())


def test_patience_with_peers_is_as_the_flags_say(tmp_path: Path) -> None:
    """The flags raise it; below five seconds they do not go. Signs of life are as frequent as others expect them."""

    async def scenario() -> None:
        settings = {"raft_read_timeout_seconds": 60.0, "raft_write_timeout_seconds": 1.0, "election_timeout_ms": 3_000}
        async with open_node(tmp_path, elect=False, **settings) as (node, _):
            timeouts = node.peers.network.world.timeouts
            assert (timeouts.read_seconds, timeouts.write_seconds, timeouts.dial_seconds) == (60.0, 5.0, 4.0)
            assert timeouts.link_heartbeat_seconds < 5 / 2 and timeouts.idle_seconds < 5

    run(scenario())
