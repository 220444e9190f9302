"""Three processes that are one cluster, and what is found out about them after the load."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import cluster, messages
from benchmarks.cluster import NAMES, Cluster, running_cluster
from benchmarks.member import Contender
from benchmarks.process import BenchError
from benchmarks.scenario import CHECK_SECONDS_MAX, asking, revision_of

pytestmark = pytest.mark.slow


def put(running: Cluster) -> None:
    with asking(running) as channel:
        channel.unary(messages.PUT_PATH, messages.put(), CHECK_SECONDS_MAX)


@pytest.mark.parametrize("contender", list(Contender))
def test_three_members_store_what_their_leader_is_given(contender: Contender, tmp_path: Path) -> None:
    with running_cluster(contender, tmp_path) as running:
        put(running)
        running.check_agreement()

        assert len({member.pid for member in running.members}) == len(NAMES) == 3
        assert running.address == running.leader.address
        assert [revision_of(member) for member in running.members] == [2, 2, 2]
        assert running.cpu_seconds() > max(member.cpu_seconds() for member in running.members)
    assert all(member.process.returncode is not None for member in running.members)


def test_members_that_disagree_were_not_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with running_cluster(Contender.ETCD, tmp_path) as running:
        put(running)
        with monkeypatch.context() as patched, pytest.raises(BenchError, match="hash of the keys"):
            patched.setattr(cluster, "hash_of", lambda member, revision: member.port)
            running.check_agreement()
        with monkeypatch.context() as patched, pytest.raises(BenchError, match="the lead changed"):
            other = next(member for member in running.members if member is not running.leader)
            patched.setattr(cluster, "wait_for_leader", lambda members: other)
            running.check_agreement()


def test_a_cluster_of_which_a_member_died_was_not_measured(tmp_path: Path) -> None:
    with (
        pytest.raises(BenchError, match="the server ended with -9"),
        running_cluster(Contender.ETCD, tmp_path) as running,
    ):
        running.members[1].process.kill()
        running.members[1].process.wait()
