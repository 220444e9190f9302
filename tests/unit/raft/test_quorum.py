"""Majorities against brute force: the definitions, written as plainly as possible."""

from __future__ import annotations

from itertools import combinations, product

from hypothesis import given
from hypothesis import strategies as st

from etcdpy.raft.quorum import (
    INFINITE_INDEX,
    VOTE_LOST,
    VOTE_PENDING,
    VOTE_WON,
    joint_committed,
    joint_vote,
    majority_committed,
    majority_vote,
)

GROUPS = st.sets(st.integers(1, 7), max_size=7)
ACKED = st.dictionaries(st.integers(1, 9), st.integers(0, 6))
VOTES = st.dictionaries(st.integers(1, 9), st.booleans())


def is_committed(voters: set[int], acked: dict[int, int], index: int) -> bool:
    """Some majority has acknowledged `index`."""
    size = len(voters) // 2 + 1
    return not voters or any(
        all(acked.get(voter, 0) >= index for voter in group) for group in combinations(sorted(voters), size)
    )


def brute_force_committed(voters: set[int], acked: dict[int, int]) -> int:
    if not voters:
        return INFINITE_INDEX
    return max(index for index in range(0, 7) if is_committed(voters, acked, index))


def is_agreed(voters: set[int], votes: dict[int, bool]) -> bool:
    return not voters or 2 * sum(votes[voter] for voter in voters) > len(voters)


def brute_force_vote(first: set[int], second: set[int], votes: dict[int, bool]) -> int:
    """Complete the missing votes in every way: won if all ways win, lost if none does."""
    missing = sorted(voter for voter in first | second if voter not in votes)
    outcomes = set()
    for completion in product((False, True), repeat=len(missing)):
        complete = {**votes, **dict(zip(missing, completion, strict=True))}
        outcomes.add(is_agreed(first, complete) and is_agreed(second, complete))
    if outcomes == {True}:
        return VOTE_WON
    return VOTE_LOST if outcomes == {False} else VOTE_PENDING


@given(GROUPS, ACKED)
def test_majority_committed(voters: set[int], acked: dict[int, int]) -> None:
    assert majority_committed(voters, acked) == brute_force_committed(voters, acked)


@given(GROUPS, GROUPS, ACKED)
def test_joint_committed(first: set[int], second: set[int], acked: dict[int, int]) -> None:
    expected = min(brute_force_committed(first, acked), brute_force_committed(second, acked))

    assert joint_committed(first, second, acked) == expected


@given(GROUPS, VOTES)
def test_majority_vote(voters: set[int], votes: dict[int, bool]) -> None:
    assert majority_vote(voters, votes) == brute_force_vote(voters, set(), votes)


@given(st.sets(st.integers(1, 5)), st.sets(st.integers(1, 5)), VOTES)
def test_joint_vote_is_never_surer_than_it_may_be(first: set[int], second: set[int], votes: dict[int, bool]) -> None:
    """Won and lost are exact. Pending may hide a loss that only shows in both groups together; that costs time only."""
    result = joint_vote(first, second, votes)
    expected = brute_force_vote(first, second, votes)

    assert result == expected or (result, expected) == (VOTE_PENDING, VOTE_LOST)


@given(GROUPS, GROUPS, ACKED)
def test_two_quorums_meet(first: set[int], second: set[int], acked: dict[int, int]) -> None:
    """What is committed jointly is committed in each group alone."""
    index = joint_committed(first, second, acked)

    assert index <= majority_committed(first, acked)
    assert index <= majority_committed(second, acked)
