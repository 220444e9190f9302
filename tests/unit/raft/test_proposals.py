"""What may enter the log."""

from __future__ import annotations

import pytest

from etcdpy.pb import raft_pb2
from etcdpy.pb.raft_values import ENTRY_CONF_CHANGE, Entry
from etcdpy.raft.errors import ProposalDropped
from tests.unit.raft.network import Network

ADD_LEARNER = raft_pb2.ConfChange(type=raft_pb2.ConfChangeAddLearnerNode, node_id=9).SerializeToString()


def conf_change(request: object = None) -> Entry:
    return Entry(type=ENTRY_CONF_CHANGE, data=ADD_LEARNER, request=request)


def test_of_two_conf_changes_the_second_becomes_an_empty_entry() -> None:
    """Without its request: nobody may take the empty entry for what was asked."""
    network = Network(3)
    leader = network.elect(1)
    batch = [conf_change("one"), Entry(data=b"between"), conf_change("two")]

    leader.node.propose_entries(batch)
    leader.take_ready()

    entries = leader.node.raft.log.slice(3, 6)
    assert [(entry.type, entry.request) for entry in entries] == [(1, "one"), (0, None), (0, None)]
    assert entries[2].data == b""


def test_without_validation_both_enter() -> None:
    network = Network(3, disable_conf_change_validation=True)
    leader = network.elect(1)

    leader.node.propose_entries([conf_change(), conf_change()])

    assert [entry.type for entry in leader.node.raft.log.slice(3, 5)] == [1, 1]


def test_a_new_leader_takes_none_before_it_has_applied_its_log() -> None:
    network = Network(3, check_quorum=False)
    network.elect(1)
    leader = network.peers[2]
    leader.node.campaign()
    while not leader.is_leader:
        leader.take_ready()
        messages, network.messages = network.messages, []
        for message in messages:
            network.deliver(message)
        for peer in network.peers.values():
            while peer.append_work:
                peer.write()
    leader.node.raft.pending_conf_index = leader.node.raft.log.applied + 1

    leader.node.propose_entries([conf_change()])

    assert leader.node.raft.log.slice(leader.node.raft.log.last_index, leader.node.raft.log.last_index + 1)[0].type == 0


def test_a_removed_leader_takes_nothing() -> None:
    network = Network(3)
    leader = network.elect(1)
    leader.node.propose_conf_change(raft_pb2.ConfChange(type=raft_pb2.ConfChangeRemoveNode, node_id=1))
    network.settle()

    with pytest.raises(ProposalDropped):
        leader.node.propose(b"a")
