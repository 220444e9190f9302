"""What a client is told when its proposal got no answer in time."""

from __future__ import annotations

import random

import pytest

from etcdpy.base.errors import EtcdError, Timeout, TimeoutDueToConnectionLost, TimeoutDueToLeaderFail
from etcdpy.pb.raft_values import ConfState, HardState, Message, Snapshot
from etcdpy.raft.config import Config
from etcdpy.raft.constants import MSG_HEARTBEAT
from etcdpy.raft.rawnode import RawNode
from etcdpy.raft.storage import MemoryStorage
from etcdpy.server.member import Member
from etcdpy.server.timeouts import TimeoutReasons

ME, LEADER, THIRD = 1, 2, 3


class Links:
    def __init__(self, **since: float) -> None:
        self.since = {int(name[1:]): when for name, when in since.items()}

    def active_since(self, member_id: int, /) -> float | None:
        return self.since.get(member_id)


def follower(leader_id: int) -> Member:
    """Member 1 of three, who takes `leader_id` for the leader."""
    storage = MemoryStorage()
    storage.apply_snapshot(Snapshot(b"", 1, 1, ConfState([ME, LEADER, THIRD])))
    storage.set_hard_state(HardState(1, 0, 1))
    node = RawNode(
        Config(
            id=ME,
            election_tick=10,
            heartbeat_tick=1,
            storage=storage,
            rng=random.Random(1),
            applied=1,
            write_bare_commits=False,
        )
    )
    member = Member(node, storage, HardState(1, 0, 1), applied_index=1)
    if leader_id:
        member.step(Message(MSG_HEARTBEAT, to=ME, from_=leader_id, term=1))
        member.take_effects()
    return member


@pytest.mark.parametrize(
    ("leader_id", "links", "elected_at", "began", "error"),
    [
        (0, Links(m2=0.0), 0.0, 50.0, Timeout),  # nobody leads
        (LEADER, Links(m2=0.0), 51.0, 50.0, TimeoutDueToLeaderFail),  # elected since
        (LEADER, Links(m2=0.0), 53.0, 50.0, Timeout),  # more than two elections later: it had been told
        (LEADER, Links(m2=0.0), 10.0, 50.0, Timeout),
        (LEADER, Links(m2=50.5), 10.0, 50.0, TimeoutDueToConnectionLost),  # reconnected since
        (LEADER, Links(m3=0.0), 10.0, 50.0, TimeoutDueToConnectionLost),  # connected to another only
    ],
)
def test_a_follower_looks_at_its_leader(
    leader_id: int, links: Links, elected_at: float, began: float, error: type[EtcdError]
) -> None:
    reasons = TimeoutReasons(follower(leader_id), links, election_timeout_seconds=1.0)
    reasons.on_leader_change(LEADER, elected_at)

    assert type(reasons.find(began)) is error
