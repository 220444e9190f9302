"""Progress and votes of everybody in the configuration."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etcdpy.base.invariant import InvariantError
from etcdpy.pb.raft_values import ConfState
from etcdpy.raft.confchange import Changer
from etcdpy.raft.quorum import VOTE_LOST, VOTE_PENDING, VOTE_WON, joint_committed
from etcdpy.raft.tracker import Tracker


def tracker_of(conf_state: ConfState) -> Tracker:
    tracker = Tracker(4)
    changer = Changer(tracker, 1)
    changer.restore(conf_state)
    tracker.switch(changer.membership, changer.progress)
    tracker.check_invariants()
    return tracker


@given(
    st.sets(st.integers(1, 5), min_size=1),
    st.sets(st.integers(3, 7)),
    st.dictionaries(st.integers(1, 7), st.integers(0, 9)),
)
def test_committed_is_the_quorums(incoming: set[int], outgoing: set[int], matches: dict[int, int]) -> None:
    tracker = tracker_of(ConfState(sorted(incoming), [], sorted(outgoing)))
    for member, match in matches.items():
        if member in tracker.progress:
            tracker.progress[member].maybe_update(match)

    assert tracker.committed() == joint_committed(incoming, outgoing, matches)


def test_votes_count_once_and_learners_do_not() -> None:
    tracker = tracker_of(ConfState([1, 2, 3], [4]))
    for member, vote in ((1, True), (2, False), (2, True), (4, True), (9, True)):
        tracker.record_vote(member, vote)

    assert tracker.tally_votes() == (1, 1, VOTE_PENDING)
    tracker.record_vote(3, True)
    assert tracker.tally_votes() == (2, 1, VOTE_WON)
    tracker.reset_votes()
    for member in (1, 2):
        tracker.record_vote(member, False)
    assert tracker.tally_votes() == (0, 2, VOTE_LOST)


def test_a_quorum_is_active() -> None:
    tracker = tracker_of(ConfState([1, 2, 3], [4]))
    for member in (2, 3):
        tracker.progress[member].is_recently_active = False

    assert not tracker.is_quorum_active()
    tracker.progress[2].is_recently_active = True
    assert tracker.is_quorum_active()
    assert tracker.is_won_by({1, 2})
    assert not tracker.is_won_by({1, 4})


def test_broken_trackers_are_found() -> None:
    tracker = tracker_of(ConfState([1, 2]))
    tracker.progress[1].is_learner = True
    with pytest.raises(InvariantError, match="learns"):
        tracker.check_invariants()

    tracker = tracker_of(ConfState([1, 2]))
    del tracker.progress[2]
    with pytest.raises(InvariantError, match="progress of"):
        tracker.check_invariants()
