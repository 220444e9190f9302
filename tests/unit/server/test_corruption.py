"""Who is accused of what. Hashes are invented here; tests/compat compares real ones."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence

import pytest

from etcdpy.base.errors import ClusterIDMismatch, Compacted, EtcdError, FutureRev, Timeout
from etcdpy.server.corruption import CorruptionChecks, DataInconsistent
from etcdpy.server.peer_questions import HashAnswer, PeerHash
from etcdpy.state.mvcc.hash_kv import KvHash
from tests.unit.server.spine import run

OWN = 1
RIGHT = 111
WRONG = 222


def own(hash_: int = RIGHT, *, revision: int = 10, compacted: int = 3, at: int = 0) -> KvHash:
    return KvHash(hash=hash_, hash_revision=at or revision, compact_revision=compacted, revision=revision)


def peer(member_id: int, hash_: int = RIGHT, *, revision: int = 10, compacted: int = 3) -> PeerHash:
    answer = HashAnswer(hash=hash_, compact_revision=compacted, revision=revision)
    return PeerHash(member_id=member_id, endpoints=(f"http://{member_id}:1",), answer=answer)


def silent(member_id: int, error: Exception | None = None) -> PeerHash:
    return PeerHash(member_id=member_id, endpoints=(), error=error or OSError("refused"))


class Cluster:
    """Our own hashes one after the other, and what the peers say at each revision."""

    def __init__(self) -> None:
        self.own: list[KvHash | EtcdError] = []
        self.compactions: list[KvHash] = []
        self.peers: dict[int, Sequence[PeerHash]] = {}
        self.asked: list[int] = []
        self.accused: list[int] = []
        self.barrier_error: EtcdError | None = None
        self.log = logging.Logger("test")
        self.lines: list[str] = []
        self.log.addHandler(_Lines(self.lines))
        self.checks = CorruptionChecks(
            self,
            member_id=OWN,
            wait_linearizable=self._wait_linearizable,
            raise_corrupt=self.accused.append,
            request_timeout_seconds=7.0,
            log=self.log,
        )

    async def hash_now(self) -> KvHash:
        found = self.own.pop(0) if len(self.own) > 1 else self.own[0]
        if isinstance(found, EtcdError):
            raise found
        return found

    def compaction_hashes(self) -> Sequence[KvHash]:
        return self.compactions

    async def ask_peers(self, revision: int) -> Sequence[PeerHash]:
        self.asked.append(revision)
        return self.peers.get(revision, ())

    async def _wait_linearizable(self) -> None:
        if self.barrier_error is not None:
            raise self.barrier_error


class _Lines(logging.Handler):
    def __init__(self, lines: list[str]) -> None:
        super().__init__()
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        self._lines.append(record.getMessage())


def check(act: Callable[[], Awaitable[None]]) -> None:
    async def scenario() -> None:
        await act()

    run(scenario())


# -- at the start


def start(mine: KvHash | EtcdError, *peers: PeerHash) -> Cluster:
    cluster = Cluster()
    cluster.own = [mine]
    cluster.peers = {10: peers}
    check(cluster.checks.check_before_serving)
    return cluster


def test_who_agrees_with_everybody_may_serve() -> None:
    cluster = start(own(), peer(2), peer(3))

    assert cluster.lines[-1] == "initial corruption checking passed; no corruption"
    assert cluster.accused == []


def test_who_differs_may_not() -> None:
    with pytest.raises(DataInconsistent, match="^1 found data inconsistency with peers$"):
        start(own(WRONG), peer(2), silent(3))


def test_who_cannot_hash_may_not() -> None:
    with pytest.raises(DataInconsistent, match="^1 failed to fetch hash "):
        start(Compacted())


@pytest.mark.parametrize(
    ("other", "line"),
    [
        (peer(2, WRONG, compacted=4), "found different compact revision values from remote peer"),
        (silent(2, FutureRev()), "cannot fetch hash from slow remote peer"),
        (silent(2, Compacted()), "cannot fetch hash from remote peer; local member is behind"),
        (silent(2, ClusterIDMismatch()), "cluster ID mismatch"),
    ],
)
def test_what_proves_nothing_is_only_logged(other: PeerHash, line: str) -> None:
    assert start(own(), other).lines[1:-1] == [line]


def test_who_does_not_answer_proves_nothing() -> None:
    assert len(start(own(), silent(2)).lines) == 2


# -- periodically


def period(before: KvHash, after: KvHash, *peers: PeerHash) -> Cluster:
    cluster = Cluster()
    cluster.own = [before, after]
    cluster.peers = {before.revision: peers}
    check(cluster.checks.check_periodically)
    return cluster


def test_nobody_is_accused_when_all_agree() -> None:
    cluster = period(own(), own(), peer(2), silent(3))

    assert (cluster.accused, cluster.asked) == ([], [10])
    assert cluster.lines == ["finished peer corruption check"]


def test_an_own_hash_that_changes_without_a_write() -> None:
    cluster = period(own(), own(WRONG), peer(2))

    assert (cluster.accused, cluster.lines[0]) == ([OWN], "found hash mismatch")


@pytest.mark.parametrize("after", [own(WRONG, revision=11), own(WRONG, compacted=4)])
def test_an_own_hash_that_changes_with_one(after: KvHash) -> None:
    assert period(own(), after, peer(2)).accused == []


@pytest.mark.parametrize(
    ("other", "line"),
    [
        (peer(3, revision=12), "revision from follower must be less than or equal to leader's"),
        (peer(3, compacted=5), "compact revision from follower must be less than or equal to leader's"),
        (peer(3, WRONG), "same compact revision then hashes must match"),
    ],
)
def test_a_follower_that_differs(other: PeerHash, line: str) -> None:
    cluster = period(own(), own(revision=11), peer(2), other)

    assert (cluster.accused, cluster.lines[0]) == ([3], line)


def test_what_was_written_meanwhile_is_no_proof() -> None:
    after = own(revision=12, compacted=5)

    assert period(own(), after, peer(2, revision=12), peer(3, WRONG, compacted=5)).accused == []


def test_one_alarm_a_round() -> None:
    assert period(own(), own(), peer(2, WRONG), peer(3, WRONG)).accused == [2]
    assert period(own(), own(WRONG), peer(2, WRONG), peer(3, WRONG)).accused == [OWN]


def test_who_cannot_reach_a_majority_accuses_nobody() -> None:
    cluster = Cluster()
    cluster.own = [own()]
    cluster.peers = {10: [peer(2, WRONG)]}
    cluster.barrier_error = Timeout()
    with pytest.raises(Timeout):
        check(cluster.checks.check_periodically)

    assert cluster.accused == []


# -- compactions


def compactions(*peers: PeerHash, at: Sequence[int] = (9,)) -> Cluster:
    cluster = Cluster()
    cluster.compactions = [own(at=revision) for revision in at]
    cluster.peers = dict.fromkeys(at, peers)
    check(cluster.checks.check_compactions)
    return cluster


def test_the_newest_compaction_that_all_agree_on_is_checked_once() -> None:
    cluster = compactions(peer(2), peer(3), at=(9, 7))
    check(cluster.checks.check_compactions)
    cluster.compactions.insert(0, own(at=12))
    cluster.peers[12] = [peer(2), peer(3)]
    check(cluster.checks.check_compactions)

    assert (cluster.asked, cluster.accused) == ([9, 12], [])


def test_who_does_not_answer_is_asked_about_older_ones() -> None:
    cluster = compactions(peer(2), silent(3), at=(9, 7))
    check(cluster.checks.check_compactions)

    assert (cluster.asked, cluster.accused) == ([9, 7, 9, 7], [])
    assert cluster.lines[1:3] == [
        "Skipped peer's hash",
        "skipped revision in compaction hash check; was not able to check all peers",
    ]


def test_the_majority_is_believed() -> None:
    assert compactions(peer(2), peer(3, WRONG)).accused == [3]
    assert compactions(peer(2, WRONG), peer(3, WRONG)).accused == [OWN]
    assert compactions(peer(2), peer(3), peer(4, WRONG), peer(5, 333)).accused == [4, 5]


def test_without_a_majority_nobody_in_particular_is_accused() -> None:
    cluster = compactions(peer(2, WRONG), silent(3))

    assert cluster.accused == [0]
    assert "cannot identify the corrupted members" in cluster.lines[2]


def test_another_compaction_before_is_no_proof() -> None:
    assert compactions(peer(2, WRONG, compacted=4), peer(3)).accused == []


def test_a_mismatch_ends_the_round() -> None:
    assert compactions(peer(2), peer(3, WRONG), at=(9, 7)).asked == [9]


def test_alone_there_is_nothing_to_compare() -> None:
    cluster = compactions(at=(9, 7))

    assert (cluster.asked, cluster.accused) == ([9, 7], [])
