"""What raft can have said, and what it cannot: the second line of defence behind the checksum."""

from __future__ import annotations

import pytest

from etcdpy.pb.raft_values import Entry, HardState
from etcdpy.storage.wal.record import ENTRY, METADATA, SNAPSHOT, STATE, MalformedRecord, WalSnapshot
from etcdpy.storage.wal.replay import Replay, WalContents

Said = Entry | HardState | WalSnapshot | bytes


def replayed(*records: Said, start: WalSnapshot | None = None) -> WalContents:
    replay = Replay(start or WalSnapshot())
    for item in records:
        if isinstance(item, bytes):
            replay.add(METADATA, item)
        else:
            kind = ENTRY if isinstance(item, Entry) else STATE if isinstance(item, HardState) else SNAPSHOT
            replay.add(kind, item.encode())
    return replay.finish()


def entries(first: int, last: int, term: int = 1) -> list[Entry]:
    return [Entry(term, index, 0, b"%d" % index) for index in range(first, last + 1)]


HEAD: tuple[bytes, WalSnapshot] = (b"metadata", WalSnapshot())


def test_entries_and_the_last_hard_state_are_returned() -> None:
    contents = replayed(*HEAD, *entries(1, 3), HardState(1, 9, 2), *entries(4, 5), HardState(1, 9, 5))
    assert contents.metadata == b"metadata"
    assert contents.entries == entries(1, 5)
    assert contents.hard_state == HardState(1, 9, 5)


def test_entries_up_to_the_snapshot_are_left_out() -> None:
    contents = replayed(*HEAD, *entries(1, 6), HardState(1, 9, 6), WalSnapshot(4, 1), start=WalSnapshot(4, 1))
    assert contents.entries == entries(5, 6)


def test_a_new_leader_s_entries_replace_the_tail() -> None:
    contents = replayed(*HEAD, *entries(1, 9), HardState(1, 9, 3), *entries(5, 6, term=2), HardState(2, 8, 4))
    assert contents.entries == entries(1, 4) + entries(5, 6, term=2)


def test_a_replaced_tail_may_reach_to_the_snapshot() -> None:
    contents = replayed(
        b"m", WalSnapshot(3, 1), HardState(1, 9, 3), *entries(3 + 1, 6), *entries(4, 4, term=2), start=WalSnapshot(3, 1)
    )
    assert contents.entries == entries(4, 4, term=2)


def test_a_received_snapshot_resets_the_log() -> None:
    contents = replayed(
        *HEAD,
        *entries(1, 20),
        HardState(1, 9, 2),
        WalSnapshot(10, 2),
        HardState(2, 9, 10),
        *entries(11, 12, term=2),
        start=WalSnapshot(10, 2),
    )
    assert contents.entries == entries(11, 12, term=2)


def test_a_received_snapshot_that_the_log_holds_keeps_the_log() -> None:
    contents = replayed(
        *HEAD, *entries(1, 20), HardState(1, 9, 2), WalSnapshot(10, 1), HardState(1, 9, 10), start=WalSnapshot(10, 1)
    )
    assert contents.entries == entries(11, 20)


def test_a_log_that_was_purged_begins_where_its_first_segment_does() -> None:
    contents = replayed(
        b"m", HardState(1, 9, 50), *entries(52, 60), WalSnapshot(55, 1), HardState(1, 9, 58), start=WalSnapshot(55, 1)
    )
    assert contents.entries == entries(56, 60)


@pytest.mark.parametrize(
    ("text", "records"),
    [
        ("metadata is missing", [WalSnapshot()]),
        ("conflicting metadata", [*HEAD, b"other"]),
        ("snapshot not found", [b"m", *entries(1, 2)]),
        ("entries are missing", [*HEAD, *entries(1, 2), *entries(4, 5)]),
        ("entries are missing", [*HEAD, *entries(2, 2)]),
        ("was committed", [*HEAD, *entries(1, 5), HardState(1, 9, 3), *entries(3, 3, term=2)]),
        ("has term 1", [*HEAD, *entries(1, 5, term=2), *entries(6, 6, term=1)]),
        ("has term 1", [*HEAD, *entries(1, 5, term=2), *entries(4, 4, term=1)]),
        ("goes back", [*HEAD, *entries(1, 5), HardState(3, 9, 3), HardState(2, 9, 3)]),
        ("goes back", [*HEAD, *entries(1, 5), HardState(3, 9, 3), HardState(3, 9, 2)]),
        ("beyond the last entry", [*HEAD, *entries(1, 5), HardState(1, 9, 6)]),
        ("beyond the last entry", [*HEAD, *entries(1, 5), HardState(1, 9, 2), *entries(4, 4, 2), HardState(2, 9, 5)]),
    ],
)
def test_what_no_raft_says_is_refused(text: str, records: list[Said]) -> None:
    with pytest.raises(MalformedRecord, match=text):
        replayed(*records)


def test_a_snapshot_of_another_term_is_refused() -> None:
    with pytest.raises(MalformedRecord, match="snapshot mismatch at 2"):
        replayed(*HEAD, *entries(1, 3), HardState(1, 9, 3), WalSnapshot(2, 1), start=WalSnapshot(2, 2))


def test_a_snapshot_that_was_not_committed_is_refused() -> None:
    with pytest.raises(MalformedRecord, match="newer than the commit"):
        replayed(*HEAD, *entries(1, 3), HardState(1, 9, 1), WalSnapshot(2, 1), start=WalSnapshot(2, 1))


def test_an_older_snapshot_cannot_bridge_a_received_one() -> None:
    """With the newest `.snap` lost, the log does not lead from the older one to the present."""
    snapshots = [WalSnapshot(4, 1), WalSnapshot(90, 2)]
    records: tuple[Said, ...] = (*HEAD, *entries(1, 5), HardState(1, 9, 4), *snapshots, HardState(2, 9, 90))
    with pytest.raises(MalformedRecord, match="beyond the last entry"):
        replayed(*records, start=WalSnapshot(4, 1))
    with pytest.raises(MalformedRecord, match="entries are missing"):
        replayed(*records, *entries(91, 92, term=2), start=WalSnapshot(4, 1))


def test_a_received_snapshot_that_nothing_commits_is_the_remains_of_a_crash() -> None:
    """Others count on the entries before it: they stay."""
    cut_off = replayed(*HEAD, *entries(1, 20), HardState(1, 9, 2), WalSnapshot(50, 2))
    gone_on = replayed(*HEAD, *entries(1, 20), HardState(1, 9, 2), WalSnapshot(50, 2), *entries(21, 60))

    assert cut_off.entries == entries(1, 20)
    assert gone_on.entries == entries(1, 60)


def test_an_entry_right_after_a_received_snapshot_commits_it() -> None:
    """As 3.5 members write it: entries before the state."""
    records: tuple[Said, ...] = (
        *HEAD,
        *entries(1, 4),
        HardState(1, 9, 2),
        WalSnapshot(10, 2),
        Entry(2, 11),
        HardState(2, 9, 10),
    )

    assert replayed(*records, start=WalSnapshot(10, 2)).entries == [Entry(2, 11)]
