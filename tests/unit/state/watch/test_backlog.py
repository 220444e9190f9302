"""What the backlog keeps, and that it never claims what it dropped."""

from __future__ import annotations

from etcdpy.state.mvcc.change import Change
from etcdpy.state.watch.backlog import BACKLOG_CHANGES_MAX, Backlog


def test_reads_a_span_of_revisions() -> None:
    backlog = Backlog()
    backlog.start(5)
    backlog.append([Change(b"a", b"", False, 5), Change(b"b", b"", False, 5), Change(b"a", b"", False, 6)])

    assert not backlog.holds(4) and backlog.holds(5) and backlog.holds(7)
    assert [change.key for change in backlog.read(5, 5)] == [b"a", b"b"]
    assert [change.key for change in backlog.read(6, 9)] == [b"a"]


def test_drops_whole_revisions_and_says_so() -> None:
    backlog = Backlog()
    backlog.start(1)
    # The revision in the middle is a long one: half of it must not stay behind.
    backlog.append([Change(b"a", b"", False, 1)] * (BACKLOG_CHANGES_MAX // 2 - 5))
    backlog.append([Change(b"a", b"", False, 2)] * 10)
    backlog.append([Change(b"a", b"", False, 3)] * (BACKLOG_CHANGES_MAX // 2))

    assert not backlog.holds(2) and backlog.holds(3)
    assert len(backlog.read(3, 3)) == BACKLOG_CHANGES_MAX // 2


def test_stopped_it_holds_nothing() -> None:
    backlog = Backlog()
    backlog.start(1)
    backlog.append([Change(b"a", b"", False, 1)])
    backlog.stop()
    assert not backlog.holds(1)
    backlog.start(2)
    assert backlog.read(2, 9) == []
