"""What the leader knows of one member, and when it may send."""

from __future__ import annotations

import pytest

from etcdpy.base.invariant import InvariantError
from etcdpy.raft.inflights import Inflights
from etcdpy.raft.progress import PROBE, REPLICATE, SNAPSHOT, Progress


def progress_at(match: int, next: int, state: int = PROBE, window: int = 2) -> Progress:
    progress = Progress(match=match, next=next, inflights=Inflights(window))
    progress.state = state
    return progress


def test_text() -> None:
    progress = progress_at(1, 2, SNAPSHOT)
    progress.pending_snapshot = 9
    progress.is_learner = True
    assert str(progress) == "StateSnapshot match=1 next=2 learner paused pendingSnap=9 inactive"

    progress = progress_at(1, 2, REPLICATE)
    progress.is_recently_active = True
    progress.note_sent(count=1, size=1, committed=0)
    assert str(progress) == "StateReplicate match=1 next=3 inflight=1"
    progress.note_sent(count=1, size=1, committed=0)
    assert str(progress) == "StateReplicate match=1 next=4 paused inflight=2[full]"


def test_probing_sends_one_append_at_a_time() -> None:
    progress = progress_at(1, 5)

    progress.note_sent(count=0, size=0, committed=0)
    assert not progress.is_paused()
    progress.note_sent(count=3, size=30, committed=0)

    assert progress.is_paused()
    assert (progress.next, len(progress.inflights)) == (5, 0)


def test_replicating_streams_until_the_window_is_full() -> None:
    progress = progress_at(4, 5, REPLICATE)

    progress.note_sent(count=2, size=20, committed=3)
    assert (progress.next, progress.is_paused()) == (7, False)
    progress.note_sent(count=1, size=10, committed=3)

    progress.check_invariants()
    assert (progress.next, progress.is_paused()) == (8, True)


def test_nothing_is_sent_besides_a_snapshot() -> None:
    progress = progress_at(4, 5, SNAPSHOT)

    assert progress.is_paused()
    with pytest.raises(InvariantError):
        progress.note_sent(count=1, size=1, committed=0)


@pytest.mark.parametrize(
    ("match", "pending", "expected"),
    [(3, 9, 10), (9, 3, 10)],
)
def test_after_a_snapshot_it_is_probed_behind_it(match: int, pending: int, expected: int) -> None:
    progress = progress_at(match, match + 1)
    progress.become_snapshot(pending)

    progress.become_probe()

    progress.check_invariants()
    assert (progress.next, progress.pending_snapshot) == (expected, 0)


@pytest.mark.parametrize(
    ("index", "expected"),
    [(2, (3, 5, False)), (3, (3, 5, False)), (4, (4, 5, True)), (7, (7, 8, True))],
)
def test_maybe_update(index: int, expected: tuple[int, int, bool]) -> None:
    progress = progress_at(3, 5)

    is_news = progress.maybe_update(index)

    assert (progress.match, progress.next, is_news) == expected


@pytest.mark.parametrize(
    ("state", "match", "next", "rejected", "hint", "expected"),
    [
        (REPLICATE, 5, 10, 5, 5, None),  # acknowledged since
        (REPLICATE, 5, 10, 9, 9, 6),
        (PROBE, 0, 10, 5, 5, None),  # not the append that was sent last
        (PROBE, 0, 10, 9, 2, 3),
        (PROBE, 0, 10, 9, 20, 9),
        (PROBE, 0, 2, 1, 0, 1),
        (PROBE, 5, 10, 9, 2, 6),  # never before what is known
    ],
)
def test_maybe_decrease(state: int, match: int, next: int, rejected: int, hint: int, expected: int | None) -> None:
    progress = progress_at(match, next, state)

    assert progress.maybe_decrease(rejected=rejected, hint=hint) == (expected is not None)

    assert progress.next == (next if expected is None else expected)


def test_a_commit_index_is_told_again_only_if_it_helps() -> None:
    progress = progress_at(4, 8, REPLICATE)
    progress.note_sent(count=0, size=0, committed=5)

    assert not progress.can_bump_commit(5)
    assert progress.can_bump_commit(6)
    progress.note_sent(count=0, size=0, committed=9)
    assert not progress.can_bump_commit(10)  # its log, as far as sent, ends at 7


def test_streaming_in_vain_takes_the_commit_index_back() -> None:
    progress = progress_at(4, 8, REPLICATE)
    progress.note_sent(count=0, size=0, committed=7)

    progress.become_probe()

    assert (progress.next, progress.sent_commit) == (5, 4)
