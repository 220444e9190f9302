"""The leader's half of replication, where chance would hardly lead a test."""

from __future__ import annotations

from etcdpy.pb.raft_values import ENTRY_NORMAL, Entry, Message
from etcdpy.raft.constants import MSG_APP, MSG_APP_RESP, MSG_SNAP
from etcdpy.raft.progress import PROBE, REPLICATE, SNAPSHOT
from tests.unit.raft.network import Network


def test_figure_8_an_old_entry_is_not_committed_by_counting() -> None:
    """Entry 3 of term 1 is on a majority of term 2's voters; only an entry of term 2 commits it (paper 5.4.2)."""
    network = Network(3, check_quorum=False, pre_vote=False)
    network.elect(1)
    network.propose(1, b"old")
    network.peers[1].take_ready()
    network.peers[1].write()
    network.messages.clear()
    leader = network.peers[1]
    leader.node.step(Message(MSG_APP, to=1, from_=2, term=2, index=3, log_term=1, commit=2))
    leader.take_ready()
    leader.node.campaign()
    leader.take_ready()
    network.messages.clear()
    while leader.append_work:
        leader.write()
    leader.node.step(Message(6, to=1, from_=2, term=3))
    leader.take_ready()
    assert leader.is_leader
    assert leader.node.raft.log.last_index == 4

    leader.node.step(Message(MSG_APP_RESP, to=1, from_=2, term=3, index=3))
    assert leader.node.basic_status().commit == 2

    leader.node.step(Message(MSG_APP_RESP, to=1, from_=2, term=3, index=4))
    leader.take_ready()
    while leader.append_work:
        leader.write()
    assert leader.node.basic_status().commit == 4


def test_the_leaders_own_copy_counts_when_its_disk_has_it() -> None:
    network = Network(3)
    leader = network.elect(1)
    network.propose(1, b"a")
    leader.take_ready()

    leader.node.step(Message(MSG_APP_RESP, to=1, from_=2, term=1, index=3))
    assert leader.node.basic_status().commit == 2
    leader.write()

    assert leader.node.basic_status().commit == 3


def test_two_followers_commit_before_the_leaders_disk() -> None:
    """But the leader applies only what is on its own disk."""
    network = Network(3)
    leader = network.elect(1)
    network.propose(1, b"a")
    leader.take_ready()
    for follower in (2, 3):
        leader.node.step(Message(MSG_APP_RESP, to=1, from_=follower, term=1, index=3))
    leader.take_ready()

    assert leader.node.basic_status().commit == 3
    assert leader.apply_work == []
    leader.write()
    assert [entry.data for message in leader.apply_work for entry in message.entries] == [b"a"]


def test_messages_keep_their_size() -> None:
    network = Network(2, max_size_per_message=100)
    leader = network.elect(1)
    network.cut = {2}
    for number in range(10):
        network.propose(1, b"%010d" % number + b"x" * 30)
    network.settle()
    network.cut = set()
    network.tick()

    sent = leader.node.raft.tracker.progress[2]
    assert (sent.match, sent.state) == (12, REPLICATE)
    assert network.peers[2].log() == leader.log()


def test_uncommitted_proposals_have_a_limit_and_a_first_one_always_passes() -> None:
    network = Network(3, max_uncommitted_size=10)
    network.elect(1)
    network.cut = {2, 3}

    assert network.maybe_propose(1, Entry(data=b"x" * 20))
    assert not network.maybe_propose(1, Entry(data=b"x"))
    assert network.maybe_propose(1, Entry(data=b""))
    network.cut = set()
    network.settle()
    network.tick()
    assert network.maybe_propose(1, Entry(data=b"x"))


def test_a_snapshot_that_failed_is_tried_again_after_a_heartbeat() -> None:
    network = Network(2)
    leader = network.elect(1)
    network.peers[2].start()
    network.cut = {2}
    # Alone it commits nothing; a third member is not needed to show a compacted log.
    leader.compact()
    leader.storage.compact(2)
    progress = leader.node.raft.tracker.progress[2]
    progress.become_probe()
    progress.match, progress.next = 0, 1
    progress.is_recently_active = True
    leader.node.propose(b"a")
    leader.take_ready()

    assert any(message.type == MSG_SNAP for message in network.messages)
    assert progress.state == SNAPSHOT
    network.settle()
    assert (progress.state, progress.is_flow_paused) == (PROBE, True)
    network.cut = set()
    network.tick()
    assert progress.state == REPLICATE
    assert network.peers[2].state == leader.state


def test_a_member_that_is_not_active_gets_no_snapshot() -> None:
    network = Network(2)
    leader = network.elect(1)
    leader.compact()
    leader.storage.compact(2)
    progress = leader.node.raft.tracker.progress[2]
    progress.become_probe()
    progress.match, progress.next = 0, 1
    progress.is_recently_active = False
    network.messages.clear()

    leader.node.propose(b"a")
    leader.take_ready()

    assert network.messages == []
    assert all(kind == ENTRY_NORMAL for _, kind, _ in network.applied.values())
