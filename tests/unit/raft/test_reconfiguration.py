"""Configurations in use."""

from __future__ import annotations

import pytest

from etcdpy.base.invariant import InvariantError
from etcdpy.pb import raft_pb2
from etcdpy.pb.raft_values import ConfState
from etcdpy.raft.constants import FOLLOWER, LEADER
from tests.unit.raft.network import Network


def change(*changes: tuple[str, int]) -> raft_pb2.ConfChangeV2:
    return raft_pb2.ConfChangeV2(
        changes=[
            raft_pb2.ConfChangeSingle(type=raft_pb2.ConfChangeType.Value(f"ConfChange{kind}"), node_id=member)
            for kind, member in changes
        ]
    )


def test_a_newcomer_is_caught_up_by_a_snapshot() -> None:
    network = Network(1)
    leader = network.elect(1)
    network.propose(1, b"a")
    network.settle()
    leader.compact()
    newcomer = network.add(2)

    leader.node.propose_conf_change(change(("AddNode", 2)))
    network.settle()
    network.tick()

    assert newcomer.state == leader.state
    assert newcomer.node.status().membership.to_conf_state() == ConfState([1, 2])


def test_several_changes_pass_through_a_joint_configuration_and_leave_it_by_themselves() -> None:
    network = Network(3)
    leader = network.elect(1)
    network.add(4)

    leader.node.propose_conf_change(change(("AddNode", 4), ("RemoveNode", 2), ("AddLearnerNode", 3)))
    network.settle()
    network.tick(3)

    for member in (1, 3, 4):
        assert network.peers[member].node.status().membership.to_conf_state() == ConfState([1, 4], [3])


@pytest.mark.parametrize(("steps_down", "role"), [(True, FOLLOWER), (False, LEADER)])
def test_a_leader_that_is_removed(steps_down: bool, role: int) -> None:
    network = Network(3, step_down_on_removal=steps_down)
    leader = network.elect(1)

    leader.node.propose_conf_change(change(("RemoveNode", 1)))
    network.settle()

    assert leader.node.basic_status().role == role
    assert network.peers[2].node.status().membership.to_conf_state() == ConfState([2, 3])


def test_a_smaller_quorum_commits_what_waited() -> None:
    network = Network(2)
    leader = network.elect(1)
    leader.node.propose_conf_change(change(("RemoveNode", 2)))
    leader.take_ready()
    network.propose(1, b"waits")
    network.settle()

    assert network.applied[leader.node.basic_status().last_index][2] == b"waits"


def test_a_committed_change_that_does_not_fit_stops_the_member() -> None:
    network = Network(1)
    leader = network.elect(1)

    with pytest.raises(InvariantError, match="removed all voters"):
        leader.node.apply_conf_change(change(("RemoveNode", 1)))
