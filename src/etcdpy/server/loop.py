"""The driver: makes a member's effects happen on a real disk and network, once per event-loop turn.

    submit -> pending --(turn ends)--> raft -> write: fdatasync -> committed -> apply -> answers, watch events
    peer ---> receive --(turn ends)-->  |  --> messages to peers, before the write

Proposals gather until the loop's turn ends, across all connections, so that one write and one fdatasync carry them all.
While the disk thread syncs batch n, proposals gather into batch n+1, and so do the writes that a leader asks of us.
When at most two wait and the thread is idle, the sync happens right here: waking a thread and being woken costs more
than a quick disk (design section 2).

A member alone applies such a write while the disk is at it: written, applied, synced, and only then told. Nobody but
this turn sees what is not durable yet: there are no messages to send, the backend begins no commit, nothing else runs.

A snapshot that came from a leader is one long write: whoever installs it says when it is done, and the writes that come
meanwhile wait.

Whatever goes wrong with the disk, or in apply, ends the member: `failed` is told once, nothing is acknowledged after.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final, Protocol

from etcdpy.base.errors import Compacted, EtcdError
from etcdpy.base.invariant import InvariantError
from etcdpy.pb.raft_values import ENTRY_NORMAL, Entry, HardState, Message
from etcdpy.raft.constants import LOCAL_THREADS, MSG_APP, MSG_SNAP
from etcdpy.raft.errors import ProposalDropped, RaftError
from etcdpy.server.disk import DiskThread
from etcdpy.server.effects import Apply, Effects, Write
from etcdpy.server.inline_sync import InlineSync
from etcdpy.server.member import Member
from etcdpy.state.apply.applier import Result
from etcdpy.state.apply.proposal import Proposal

# More than two waiting make a batch that is worth the thread's latency (measured: design section 2).
INLINE_PROPOSALS_MAX: Final = 2
# How long followers may be kept in the dark about a commit that only clients of the leader wait for. Their reads ask
# for the index anyway; a watcher there hears so much later.
COMMIT_TOLD_SECONDS: Final = 0.001
# What filling a commit may take of one turn; 10,000 items take about 2 ms in all.
BACKEND_SECONDS_PER_TURN: Final = 0.001
# While the backend is congested nothing else may wake us up.
CONGESTION_POLL_SECONDS: Final = 0.005


class Consumer(Protocol):
    """Who takes what the loop brings about: the service."""

    def on_results(self, results: list[tuple[int, Result | None]]) -> None:
        """Requests were applied: (request id, what the proposer is told)."""

    def close_read_round(self) -> bytes | None:
        """Return the context of a new round for the reads that gathered, or None when there are none."""

    def on_reads_confirmed(self, context: bytes, index: int) -> None:
        """Reads of the round `context` may be answered once `index` is applied."""

    def on_turn_end(self, applied_index: int) -> None:
        """Everything that could be applied now is."""

    def on_leader_change(self, leader_id: int, *, is_self: bool) -> None: ...

    def on_conf_change(self, entry: Entry) -> None: ...

    def on_failure(self, error: BaseException) -> None: ...


class Log(Protocol):
    """Where writes become durable: the WAL. What `encode` returns is its own affair, and persisted in that order."""

    def encode(self, entries: list[Entry], hard_state: HardState | None, /) -> Any: ...

    def persist(self, batch: Any, /) -> None:
        """On the disk thread, or on the loop. Raise StorageError."""

    def write(self, batch: Any, /) -> None:
        """The first half of `persist`, which does not wait for the disk. `sync` comes next."""

    def sync(self, batch: Any, /) -> None:
        """The other half: what `write` was given last becomes durable."""


class StateMachine(Protocol):
    """Who makes state of committed entries: the applier."""

    def apply_entry(self, entry: Entry, /) -> tuple[int, Result | None]:
        """Apply one normal entry; return its request id and what its proposer is told."""


class Commits(Protocol):
    """How what is applied gets to disk by and by: the backend."""

    log_is_behind: bool

    def poll(self, now: float, /) -> None: ...

    def has_work(self) -> bool: ...

    def is_congested(self) -> bool: ...

    def fail(self, error: BaseException, /) -> None: ...


class Others(Protocol):
    """How messages and whole states get to the other members, and theirs to us."""

    def send(self, messages: list[Message], /) -> None:
        """Send what can be sent, without waiting; what cannot be is dropped and reported."""

    def send_snapshot(self, message: Message, /) -> None:
        """Bring our state to a follower that is too far behind; `message` is raft's MsgSnap."""

    def install(self, write: Write, done: Callable[[], None], /) -> None:
        """Make the snapshot of `write` our state, durably, hard state and all; then call `done`."""


class Stopwatch(Protocol):
    """Who wants to know how long entries take to apply."""

    def note(self, is_good: bool, seconds: float, /) -> bool:
        """Take the time of the entry that was applied last; return whether it is worth a word."""

    def tell(self, entry: Entry, result: Result | None, seconds: float, /) -> None:
        """Say that word."""


class MemberLoop:
    """Owns the turn. Everything here runs on the event loop's thread, except the jobs given to `disk`."""

    def __init__(
        self,
        *,
        loop: asyncio.AbstractEventLoop,
        member: Member,
        wal: Log,
        disk: DiskThread,
        applier: StateMachine,
        backend: Commits,
        stopwatch: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._loop = loop
        self._stopwatch = stopwatch
        self._member = member
        self._wal = wal
        self._disk = disk
        self._applier = applier
        self._backend = backend
        self._consumer: Consumer | None = None
        self._others: Others | None = None
        self._pending: list[Entry] = []
        self._pending_as_leader: list[tuple[int, Entry]] = []  # (the only term in which it may be proposed, entry)
        # What tells others of a commit; it leaves with the next message or when the timer says so.
        self._commits_to_tell: list[Message] = []
        self._tells_later = False  # Invariant: a timer is set while there is anything in _commits_to_tell.
        self._writes_waiting: list[Write] = []  # for the disk thread, in log order
        self._unsynced: Any = None  # a batch that is written and may be applied, but not told of. None between turns
        self._unsynced_seconds = 0.0  # that the loop stood still to write it
        self._is_writing = False  # the disk thread has a write, or a snapshot is being installed
        self._to_apply: deque[Apply] = deque()
        self._is_scheduled = False
        self._wants_campaign = False
        self._looks_again = False  # a timer will look whether the backend is still congested
        self._sync_here = InlineSync()
        self.has_failed = False
        self.apply_times: Stopwatch | None = None  # None: nobody wants to know

    def start(self, consumer: Consumer) -> None:
        self._consumer = consumer
        self.schedule()

    def connect(self, others: Others) -> None:
        """Give the member the others. Before `start`; a member alone may do without."""
        self._others = others

    # -- in

    def receive(self, message: Message) -> None:
        """Take a message of a peer, whatever it says."""
        if message.from_ not in LOCAL_THREADS:
            self.guard(lambda: self._step(message))

    def report_unreachable(self, member_id: int) -> None:
        """A message to a peer was dropped."""
        self.guard(lambda: self._member.report_unreachable(member_id))

    def report_snapshot(self, member_id: int, ok: bool) -> None:
        """A snapshot reached a peer, or did not."""
        self.guard(lambda: self._member.report_snapshot(member_id, ok))
        self.schedule()

    def _step(self, message: Message) -> None:
        try:
            self._member.step(message)
        except RaftError:
            # Of a member that left, or a proposal without a leader to take it: its sender will not hear of it, as if it
            # had been lost on the way.
            return
        self.schedule()

    def propose(self, entry: Entry) -> None:
        self._pending.append(entry)
        if not self._is_scheduled:
            self.schedule()

    def withdraw(self, request_ids: set[int]) -> set[int]:
        """Take back proposals that no leader was there to take; return whose they were."""
        taken = self._take_pending(
            lambda entry: isinstance(entry.request, Proposal) and entry.request.request_id in request_ids
        )
        return {entry.request.request_id for entry in taken if isinstance(entry.request, Proposal)}

    def take_back(self, entry: Entry) -> bool:
        """Take back one proposal that no leader was there to take; return whether it was not too late."""
        return bool(self._take_pending(lambda other: other is entry))

    def _take_pending(self, is_meant: Callable[[Entry], bool]) -> list[Entry]:
        taken = [entry for entry in self._pending if is_meant(entry)]
        if taken:
            self._pending = [entry for entry in self._pending if not is_meant(entry)]
        return taken

    def propose_as_leader(self, entry: Entry) -> None:
        """Propose what only the leader of this very term may say; when its turn comes in another one it is dropped.

        Ordinary proposals are sent on to whoever leads by then, which may be long after they were made: a disk hangs.
        """
        self._pending_as_leader.append((self._member.term, entry))
        self.schedule()

    def tick(self) -> None:
        self._member.tick()
        self.schedule()

    def campaign_when_applied(self) -> None:
        """Stand for election as soon as everything known to be committed is applied (raft demands that)."""
        self._wants_campaign = True
        self.schedule()

    def schedule(self) -> None:
        """Make sure that a turn follows."""
        if not self._is_scheduled and not self.has_failed:
            self._is_scheduled = True
            self._loop.call_soon(self.guard, self._turn)

    @property
    def is_quiet(self) -> bool:
        """Nothing is on its way: no proposal, no write, no entry to apply.

        A proposal that no leader is there to take is on no way yet, and may never be.
        """
        return not (self._has_work() or self._is_writing)

    def _has_work(self) -> bool:
        proposals = (self._pending or self._pending_as_leader) and self._member.leader_id
        return bool(proposals or self._writes_waiting or self._to_apply or self._is_scheduled)

    def fail(self, error: BaseException) -> None:
        """Stop for ever; tell the consumer once. What is half done must not get into the store by later commits."""
        if not self.has_failed:
            self.has_failed = True
            self._backend.fail(error)
            assert self._consumer is not None
            self._consumer.on_failure(error)

    # -- the turn

    def guard(self, step: Callable[[], None]) -> None:
        """Run `step`; whatever it raises ends the member."""
        if self.has_failed:
            return
        try:
            step()
        except Exception as error:  # a broken disk or our own bug: the member ends, see the module's text
            self.fail(error)
        except (KeyboardInterrupt, SystemExit) as error:
            # Somebody interrupts the process in the middle of a turn: what it had begun to apply would be left out.
            self.fail(error)
            raise

    def _turn(self) -> None:
        self._is_scheduled = False
        member, consumer = self._member, self._consumer
        assert consumer is not None
        if (self._pending or self._pending_as_leader) and not self._is_writing and member.leader_id:
            self._propose_pending()
        if member.leader_id:
            while (context := consumer.close_read_round()) is not None:
                member.read_index(context)
        self._pump()

    def _propose_pending(self) -> None:
        batch, self._pending = self._pending, []
        member = self._member
        as_leader, self._pending_as_leader = self._pending_as_leader, []
        said = [entry for term, entry in as_leader if member.is_leader and member.term == term]
        if not (batch or said):
            return
        try:
            member.propose(batch + said if said else batch)
        except ProposalDropped:
            # The lead is being handed over. None of it is in the log: the next turn tries again.
            self._pending = batch + self._pending

    def _pump(self) -> None:
        member, consumer = self._member, self._consumer
        assert consumer is not None
        if self._to_apply:  # the backend was congested: is it still? First, because what is applied makes room for more
            self._apply_waiting()
        while True:
            while (effects := member.take_effects()) is not None:
                self._carry_out(effects)
            # Last: promises have left by now, and the disk thread works while we do.
            if not self._apply_waiting():
                break
        self._sync_inline()
        if self._wants_campaign and member.applied_index == member.committed_index:
            self._wants_campaign = False
            member.campaign()
            self.schedule()
        consumer.on_turn_end(member.applied_index)  # before the backend: answers need not wait for it
        if self._commits_to_tell and not self._tells_later:
            self._tells_later = True
            self._loop.call_later(COMMIT_TOLD_SECONDS, self.guard, self._tell_commits)
        self._poll_backend()

    def _carry_out(self, effects: Effects) -> None:
        """Do everything but apply."""
        consumer, write = self._consumer, effects.write
        assert consumer is not None
        if write is not None or effects.messages:
            self._sync_inline()
        if effects.messages and not self._may_wait_for_answers(effects):
            # Before our own write: the others write at the same time.
            self._send(effects.messages)
        if write is not None:
            if self._is_worth_the_thread(write):
                self._writes_waiting.append(write)
            else:
                self._write_inline(write)
        if self._writes_waiting and not self._is_writing:
            self._write_waiting()
        if effects.leader_changed:
            self._sync_inline()
            consumer.on_leader_change(self._member.leader_id, is_self=self._member.is_leader)
            self.schedule()
        for context, index in effects.confirmed_reads:
            consumer.on_reads_confirmed(context, index)
        if effects.apply is not None:
            self._to_apply.append(effects.apply)

    def _may_wait_for_answers(self, effects: Effects) -> bool:
        """Keep back for a moment what tells others of a commit; return whether it was that.

        A client that puts one key after the other brings the next append right away, and that tells of the commit, too:
        half of the followers' messages. Only our own clients wait for such entries: those that another member proposed
        are told of at once, and so is whatever takes long to apply.
        """
        apply, messages = effects.apply, effects.messages
        if apply is None or effects.write is not None or len(apply.entries) > INLINE_PROPOSALS_MAX:
            return False
        for entry in apply.entries:
            if entry.request is None:
                return False
        for message in messages:
            if message.type != MSG_APP or message.entries:
                return False
        self._commits_to_tell += messages
        return True

    def _tell_commits(self) -> None:
        self._tells_later = False
        if self._commits_to_tell:
            self._send([])

    def _poll_backend(self) -> None:
        """Move a commit forward: for a moment in every turn, so that it keeps up with what is applied meanwhile."""
        backend, now = self._backend, self._loop.time()
        backend.poll(now)
        if not backend.has_work():
            return
        give_back_at = self._stopwatch() + BACKEND_SECONDS_PER_TURN
        while backend.has_work():
            if self._stopwatch() > give_back_at:
                self.schedule()
                return
            backend.poll(now)

    # -- disk

    def _is_worth_the_thread(self, write: Write) -> bool:
        if self._is_writing or self._writes_waiting:
            return True
        return write.must_sync and (
            len(write.entries) > INLINE_PROPOSALS_MAX
            or write.snapshot is not None
            or not self._sync_here.is_allowed
            or not self._disk.is_idle
        )

    def _write_waiting(self) -> None:
        """Begin what waits: a snapshot alone, or everything before the next one as one batch."""
        waiting = self._writes_waiting
        self._is_writing = True
        if waiting[0].snapshot is not None:
            self._install(waiting.pop(0))
            return
        count = next((n for n, write in enumerate(waiting) if write.snapshot is not None), len(waiting))
        writes, self._writes_waiting = waiting[:count], waiting[count:]
        batches = [self._wal.encode(write.entries, write.hard_state) for write in merge_writes(writes)]

        job = WriteJob(self._wal, batches, self._stopwatch)
        self._disk.submit(job.run, lambda error: self._on_written(writes, job, error))

    def _install(self, write: Write) -> None:
        """Put a received snapshot in the place of our state. What was to be applied is in it."""
        assert self._others is not None and write.snapshot is not None
        snapshot = write.snapshot
        self._to_apply.clear()

        def done() -> None:
            self.guard(finish)

        def finish() -> None:
            self._member.persisted(write)
            self._member.restored(snapshot)
            self._is_writing = False
            self._turn()

        self._others.install(write, done)

    def _write_inline(self, write: Write) -> None:
        if write.entries or write.hard_state is not None:
            batch = self._wal.encode(write.entries, write.hard_state)
            started = self._stopwatch()
            if write.entries and self._member.is_alone:
                self._wal.write(batch)
                self._unsynced_seconds = self._stopwatch() - started
                self._unsynced = batch
                self._backend.log_is_behind = True
            else:
                self._wal.persist(batch)
                self._sync_here.note_inline(self._stopwatch() - started)
        self._member.persisted(write)

    def _sync_inline(self) -> None:
        """Make durable what was applied before it was, if anything, so that it may be told."""
        if self._unsynced is None:
            return
        started = self._stopwatch()
        self._wal.sync(self._unsynced)
        # To begin may take long, too: where the disk's queue is full the system lets us wait already then.
        self._sync_here.note_inline(self._stopwatch() - started + self._unsynced_seconds)
        self._unsynced = None
        self._backend.log_is_behind = False

    def _on_written(self, writes: list[Write], job: WriteJob, error: BaseException | None) -> None:
        self._is_writing = False
        self._sync_here.note_thread(job.total_seconds(), job.sync_seconds)
        if error is not None:
            self.fail(error)
            return
        self.guard(lambda: self._after_writes(writes))

    def _after_writes(self, writes: list[Write]) -> None:
        for write in writes:
            self._member.persisted(write)
        # Hand the next batch to the disk before applying this one: both then happen at once.
        self._turn()

    def _send(self, messages: list[Message]) -> None:
        others = self._others
        if self._commits_to_tell:  # each member gets its messages in raft's order
            messages, self._commits_to_tell = self._commits_to_tell + messages, []
        if others is None:
            raise InvariantError(f"a member alone has {len(messages)} messages for others")
        snapshots = [message for message in messages if message.type == MSG_SNAP]
        for message in snapshots:
            others.send_snapshot(message)
        if snapshots:
            messages = [message for message in messages if message.type != MSG_SNAP]
        others.send(messages)

    # -- apply

    def _apply_waiting(self) -> bool:
        """Apply what waits; return whether anything was. A congested backend lets it wait."""
        count = len(self._to_apply)
        while self._to_apply:
            if self._backend.is_congested():
                if not self._looks_again:
                    self._looks_again = True
                    self._loop.call_later(CONGESTION_POLL_SECONDS, self._look_again)
                break
            self._apply(self._to_apply.popleft())
        return len(self._to_apply) < count

    def _look_again(self) -> None:
        self._looks_again = False
        self.schedule()

    def _apply(self, apply: Apply) -> None:
        assert self._consumer is not None
        results: list[tuple[int, Result | None]] = []
        apply_entry, append = self._applier.apply_entry, results.append
        times = self.apply_times
        began = self._stopwatch() if times is not None else 0.0
        for entry in apply.entries:
            if entry.type == ENTRY_NORMAL:
                outcome = apply_entry(entry)
                append(outcome)
                if times is not None:
                    ended = self._stopwatch()
                    result = outcome[1]
                    is_good = not isinstance(result, EtcdError) or isinstance(result, Compacted)
                    if times.note(is_good, ended - began):
                        times.tell(entry, result, ended - began)
                    began = ended
            else:
                self._sync_inline()
                self._consumer.on_conf_change(entry)
                if times is not None:
                    began = self._stopwatch()
        self._sync_inline()
        self._member.applied(apply)
        self._consumer.on_results(results)


class WriteJob:
    """Batches for the disk thread, and how long it has them."""

    def __init__(self, wal: Log, batches: list[Any], stopwatch: Callable[[], float]) -> None:
        self._wal = wal
        self._batches = batches
        self._stopwatch = stopwatch
        self._submitted = stopwatch()
        self.sync_seconds = 0.0

    def run(self) -> None:
        """On the disk thread."""
        began = self._stopwatch()
        for batch in self._batches:
            self._wal.persist(batch)
        self.sync_seconds = self._stopwatch() - began

    def total_seconds(self) -> float:
        return self._stopwatch() - self._submitted


def merge_writes(writes: list[Write]) -> list[Write]:
    """Return as few writes as leave the disk as `writes` do one after the other; they carry no responses.

    Where entries replace earlier ones a new write begins: a batch of the log is contiguous. The hard state may stand
    behind all of a batch: nobody is promised anything before the whole of it is on disk.
    """
    merged: list[Write] = []
    for write in writes:
        entries, state = write.entries, write.hard_state
        last = merged[-1] if merged else None
        if last is not None and (not entries or not last.entries or entries[0].index == last.entries[-1].index + 1):
            last.entries += entries
            last.hard_state = state or last.hard_state
        else:
            merged.append(Write(list(entries), state, None, [], write.must_sync))
    return [write for write in merged if write.entries or write.hard_state is not None]
