"""What follows from what was applied, and what time brings, on a whole node."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from etcdpy.base.errors import PeerURLExist
from etcdpy.base.invariant import InvariantError
from etcdpy.pb.raft_values import ENTRY_CONF_CHANGE, Entry
from etcdpy.pb.rpc_pb2 import CompactionRequest, LeaseGrantRequest, PutRequest
from etcdpy.pb.rpc_pb2 import WatchCreateRequest as Create
from etcdpy.server.housekeeper import LEADERLESS_ELECTIONS_MAX
from etcdpy.state.apply import proposal as kinds
from etcdpy.state.members import Member
from etcdpy.state.members.change import add_change, remove_change
from etcdpy.state.mvcc.change import Change
from tests.unit.embed.open_node import PEER_URL, open_node
from tests.unit.server.spine import run, until


class Feed:
    """Who brings changes to the watchers, with its ears open."""

    def __init__(self) -> None:
        self.published: list[Change] = []
        self.ticks: list[float] = []
        self.cuts = 0
        self.restores = 0

    def publish(self, changes: Sequence[Change]) -> None:
        self.published += changes

    def tick(self, now: float) -> None:
        self.ticks.append(now)

    def restored(self) -> None:
        self.restores += 1

    def cut_leaderless(self) -> None:
        self.cuts += 1


def test_changes_reach_the_watchers_in_order_while_there_are_any(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_node(tmp_path) as (node, _):
            feed = Feed()
            node.housekeeper.watch_feed = feed
            await node.service.call(kinds.PUT, PutRequest(key=b"unwatched"))
            assert feed.published == []
            node.hub.create(node.hub.open_stream(), Create(key=b"a"))
            for number in range(3):
                await node.service.call(kinds.PUT, PutRequest(key=b"%d" % number))

            assert [change.key for change in feed.published] == [b"0", b"1", b"2"]

    run(scenario())


def test_a_compaction_that_was_applied_is_carried_out(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_node(tmp_path) as (node, _):
            for _ in range(5):
                await node.service.call(kinds.PUT, PutRequest(key=b"a"))
            await node.service.call(kinds.COMPACTION, CompactionRequest(revision=5))
            await until(lambda: not node.store.is_compacting)

            assert node.store.counters.compacted_keys == 3

    run(scenario())


def test_a_leader_publishes_its_name_and_the_clusters_version_once(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_node(tmp_path, elect=False) as (node, _):
            publishing = asyncio.ensure_future(node.housekeeper.publish("one", ["http://c:1"]))
            await asyncio.sleep(0)
            assert not publishing.done(), "there is no leader to publish through"
            node.driver.campaign_when_applied()
            await publishing

            (member,) = node.roster.get_members()
            assert (member.name, member.client_urls, node.roster.version) == ("one", ("http://c:1",), "3.5.0")
            log_end = node.member.last_index
            await node.housekeeper.publish("one", ["http://c:1"])
            assert node.member.last_index == log_end + 1, "the version is agreed on by now"

    run(scenario())


def test_leases_get_their_time_from_a_leader_and_end_by_the_log(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_node(tmp_path, elect=False) as (node, _):
            assert not node.lessor.is_primary
            node.driver.campaign_when_applied()
            await until(lambda: node.lessor.is_primary and node.service.is_leader)
            await node.service.call(kinds.LEASE_GRANT, LeaseGrantRequest(ID=7, TTL=60))
            await node.service.call(kinds.PUT, PutRequest(key=b"a", lease=7))
            revision = node.store.current_revision
            node.housekeeper._propose_revokes(node.clock() + 59)
            assert not node.tasks._tasks
            node.housekeeper._propose_revokes(node.clock() + 61)
            await until(lambda: len(node.lessor) == 0 and not node.tasks._tasks)

            assert (node.store.keys_total, node.store.current_revision) == (0, revision + 1)
            assert node.housekeeper.leases_expired == 1

    run(scenario())


def test_what_leases_have_left_is_proposed_where_that_is_wanted(tmp_path: Path) -> None:
    settings = {"enable_lease_checkpoint": True, "enable_lease_checkpoint_persist": True}

    async def scenario() -> None:
        async with open_node(tmp_path, **settings) as (node, _):
            await node.service.call(kinds.LEASE_GRANT, LeaseGrantRequest(ID=7, TTL=3600))
            log_end = node.member.last_index
            node.housekeeper._propose_checkpoints(node.clock() + 1)
            node.housekeeper._propose_checkpoints(node.clock() + 301)
            await until(lambda: node.member.applied_index > log_end)

            assert node.lessor._leases[7].remaining_ttl == pytest.approx(3600 - 301, abs=2)

    run(scenario())


def test_streams_that_want_a_leader_are_cut_after_three_elections_without_one(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_node(tmp_path) as (node, _):
            feed, keeper = Feed(), node.housekeeper
            keeper.watch_feed = feed
            now = node.clock()
            keeper._cut_leaderless(now + 1000, feed)
            assert feed.cuts == 0, "there is a leader"
            keeper.on_leader_change(0, is_self=False)
            assert not keeper.has_leader.is_set() and not node.lessor.is_primary
            patience = LEADERLESS_ELECTIONS_MAX * 1.0
            keeper._cut_leaderless(now + patience - 0.1, feed)
            assert feed.cuts == 0
            keeper._cut_leaderless(node.clock() + patience + 0.1, feed)
            keeper._cut_leaderless(node.clock() + patience + 9, feed)

            assert feed.cuts == 1

    run(scenario())


def test_a_leader_that_comes_in_time_saves_the_streams(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_node(tmp_path) as (node, _):
            feed, keeper = Feed(), node.housekeeper
            keeper.on_leader_change(0, is_self=False)
            keeper.on_leader_change(7, is_self=False)
            keeper._cut_leaderless(node.clock() + 1000, feed)

            assert feed.cuts == 0 and keeper.has_leader.is_set()
            assert keeper.leader_changes_seen == 2, "itself at first, then 7"

    run(scenario())


def test_ticks_and_chores_come_by_themselves(tmp_path: Path) -> None:
    """Without anybody standing for election, raft's own clock makes a leader."""

    async def scenario() -> None:
        settings = {"heartbeat_interval_ms": 5, "election_timeout_ms": 50}
        async with open_node(tmp_path, elect=False, **settings) as (node, _):
            feed = Feed()
            node.housekeeper.watch_feed = feed
            await node.housekeeper.has_leader.wait()
            await until(lambda: len(feed.ticks) >= 2)

            assert node.member.is_leader

    run(scenario())


def test_a_chore_that_breaks_ends_the_member_and_the_first_reason_is_kept(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_node(tmp_path) as (node, _):

            class Broken(Feed):
                def tick(self, now: float) -> None:
                    raise InvariantError("broken")

            node.housekeeper.watch_feed = Broken()
            error = await asyncio.shield(node.housekeeper.fatal)
            node.housekeeper.on_failure(RuntimeError("later"))

            assert isinstance(error, InvariantError) and node.driver.has_failed
            assert node.housekeeper.fatal.result() is error

    run(scenario())


def test_after_a_stop_no_chore_is_due(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_node(tmp_path) as (node, _):
            timers = list(node.housekeeper._timers)
            assert len(timers) == 3 and not any(timer.cancelled() for timer in timers)
            node.housekeeper.stop()

            assert all(timer.cancelled() for timer in node.housekeeper._timers)

    run(scenario())


def test_a_snapshot_is_taken_when_enough_was_applied(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_node(tmp_path, snapshot_count=5) as (node, _):
            for _ in range(6):
                await node.service.call(kinds.PUT, PutRequest(key=b"a"))
            await until(lambda: any(name.suffix == ".snap" for name in node.config.snap_path.iterdir()))

    run(scenario())


# -- membership


def test_changes_of_the_membership_are_told_on(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_node(tmp_path) as (node, _):
            told: list[tuple[str, int]] = []
            node.housekeeper.on_membership_change = lambda kind, member: told.append((kind, member.id))
            newcomer, _ = await node.reconfiguration.add_member(["http://n:1"], is_learner=True)
            with pytest.raises(PeerURLExist):
                await node.reconfiguration.update_member(newcomer.id, [PEER_URL])
            await node.reconfiguration.update_member(newcomer.id, ["http://n:2"])
            await node.reconfiguration.remove_member(newcomer.id)

            assert told == [("added", newcomer.id), ("updated", newcomer.id), ("removed", newcomer.id)]
            assert not node.housekeeper.was_removed.is_set()

    run(scenario())


def test_a_member_notices_its_own_removal(tmp_path: Path) -> None:
    """Somebody else proposed it: in a cluster of one it is not to be had, so the log is written by hand."""

    async def scenario() -> None:
        async with open_node(tmp_path) as (node, _):
            node.member.apply_conf_change(add_change(Member(id=2, peer_urls=("http://n:1",))))
            change = remove_change(node.member_id)
            index = node.member.applied_index + 1
            node.housekeeper.on_conf_change(Entry(2, index, ENTRY_CONF_CHANGE, change.SerializeToString()))

            assert node.housekeeper.was_removed.is_set()
            assert node.roster.is_removed(node.member_id)

    run(scenario())
