"""Configurations: random changes keep the rules, and different ways to one configuration end alike."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etcdpy.pb.raft_values import ConfState
from etcdpy.raft.confchange import ADD_LEARNER_NODE, ADD_NODE, REMOVE_NODE, UPDATE_NODE, Change, Changer
from etcdpy.raft.errors import ConfChangeError
from etcdpy.raft.tracker import Tracker

CHANGES = st.lists(
    st.tuples(st.sampled_from([ADD_NODE, REMOVE_NODE, UPDATE_NODE, ADD_LEARNER_NODE]), st.integers(0, 6)), max_size=6
)


def tracker_with(*voters: int, learners: tuple[int, ...] = ()) -> Tracker:
    tracker = Tracker(10)
    changer = Changer(tracker, 5)
    changer.restore(ConfState(voters=list(voters), learners=list(learners)))
    tracker.switch(changer.membership, changer.progress)
    return tracker


@given(CHANGES)
def test_joint_and_one_by_one_end_alike(changes: list[Change]) -> None:
    """Going through a joint configuration gives what simple changes give one after the other."""
    one_by_one = tracker_with(1, 2, 3)
    joint = Changer(tracker_with(1, 2, 3), 5)
    try:
        joint.enter_joint(changes, auto_leave=False)
        for change in changes:
            changer = Changer(one_by_one, 5)
            changer.simple([change])
            one_by_one.switch(changer.membership, changer.progress)
    except ConfChangeError:
        return  # No voters left, now or on the way.
    last = Tracker(10)
    last.switch(joint.membership, joint.progress)
    leaving = Changer(last, 5)
    leaving.leave_joint()

    assert leaving.membership.to_conf_state() == one_by_one.membership.to_conf_state()
    assert sorted(leaving.progress) == sorted(one_by_one.progress)
    for member, progress in leaving.progress.items():
        assert progress.is_learner == one_by_one.progress[member].is_learner


@given(CHANGES, st.booleans())
def test_a_joint_configuration_survives_a_snapshot(changes: list[Change], auto_leave: bool) -> None:
    changer = Changer(tracker_with(1, 2, 3), 5)
    try:
        changer.enter_joint(changes, auto_leave=auto_leave)
    except ConfChangeError:
        return
    restored = Changer(Tracker(10), 9)
    restored.restore(changer.membership.to_conf_state())

    assert restored.membership.to_conf_state() == changer.membership.to_conf_state()
    assert sorted(restored.progress) == sorted(changer.progress)
    assert {progress.next for progress in restored.progress.values()} == {9}


def test_nothing_is_changed_in_place() -> None:
    tracker = tracker_with(1, 2, 3)
    changer = Changer(tracker, 5)

    changer.simple([(ADD_LEARNER_NODE, 3)])

    assert str(tracker.membership) == "voters=(1 2 3)"
    assert not tracker.progress[3].is_learner
    assert str(changer.membership) == "voters=(1 2) learners=(3)"


def test_what_is_known_of_a_member_outlives_its_change_of_kind() -> None:
    tracker = tracker_with(1, 2, learners=(3,))
    tracker.progress[3].maybe_update(4)
    changer = Changer(tracker, 5)

    changer.simple([(ADD_NODE, 3)])

    assert (changer.progress[3].match, changer.progress[3].is_learner) == (4, False)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ([(ADD_NODE, 4), (ADD_NODE, 5)], "more than one voter changed without entering joint config"),
        ([(REMOVE_NODE, 1), (REMOVE_NODE, 2), (REMOVE_NODE, 3)], "removed all voters"),
        ([(9, 1)], "unexpected conf type 9"),
    ],
)
def test_refusals(changes: list[Change], text: str) -> None:
    with pytest.raises(ConfChangeError, match=text):
        Changer(tracker_with(1, 2, 3), 5).simple(changes)


def test_order_of_joint_steps() -> None:
    empty = Changer(Tracker(10), 0)
    with pytest.raises(ConfChangeError, match="zero-voter"):
        empty.enter_joint([(ADD_NODE, 1)], auto_leave=False)

    changer = Changer(tracker_with(1), 5)
    with pytest.raises(ConfChangeError, match="non-joint"):
        changer.leave_joint()
    changer.enter_joint([(ADD_NODE, 2)], auto_leave=True)
    with pytest.raises(ConfChangeError, match="already joint"):
        changer.enter_joint([(ADD_NODE, 3)], auto_leave=True)
    with pytest.raises(ConfChangeError, match="in joint config"):
        changer.simple([(ADD_NODE, 3)])


def test_a_newcomer_counts_as_active_and_is_probed_at_the_end() -> None:
    changer = Changer(tracker_with(1), 7)

    changer.simple([(ADD_NODE, 2)])

    assert str(changer.progress[2]) == "StateProbe match=0 next=7"
