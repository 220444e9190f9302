"""Where a small write is synced: a slow disk is the thread's, a busy machine is not."""

from __future__ import annotations

from etcdpy.server.inline_sync import PENALTY_WRITES, SMOOTHING, SYNC_SECONDS_MAX, InlineSync

SLOW = 10 * SYNC_SECONDS_MAX
QUICK = SYNC_SECONDS_MAX / 10


def slow_here(sync: InlineSync) -> InlineSync:
    """Let syncs be slow until the thread has to do them."""
    for _ in range(SMOOTHING):
        if sync.is_allowed:
            sync.note_inline(SLOW)
    assert not sync.is_allowed
    return sync


def test_it_begins_here_and_one_slow_sync_changes_nothing() -> None:
    sync = InlineSync()
    assert sync.is_allowed

    sync.note_inline(1000 * SLOW)

    assert sync.is_allowed


def test_a_slow_disk_is_left_to_the_thread_for_a_while() -> None:
    sync = slow_here(InlineSync())

    for _ in range(PENALTY_WRITES - 1):
        sync.note_thread(SLOW + QUICK, SLOW)
        assert not sync.is_allowed
    sync.note_thread(SLOW + QUICK, SLOW)

    assert sync.is_allowed


def test_where_the_thread_waits_for_a_core_it_is_no_better() -> None:
    sync = slow_here(InlineSync())

    for _ in range(3):  # the sync itself is quick; to get there and back is not
        sync.note_thread(SLOW, QUICK)

    assert sync.is_allowed
    for _ in range(100):  # as slow as a thread that waits for a core, and so for good
        sync.note_inline(2 * SYNC_SECONDS_MAX)
    assert sync.is_allowed


def test_a_quick_thread_makes_the_disk_count_again() -> None:
    sync = slow_here(InlineSync())
    for _ in range(3):
        sync.note_thread(SLOW, QUICK)
    for _ in range(4 * SMOOTHING):  # larger batches, meanwhile
        sync.note_thread(QUICK, QUICK)

    slow_here(sync)
