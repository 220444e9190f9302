"""Corruption checks: do all members hold the same history? Three occasions, one way to find out: hashes.

    at the start     own hash against everybody's at our revision; who differs does not serve
    periodically     the leader compares its own hash with the others', before and after a linearizable barrier
    compactions      the leader compares the hashes of the last compactions (state.mvcc.compaction_hashes)

Hashes are comparable only for the same revision and the same compacted revision. Whoever does not answer, or holds less
or more than was asked for, is no proof of anything.

Who is found to differ has the alarm CORRUPT raised for it, through the log; from then on the cluster refuses requests
(state.apply). The periodic check raises one alarm a round: against itself if its own hash changed, else against the
first that differs. The check of compactions believes the majority; without one it accuses member 0, which is nobody.

Upstream: etcdserver/corrupt.go.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from etcdpy.base.errors import ClusterIDMismatch, Compacted, EtcdError, FutureRev
from etcdpy.base.ids import NO_MEMBER, format_id
from etcdpy.base.invariant import StorageError
from etcdpy.base.log import Duration, log_error, log_info, log_warn
from etcdpy.server.peer_questions import HashAnswer, PeerHash
from etcdpy.state.mvcc.hash_kv import KvHash


class DataInconsistent(StorageError):
    """This member's data differs from its peers': it must not serve."""


class Hasher(Protocol):
    """Our own history and the others'."""

    async def hash_now(self) -> KvHash:
        """Return the hash of everything that is applied."""

    def compaction_hashes(self) -> Sequence[KvHash]:
        """Return those of the last compactions, newest first."""

    async def ask_peers(self, revision: int) -> Sequence[PeerHash]:
        """Return what the other members say of their history up to `revision`."""


class CorruptionChecks:
    """The three checks of one member. Nothing here decides when, or whether we lead."""

    def __init__(
        self,
        hasher: Hasher,
        *,
        member_id: int,
        wait_linearizable: Callable[[], Awaitable[object]],
        raise_corrupt: Callable[[int], None],
        request_timeout_seconds: float,
        log: logging.Logger,
    ) -> None:
        self._hasher = hasher
        self._member_id = member_id
        self._wait_linearizable = wait_linearizable
        self._raise_corrupt = raise_corrupt
        self._request_timeout_seconds = request_timeout_seconds
        self._log = log
        self._newest_checked = 0  # The newest compaction that all members were seen to agree on.

    # -- at the start

    async def check_before_serving(self) -> None:
        """Raise DataInconsistent when a peer holds something else at our revision."""
        name = format_id(self._member_id)
        log_info(
            self._log,
            "starting initial corruption check",
            local_member_id=name,
            timeout=Duration(self._request_timeout_seconds),
        )
        try:
            own = await self._hasher.hash_now()
        except EtcdError as error:
            raise DataInconsistent(f"{name} failed to fetch hash ({error})") from error
        differing = [self._differs_at_start(own, peer) for peer in await self._hasher.ask_peers(own.revision)]
        if any(differing):
            raise DataInconsistent(f"{name} found data inconsistency with peers")
        log_info(self._log, "initial corruption checking passed; no corruption", local_member_id=name)

    def _differs_at_start(self, own: KvHash, peer: PeerHash) -> bool:
        fields: dict[str, object] = {
            "local_member_id": format_id(self._member_id),
            "local_member_revision": own.revision,
            "local_member_compact_revision": own.compact_revision,
            "local_member_hash": own.hash,
            "remote_peer_id": format_id(peer.member_id),
            "remote_peer_endpoints": list(peer.endpoints),
        }
        theirs = peer.answer
        if theirs is None:
            text = _explain(peer.error)
            if text:
                log_warn(self._log, text, **fields, error=str(peer.error))
            return False
        if theirs.hash == own.hash:
            return False
        fields |= {
            "remote_peer_revision": theirs.revision,
            "remote_peer_compact_revision": theirs.compact_revision,
            "remote_peer_hash": theirs.hash,
        }
        if theirs.compact_revision != own.compact_revision:
            log_warn(self._log, "found different compact revision values from remote peer", **fields)
            return False
        log_warn(self._log, "found different hash values from remote peer", **fields)
        return True

    # -- periodically

    async def check_periodically(self) -> None:
        """Compare everybody's history with ours, and accuse the first that differs. Leader only. Raise EtcdError."""
        before = await self._hasher.hash_now()
        peers = await self._hasher.ask_peers(before.revision)
        await self._wait_linearizable()
        after = await self._hasher.hash_now()
        accused = [self._member_id] if self._has_changed(before, after) else []
        answered = [(peer.member_id, peer.answer) for peer in peers if peer.answer is not None]
        for member_id, answer in answered:
            if self._find_faults(member_id, answer, before, after):
                accused.append(member_id)
        if accused:
            self._raise_corrupt(accused[0])
        log_info(self._log, "finished peer corruption check", number_of_peers_checked=len(answered))

    def _has_changed(self, before: KvHash, after: KvHash) -> bool:
        """Return whether our own history changed without a revision."""
        if (before.revision, before.compact_revision) != (after.revision, after.compact_revision):
            return False
        if before.hash == after.hash:
            return False
        log_warn(
            self._log,
            "found hash mismatch",
            revision_1=before.revision,
            compact_revision_1=before.compact_revision,
            hash_1=before.hash,
            revision_2=after.revision,
            compact_revision_2=after.compact_revision,
            hash_2=after.hash,
        )
        return True

    def _find_faults(self, member_id: int, theirs: HashAnswer, before: KvHash, after: KvHash) -> bool:
        """Log everything that cannot be at a follower of ours; return whether there was anything."""
        name, count = format_id(member_id), 0
        if theirs.revision > after.revision:
            count += 1
            log_warn(
                self._log,
                "revision from follower must be less than or equal to leader's",
                leader_revision=after.revision,
                follower_revision=theirs.revision,
                follower_peer_id=name,
            )
        if theirs.compact_revision > after.compact_revision:
            count += 1
            log_warn(
                self._log,
                "compact revision from follower must be less than or equal to leader's",
                leader_compact_revision=after.compact_revision,
                follower_compact_revision=theirs.compact_revision,
                follower_peer_id=name,
            )
        if theirs.compact_revision == before.compact_revision and theirs.hash != before.hash:
            count += 1
            log_warn(
                self._log,
                "same compact revision then hashes must match",
                leader_compact_revision=after.compact_revision,
                leader_hash=before.hash,
                follower_compact_revision=theirs.compact_revision,
                follower_hash=theirs.hash,
                follower_peer_id=name,
            )
        return count > 0

    # -- compactions

    async def check_compactions(self) -> None:
        """Compare the hashes of compactions, newest first, until one tells something. Leader only."""
        log_info(
            self._log,
            "starting compact hash check",
            local_member_id=format_id(self._member_id),
            timeout=Duration(self._request_timeout_seconds),
        )
        checked = 0
        for own in self._hasher.compaction_hashes():
            if own.hash_revision <= self._newest_checked:
                break
            checked += 1
            peers = await self._hasher.ask_peers(own.hash_revision)
            if peers and self._judge_compaction(own, peers):
                break
        log_info(self._log, "finished compaction hash check", number_of_hashes_checked=checked)

    def _judge_compaction(self, own: KvHash, peers: Sequence[PeerHash]) -> bool:
        """Accuse whoever differs; return whether older compactions need no look."""
        by_hash, answered = self._group_by_hash(own, peers)
        if len(by_hash) > 1:
            self._accuse_minority(own, by_hash, member_count=len(peers) + 1)
            return True
        if answered < len(peers):
            log_warn(
                self._log,
                "skipped revision in compaction hash check; was not able to check all peers",
                number_of_peers_checked=answered,
                number_of_peers=len(peers),
                revision=own.hash_revision,
            )
            return False
        self._newest_checked = max(self._newest_checked, own.hash_revision)
        log_info(
            self._log,
            "successfully checked hash on whole cluster",
            number_of_peers_checked=answered,
            revision=own.hash_revision,
            compactRevision=own.compact_revision,
        )
        return True

    def _group_by_hash(self, own: KvHash, peers: Sequence[PeerHash]) -> tuple[dict[int, list[int]], int]:
        """Return hash -> members that hold it, and how many peers could be compared."""
        by_hash = {own.hash: [self._member_id]}
        answered = 0
        for peer in peers:
            theirs = peer.answer
            if theirs is not None and theirs.compact_revision == own.compact_revision:
                answered += 1
                by_hash.setdefault(theirs.hash, []).append(peer.member_id)
                continue
            log_warn(
                self._log,
                "Skipped peer's hash",
                number_of_peers=len(peers),
                leader_id=format_id(self._member_id),
                peer_id=format_id(peer.member_id),
                reason="no response"
                if theirs is None
                else f"the peer's CompactRevision {theirs.compact_revision} doesn't match "
                f"leader's CompactRevision {own.compact_revision}",
            )
        return by_hash, answered

    def _accuse_minority(self, own: KvHash, by_hash: dict[int, list[int]], *, member_count: int) -> None:
        quorum = member_count // 2 + 1
        trusted = [value for value, members in by_hash.items() if len(members) >= quorum]
        leader: dict[str, object] = {
            "leader_id": format_id(self._member_id),
            "leader_revision": own.hash_revision,
            "leader_compact_revision": own.compact_revision,
            "leader_hash": own.hash,
        }
        if not trusted:
            log_error(
                self._log,
                "Detected compaction hash mismatch but cannot identify the corrupted members, "
                "so intentionally set the memberID as 0",
                **leader,
            )
            self._raise_corrupt(NO_MEMBER)
        for value, members in by_hash.items():
            if value in trusted:
                continue
            if trusted:
                for member_id in members:
                    self._raise_corrupt(member_id)
            log_error(
                self._log,
                "Detected compaction hash mismatch",
                **leader,
                peer_hash=value,
                peer_ids=[format_id(member_id) for member_id in members],
                quorum_exist=bool(trusted),
            )


def _explain(error: Exception | None) -> str:
    if isinstance(error, FutureRev):
        return "cannot fetch hash from slow remote peer"
    if isinstance(error, Compacted):
        return "cannot fetch hash from remote peer; local member is behind"
    return "cluster ID mismatch" if isinstance(error, ClusterIDMismatch) else ""
