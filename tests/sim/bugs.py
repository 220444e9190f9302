"""Bugs that are known to be bugs, each planted into the running code: what the simulator must find.

Each stands for a class of faults that consensus systems have had. A bug is a `Faults` for the simulated drivers, or a
wrong function in the place of a right one for as long as the context lasts.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from etcdpy.pb.raft_values import Entry, Message
from etcdpy.raft import reads
from etcdpy.raft.log import RaftLog
from etcdpy.raft.quorum import VOTE_WON
from etcdpy.raft.raft import Raft
from etcdpy.raft.tracker import Tracker
from etcdpy.server.loop import MemberLoop
from etcdpy.server.member import Member
from etcdpy.server.reads import ReadQueue
from etcdpy.server.service import Service
from etcdpy.sim.backend import VirtualBackend
from etcdpy.sim.faults import Faults
from etcdpy.sim.settings import CAMPAIGN, CRASH, PARTITION, TORN_WRITE, Settings, choose_settings
from etcdpy.state.mvcc.store import Store
from etcdpy.storage.schema import buckets, meta


@dataclass(frozen=True, slots=True)
class Patch:
    owner: Any  # a class or a module
    name: str
    wrong: Callable[..., Any]


def usual(seed: int) -> Settings:
    return choose_settings(random.Random(seed))


def churning(seed: int) -> Settings:
    """Leaders come and go before much is replicated."""
    return replace(
        usual(seed),
        members=3,
        troubles=(CRASH, CAMPAIGN, PARTITION),
        trouble_seconds=0.2,
        chaos_seconds=8.0,
        clients=8,
        watchers=1,
        think_seconds=0.03,
        read_share=0.2,
        loss=0.05,
        reordering=0.1,
        delay_seconds=0.05,
        entries_per_message_bytes=1,
        snapshot_count=10_000,
        pre_vote=False,
        check_quorum=False,
    )


def dueling(seed: int) -> Settings:
    """Candidates meet in one term, their requests are late or come twice, and voters crash in between."""
    return replace(
        churning(seed),
        members=5,
        troubles=(CRASH, CAMPAIGN),
        trouble_seconds=0.15,
        clients=3,
        read_share=0.9,
        duplication=0.2,
        reordering=0.3,
        delay_seconds=0.03,
    )


def torn(seed: int) -> Settings:
    """Few writes, many of them torn, and the power goes before the next."""
    return replace(
        usual(seed),
        members=3,
        troubles=(TORN_WRITE,),
        trouble_seconds=0.8,
        chaos_seconds=16.0,
        clients=3,
        watchers=1,
        think_seconds=0.1,
        read_share=0.9,
        loss=0.0,
        duplication=0.0,
        reordering=0.0,
        delay_seconds=0.005,
        snapshot_count=10_000,
        pre_vote=True,
        check_quorum=True,
    )


def alone(seed: int) -> Settings:
    """One member that applies while its disk is at work, and loses its power."""
    return replace(usual(seed), members=1, troubles=(CRASH, TORN_WRITE), trouble_seconds=0.5, is_disk_busy=False)


def divided(seed: int) -> Settings:
    """Old leaders are asked while new ones are written to."""
    return replace(
        usual(seed),
        troubles=(PARTITION,),
        trouble_seconds=1.0,
        clients=8,
        think_seconds=0.05,
        read_share=0.5,
        check_quorum=False,
    )


@dataclass(frozen=True, slots=True)
class Bug:
    """`world` draws settings that give the bug a chance to show; `first`: the seed to begin with."""

    faults: Faults = field(default_factory=Faults)
    patch: Patch | None = None
    world: Callable[[int], Settings] = usual
    first: int = 0

    @contextmanager
    def planted(self) -> Iterator[None]:
        if self.patch is None:
            yield
            return
        owner, name = self.patch.owner, self.patch.name
        right = getattr(owner, name)
        setattr(owner, name, self.patch.wrong)
        try:
            yield
        finally:
            setattr(owner, name, right)


# -- raft


def count_votes_twice(self: Tracker) -> tuple[int, int, int]:
    granted, rejected, result = right_tally(self)
    return granted, rejected, VOTE_WON if 2 * granted > len(self.membership.voters()) // 2 else result


right_tally = Tracker.tally_votes


def commit_any_term(self: RaftLog, *, index: int, term: int) -> bool:
    """Figure 8 of the paper: an old term's entry on a majority is not committed by that."""
    if index <= self.committed:
        return False
    self.commit_to(index)
    return True


def confirm_at_once(raft: Raft, message: Message) -> None:
    reads._answer(raft, message, raft.log.committed)


def append_unchecked(self: RaftLog, *, index: int, term: int, entries: list[Entry], committed: int) -> int | None:
    """Whatever stands before: only a gap is refused."""
    if index > self.last_index:
        return None
    right_term = self.term_or_zero(index)
    return right_append(self, index=index, term=right_term, entries=entries, committed=committed)


right_append = RaftLog.maybe_append


# -- the member


def promise_at_once(self: Member) -> Any:
    """Promises leave with the messages, before what they promise is on disk."""
    effects = right_take(self)
    if effects is not None and effects.write is not None:
        own = [response for response in effects.write.responses if response.to == self.id]
        effects.messages = effects.messages + [r for r in effects.write.responses if r.to != self.id]
        effects.write.responses = own
    return effects


right_take = Member.take_effects


def reuse_context(self: Service) -> bytes | None:
    """All rounds of a member under one name: an answer to an old one confirms a new one."""
    if not self._reads.wants_round:
        return None
    now = self._loop.time()
    self._reads.start_round(b"reads", now, now + self._timeout_seconds)
    return b"reads"


def confirm_for_now(self: ReadQueue, context: bytes, index: int) -> None:
    """As if everything that was committed were applied."""
    right_confirm(self, context, 0)


right_confirm = ReadQueue.confirm


def tell_unsynced(self: MemberLoop) -> None:
    """A member alone tells what it applied while the disk was still at it."""
    self._unsynced = None
    self._backend.log_is_behind = False


# -- the state machine


def forget_an_event(self: Store, start_revision: int, end_revision: int, limit: int = 1000) -> Any:
    changes, next_revision = right_changes(self, start_revision, end_revision, limit)
    return changes[:-1], next_revision


right_changes = Store.changes_between


def end_entry_apart(self: VirtualBackend, index: int, term: int) -> None:
    """The consistent index gets to the disk before the effects that it counts (etcd issue 13766)."""
    right_end(self, index, term)
    self.database.tables[buckets.META].pop(meta.CONSISTENT_INDEX)
    journal = self.database._journal
    journal[:] = [record for record in journal if record[1] != meta.CONSISTENT_INDEX]
    self.database.tables[buckets.META][meta.CONSISTENT_INDEX] = meta.encode_u64(index)
    self._boundary = self.database.mark


right_end = VirtualBackend.end_entry


BUGS: dict[str, Bug] = {
    "a write counts as durable before it is synced": Bug(Faults(skips_sync=True)),
    "a promise leaves before what it promises is on disk": Bug(patch=Patch(Member, "take_effects", promise_at_once)),
    "a restart forgets the vote": Bug(Faults(forgets_vote=True), world=dueling),
    "a restart trusts a log that is not synced": Bug(Faults(trusts_unsynced_log=True), world=torn, first=70),
    "entries are applied twice after a restart": Bug(Faults(forgets_index=True)),
    "the consistent index is durable before its effects": Bug(
        patch=Patch(VirtualBackend, "end_entry", end_entry_apart)
    ),
    "a put is acknowledged before it is committed": Bug(Faults(acknowledges_early=True)),
    "a member alone tells before its disk holds it": Bug(
        patch=Patch(MemberLoop, "_sync_inline", tell_unsynced), world=alone
    ),
    "votes count twice": Bug(patch=Patch(Tracker, "tally_votes", count_votes_twice)),
    "an old term's entry commits by counting": Bug(
        patch=Patch(RaftLog, "maybe_commit", commit_any_term), world=churning
    ),
    "a follower appends without the consistency check": Bug(
        patch=Patch(RaftLog, "maybe_append", append_unchecked), world=churning
    ),
    "a read is answered without confirmation": Bug(patch=Patch(reads, "_confirm", confirm_at_once), world=divided),
    "a read does not wait for its index": Bug(patch=Patch(ReadQueue, "confirm", confirm_for_now)),
    "a context of reads is used again": Bug(patch=Patch(Service, "close_read_round", reuse_context)),
    "an event is lost at catch-up": Bug(patch=Patch(Store, "changes_between", forget_an_event)),
}
