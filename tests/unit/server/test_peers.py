"""The other members as this one deals with them: whom the transport knows, and what may reach raft."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from etcdpy.pb.raft_values import Message, Snapshot
from etcdpy.raft.constants import MSG_APP, MSG_SNAP
from etcdpy.state.members import Member
from etcdpy.state.members.change import add_change, remove_change, update_change
from tests.unit.server.cluster_scene import LEADER_TERM, Follower, make_leader_snapshot
from tests.unit.server.snapshot_scene import scene
from tests.unit.server.spine import run, until

SECOND = Member(id=0xF2, peer_urls=("http://127.0.0.1:1",), is_learner=True)
THIRD = Member(id=0xF3, peer_urls=("http://127.0.0.1:2",), is_learner=True)


@asynccontextmanager
async def peering(directory: Path) -> AsyncIterator[Follower]:
    with scene(directory) as play:
        follower = Follower(play)
        await play.spine.elect()
        try:
            yield follower
        finally:
            await follower.close()


async def change(follower: Follower, *changes: object) -> None:
    """Let the log carry changes of the membership, one after the other."""
    spine = follower.spine
    for one in changes:
        spine.member.propose_conf_change(one)
        spine.driver.schedule()
        await until(lambda: spine.member.applied_index == spine.member.last_index and spine.driver.is_quiet)


def test_the_transport_knows_exactly_the_members_of_the_roster(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with peering(tmp_path) as follower:
            peers, network = follower.peers, follower.network
            peers.start([])
            assert network.told == [], "it does not know itself"

            await change(follower, add_change(SECOND))
            peers.sync()
            assert network.told == [("add", SECOND.id, SECOND.peer_urls)]

            peers.sync()
            assert len(network.told) == 1, "nothing changed"

            await change(follower, update_change(SECOND.id, ("http://127.0.0.1:3",)))
            peers.sync()
            assert network.told[1:] == [("update", SECOND.id, ("http://127.0.0.1:3",))]

            await change(follower, remove_change(SECOND.id), add_change(THIRD))
            peers.sync()
            assert network.told[2:] == [("remove", SECOND.id, ()), ("add", THIRD.id, THIRD.peer_urls)]
            assert network.peer_ids() == [THIRD.id]
            assert (peers.is_removed(SECOND.id), peers.is_removed(THIRD.id)) == (True, False)

    run(scenario())


def test_those_who_let_us_join_are_remotes_until_the_log_tells_of_them(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with peering(tmp_path) as follower:
            own = follower.spine.roster.get_members()[0]
            follower.peers.start([own, SECOND])
            assert follower.network.told == [("remote", SECOND.id, SECOND.peer_urls)]
            assert follower.network.knows(SECOND.id) and follower.network.peer_ids() == []

            await change(follower, add_change(SECOND))
            follower.peers.sync()
            assert follower.network.peer_ids() == [SECOND.id]

    run(scenario())


def test_a_snapshot_brings_its_members(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with peering(tmp_path / "live") as follower:
            leader = await make_leader_snapshot(tmp_path / "leader", joiner=follower.spine.roster.get_members()[0])
            await follower.receive(leader)
            await follower.wait_installed(leader)
            follower.peers.sync()

            assert follower.network.peer_ids() == [leader.leader_id]

    run(scenario())


def test_a_snapshot_without_a_database_never_reaches_raft(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with peering(tmp_path / "live") as follower:
            spine = follower.spine
            own_id = spine.recovered.member_id
            leader = await make_leader_snapshot(tmp_path / "leader", joiner=spine.roster.get_members()[0])
            term = spine.member.term
            follower.peers.receive(Message(MSG_SNAP, own_id, leader.leader_id, LEADER_TERM, snapshot=leader.snapshot))
            await spine.wait_quiet()
            assert (spine.member.term, spine.member.is_leader, follower.restored) == (term, True, 0)

            follower.peers.receive(Message(MSG_APP, own_id, leader.leader_id, LEADER_TERM))
            await spine.wait_quiet()
            assert spine.member.term == LEADER_TERM, "what needs no database does reach it"

    run(scenario())


def test_a_database_that_raft_does_not_want_changes_nothing(tmp_path: Path) -> None:
    """Its snapshot is older than what the member holds."""

    async def scenario() -> None:
        async with peering(tmp_path) as follower:
            spine = follower.spine
            await follower.play.put(3)
            old = Snapshot(b"", 1, 1, spine.conf_state)
            message = Message(MSG_SNAP, spine.recovered.member_id, 0xF9, LEADER_TERM, snapshot=old)
            await follower.peers.receive_snapshot(message, str(tmp_path / "nowhere"))
            await spine.wait_quiet()

            assert (follower.restored, spine.driver.has_failed) == (0, False)
            assert spine.member.applied_index == spine.member.last_index > 1

    run(scenario())


def test_messages_and_reports_go_where_they_belong(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with peering(tmp_path) as follower:
            await change(follower, add_change(SECOND))
            follower.peers.sync()
            sent = [message for message in follower.network.sent if message.to == SECOND.id]
            assert sent and all(message.type != MSG_SNAP for message in sent)

            follower.peers.report_unreachable(SECOND.id)
            follower.peers.report_snapshot(SECOND.id, False)
            await follower.spine.wait_quiet()
            assert not follower.spine.driver.has_failed
            follower.peers.on_removed_here()
            assert follower.removed_here == 1

    run(scenario())


def test_an_installation_that_fails_ends_the_member(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with peering(tmp_path / "live") as follower:
            leader = await make_leader_snapshot(tmp_path / "leader", joiner=follower.spine.roster.get_members()[0])
            message = Message(
                MSG_SNAP,
                follower.spine.recovered.member_id,
                leader.leader_id,
                LEADER_TERM,
                snapshot=leader.snapshot,
            )
            await follower.peers.receive_snapshot(message, "where the installer does not look")
            await until(lambda: follower.spine.driver.has_failed)

            assert len(follower.play.notes.failures) == 1

    run(scenario())
