"""What founders write. Byte by byte against a real cluster: tests/compat/test_bootstrap_real.py."""

from __future__ import annotations

from etcdpy.base.ids import compute_cluster_id
from etcdpy.pb import raft_pb2
from etcdpy.pb.raft_values import HardState
from etcdpy.server.founding import plan_founding
from etcdpy.state.members import Member

CLUSTER = {
    "b": ("http://10.0.0.2:2380",),
    "a": ("http://10.0.0.1:2381", "http://10.0.0.1:2380"),
    "c": ("http://10.0.0.3:2380",),
}


def test_all_founders_write_the_same() -> None:
    plans = [plan_founding(CLUSTER, name, "t") for name in "abc"]

    assert len({plan.member_id for plan in plans}) == 3
    assert len({plan.cluster_id for plan in plans}) == 1
    assert plans[0].entries() == plans[1].entries() == plans[2].entries()
    assert plans[0].cluster_id == compute_cluster_id(plan.member_id for plan in plans)


def test_members_join_in_the_order_of_their_ids_and_that_is_committed() -> None:
    plan = plan_founding(CLUSTER, "a", "t")

    changes = [raft_pb2.ConfChange.FromString(entry.data) for entry in plan.entries()]
    assert [change.node_id for change in changes] == sorted(member.id for member in plan.members)
    assert [Member.from_json(change.context) for change in changes] == list(plan.members)
    assert [(entry.term, entry.index) for entry in plan.entries()] == [(1, 1), (1, 2), (1, 3)]
    assert plan.hard_state() == HardState(1, 0, 3)


def test_the_token_keeps_clusters_with_equal_urls_apart() -> None:
    one, other = plan_founding(CLUSTER, "a", "t"), plan_founding(CLUSTER, "a", "u")

    assert one.member_id != other.member_id and one.cluster_id != other.cluster_id


def test_a_member_is_known_by_its_urls_whatever_their_order() -> None:
    turned = {**CLUSTER, "a": tuple(reversed(CLUSTER["a"]))}

    assert plan_founding(turned, "a", "t") == plan_founding(CLUSTER, "a", "t")
