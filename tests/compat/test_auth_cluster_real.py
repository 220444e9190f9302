"""Authentication in a mixed cluster: real members and ours apply the same entries alike, whoever proposed them."""

from __future__ import annotations

from pathlib import Path

import pytest

from etcdpy.pb import rpc_pb2 as pb
from tests.compat.auth_operations import Player, Seen, Step, generate
from tests.compat.both import path_of
from tests.ours import ours_binary
from tests.reference_cluster import ClusterMember, start_reference_cluster

pytestmark = pytest.mark.slow

STEPS = 300


def root_of(member: ClusterMember) -> Player:
    player = Player(member.endpoint)
    player.log_in(b"root")
    return player


def state_of(player: Player) -> tuple[int, int, bytes]:
    """Return what a member holds, once it has applied everything."""
    metadata = player.metadata(b"root")
    player.channel.unary(path_of("KV/Range"), pb.RangeRequest(key=b"a").SerializeToString(), 30.0, metadata)
    answer = player.channel.unary(path_of("Maintenance/Hash"), b"", 30.0, metadata)
    keys = player.channel.unary(path_of("Maintenance/HashKV"), b"", 30.0, metadata)
    status = player.channel.unary(path_of("Auth/AuthStatus"), b"", 30.0, metadata)
    hashed = pb.HashKVResponse.FromString(keys)
    described = pb.AuthStatusResponse.FromString(status)
    described.ClearField("header")
    return pb.HashResponse.FromString(answer).hash, hashed.hash, described.SerializeToString()


@pytest.mark.parametrize("seed", [3])
def test_a_mixed_cluster_stays_one(tmp_path: Path, seed: int) -> None:
    """m0 is real, m1 and m2 take turns; each step goes to another member, with the token of whichever gave it."""
    with start_reference_cluster(tmp_path, 3, flags=("--bcrypt-cost=4",)) as cluster:
        cluster.members[1].restart(binary=ours_binary("etcd"))
        cluster.members[2].restart(binary=ours_binary("etcd"))
        players = [Player(member.endpoint) for member in cluster.members]
        for player in players[1:]:
            player.tokens = players[0].tokens
        seen: list[Seen] = [players[n % 3].play(step) for n, step in enumerate(generate(seed, STEPS))]
        assert sum(answer.code == 0 for answer in seen) > STEPS / 4

        on = [
            Step(b"", "Auth/UserAdd", pb.AuthUserAddRequest(name=b"root", password=b"root")),
            Step(b"", "Auth/UserGrantRole", pb.AuthUserGrantRoleRequest(user=b"root", role=b"root")),
            Step(b"", "Auth/AuthEnable", pb.AuthEnableRequest()),
        ]
        for step in on:
            players[1].play(step)
        for player in players:
            player.close()
        states = []
        for member in cluster.members:
            player = root_of(member)
            states.append(state_of(player))
            player.close()
        assert states[0] == states[1] == states[2]

        cluster.members[1].restart()
        player = root_of(cluster.members[1])
        assert state_of(player) == states[0], "a restart keeps everything"
        player.close()
