"""Who votes and who learns."""

from __future__ import annotations

import pytest

from etcdpy.base.invariant import InvariantError
from etcdpy.pb.raft_values import ConfState
from etcdpy.raft.membership import Membership

JOINT = ConfState([1, 2], [5], [2, 3], [3], True)


def test_there_and_back() -> None:
    membership = Membership.from_conf_state(JOINT)

    assert membership.to_conf_state() == JOINT
    assert str(membership) == "voters=(1 2)&&(2 3) learners=(5) learners_next=(3) autoleave"
    assert (membership.is_joint(), membership.voters()) == (True, [1, 2, 3])
    assert [member for member in range(6) if membership.is_voter(member)] == [1, 2, 3]
    assert str(Membership()) == "voters=()"


def test_a_copy_is_its_own() -> None:
    membership = Membership.from_conf_state(JOINT)
    copy = membership.copy()

    copy.incoming.add(9)

    assert membership.to_conf_state() == JOINT


@pytest.mark.parametrize(
    "broken",
    [
        ConfState([1], [1]),
        ConfState([1], [2], [2]),
        ConfState([1], [], [2], [3]),
        ConfState([1], [], [], [3]),
        ConfState([1], [], [], [], True),
    ],
)
def test_broken_configurations_are_found(broken: ConfState) -> None:
    with pytest.raises(InvariantError):
        Membership.from_conf_state(broken).check_invariants()
