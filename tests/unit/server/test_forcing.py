"""What becomes of a log whose member is to be alone. Against a real one: tests/compat/test_bootstrap_real.py."""

from __future__ import annotations

from etcdpy.pb import raft_pb2
from etcdpy.pb.raft_values import ENTRY_CONF_CHANGE, ConfState, Entry, HardState
from etcdpy.server.forcing import PLACEHOLDER_URLS, Forced, force_new_cluster
from etcdpy.state.members import Member

ME, OTHER, THIRD, LEARNER = 5, 3, 9, 7
ADD = raft_pb2.ConfChangeAddNode
ADD_LEARNER = raft_pb2.ConfChangeAddLearnerNode
REMOVE = raft_pb2.ConfChangeRemoveNode


def change(index: int, kind: raft_pb2.ConfChangeType.ValueType, node_id: int, term: int = 1) -> Entry:
    data = raft_pb2.ConfChange(id=0, type=kind, node_id=node_id).SerializeToString()
    return Entry(term, index, ENTRY_CONF_CHANGE, data)


FOUNDED = [change(1, ADD, OTHER), change(2, ADD, ME), change(3, ADD, THIRD)]


def force(entries: list[Entry], commit: int, *, term: int = 2) -> Forced:
    return force_new_cluster(ME, ConfState(), entries, HardState(term, 1, commit), snapshot_index=0)


def appended(forced: Forced) -> list[tuple[int, int, int, int]]:
    found: list[tuple[int, int, int, int]] = []
    for entry in forced.appended:
        made = raft_pb2.ConfChange.FromString(entry.data)
        found.append((entry.term, entry.index, made.type, made.node_id))
    return found


def test_the_others_are_removed_and_all_is_committed() -> None:
    forced = force([*FOUNDED, Entry(2, 4, data=b"x")], 4)

    assert forced.kept == [*FOUNDED, Entry(2, 4, data=b"x")]
    assert appended(forced) == [(2, 5, REMOVE, OTHER), (2, 6, REMOVE, THIRD)]
    assert forced.hard_state == HardState(2, 1, 6)


def test_an_entry_that_may_have_been_acknowledged_is_kept() -> None:
    """The commit index on disk lags behind what clients were told."""
    forced = force([*FOUNDED, Entry(2, 4, data=b"x")], 3)

    assert [entry.index for entry in forced.kept] == [1, 2, 3, 4] and forced.discarded_count == 0
    assert [entry.index for entry in forced.appended] == [5, 6]


def test_a_removal_of_this_member_that_may_not_be_is_dropped() -> None:
    forced = force([*FOUNDED, change(4, REMOVE, ME), Entry(2, 5, data=b"x")], 3)

    assert [entry.index for entry in forced.kept] == [1, 2, 3] and forced.discarded_count == 2
    assert appended(forced) == [(2, 4, REMOVE, OTHER), (2, 5, REMOVE, THIRD)]


def test_members_of_the_snapshot_and_learners_count_and_the_removed_do_not() -> None:
    conf_state = ConfState([OTHER, ME], [LEARNER])
    entries = [change(11, ADD_LEARNER, THIRD, 3), change(12, REMOVE, OTHER, 3)]

    forced = force_new_cluster(ME, conf_state, entries, HardState(3, 0, 12), snapshot_index=10)

    assert appended(forced) == [(3, 13, REMOVE, LEARNER), (3, 14, REMOVE, THIRD)]


def test_a_log_that_ends_with_its_snapshot_goes_on_behind_it() -> None:
    forced = force_new_cluster(ME, ConfState([OTHER, ME]), [], HardState(3, 0, 10), snapshot_index=10)

    assert appended(forced) == [(3, 11, REMOVE, OTHER)]


def test_who_is_alone_stays_as_it_is() -> None:
    forced = force([change(1, ADD, ME)], 1)

    assert (forced.appended, forced.hard_state) == ([], HardState(2, 1, 1))


def test_a_member_that_its_log_does_not_know_is_added() -> None:
    """It has joined, and was not told anything yet."""
    forced = force_new_cluster(ME, ConfState(), [], HardState(), snapshot_index=0)

    assert appended(forced) == [(1, 1, ADD, ME)]
    made = raft_pb2.ConfChange.FromString(forced.appended[0].data)
    assert Member.from_json(made.context).peer_urls == PLACEHOLDER_URLS
    assert forced.hard_state == HardState(1, 0, 1)
