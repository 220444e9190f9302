"""Majorities of one group of voters, or of two at once (joint consensus): pure arithmetic.

Rules
  * A majority of n voters is n // 2 + 1 of them.
  * A joint decision needs both groups; an empty group agrees with everything, so a group alone is joint as well.
  * `acked` and `votes` may lack voters (not heard of: index 0, vote pending) and may hold others (ignored).

Upstream: raft/quorum.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

# What an empty group has committed: everything.
INFINITE_INDEX: Final = (1 << 64) - 1

VOTE_PENDING: Final = 1
VOTE_LOST: Final = 2
VOTE_WON: Final = 3

VOTE_RESULT_NAMES: Final = ("", "VotePending", "VoteLost", "VoteWon")


def majority_committed(voters: Collection[int], acked: Mapping[int, int]) -> int:
    """Return the highest index that a majority of `voters` has acknowledged."""
    if not voters:
        return INFINITE_INDEX
    indexes = sorted([acked.get(voter, 0) for voter in voters])
    # With n // 2 + 1 voters at or above it.
    return indexes[len(indexes) - (len(indexes) // 2 + 1)]


def joint_committed(incoming: Collection[int], outgoing: Collection[int], acked: Mapping[int, int]) -> int:
    """Return the highest index that majorities of both groups have acknowledged."""
    if not outgoing:
        return majority_committed(incoming, acked)
    return min(majority_committed(incoming, acked), majority_committed(outgoing, acked))


def majority_vote(voters: Collection[int], votes: Mapping[int, bool]) -> int:
    """Return how the vote stands: won or lost once nothing that is missing can change it."""
    if not voters:
        return VOTE_WON
    yes = no = 0
    for voter in voters:
        vote = votes.get(voter)
        if vote is True:
            yes += 1
        elif vote is False:
            no += 1
    needed = len(voters) // 2 + 1
    if yes >= needed:
        return VOTE_WON
    if len(voters) - no >= needed:
        return VOTE_PENDING
    return VOTE_LOST


def joint_vote(incoming: Collection[int], outgoing: Collection[int], votes: Mapping[int, bool]) -> int:
    """Return the vote of both groups: lost if either lost, won if both won."""
    first = majority_vote(incoming, votes)
    second = majority_vote(outgoing, votes)
    if first == second:
        return first
    return VOTE_LOST if VOTE_LOST in (first, second) else VOTE_PENDING
