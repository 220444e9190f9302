"""One raft node: everything it knows, the change of its role, and its outbox.

What it does with a message is told in other files, each taking this object: `election`, `proposals`, `replication`,
`following`, `reads`, `transfer`, `reconfiguration`; `step` chooses among them.

Rules
  * term never falls; vote changes within a term only from nobody to somebody.
  * Messages leave in order. What promises something about our disk (an acknowledged append, a granted vote) goes to
    `messages_after_append`: it leaves once everything that was to be written by then is written.
  * A message to ourselves is such a promise, and nothing else.

Upstream: raft/raft.go.
"""

from __future__ import annotations

from etcdpy.base.invariant import InvariantError
from etcdpy.pb.raft_values import Entry, HardState, Message
from etcdpy.raft.config import Config
from etcdpy.raft.constants import (
    CANDIDATE,
    FOLLOWER,
    LEADER,
    MESSAGE_NAMES,
    NO_MEMBER,
    PRE_CANDIDATE,
    PROMISE_MESSAGES,
    ROLE_NAMES,
    TERMLESS_MESSAGES,
    VOTE_MESSAGES,
)
from etcdpy.raft.log import RaftLog
from etcdpy.raft.progress import Progress
from etcdpy.raft.read_only import ReadOnly, ReadState
from etcdpy.raft.sizes import NO_LIMIT
from etcdpy.raft.tracker import Tracker


class Raft:
    """See the top of the file."""

    __slots__ = (
        "id",
        "config",
        "logger",
        "term",
        "vote",
        "role",
        "leader_id",
        "is_learner",
        "log",
        "tracker",
        "messages",
        "messages_after_append",
        "read_only",
        "read_states",
        "postponed_reads",
        "transferee",
        "pending_conf_index",
        "acknowledged_index",
        "uncommitted_size",
        "election_elapsed",
        "heartbeat_elapsed",
        "randomized_election_timeout",
    )

    def __init__(self, config: Config, log: RaftLog, tracker: Tracker) -> None:
        self.id = config.id
        self.config = config
        self.logger = config.logger
        self.term = 0
        self.vote = NO_MEMBER
        self.role = FOLLOWER
        self.leader_id = NO_MEMBER
        self.is_learner = False
        self.log = log
        self.tracker = tracker
        self.messages: list[Message] = []
        self.messages_after_append: list[Message] = []
        self.read_only = ReadOnly()
        self.read_states: list[ReadState] = []
        # Reads that came before this leader committed an entry of its own term: its commit index may be old until then.
        self.postponed_reads: list[Message] = []
        self.transferee = NO_MEMBER  # Who the leader is handing over to; no proposals meanwhile.
        # The last conf change in our log, as leader: no other until it is applied. May be too high, never too low.
        self.pending_conf_index = 0
        self.acknowledged_index = 0  # As follower: how far we told this term's leader that our log is his.
        self.uncommitted_size = 0  # Bytes of data proposed and not committed; counted only when there is a limit.
        self.election_elapsed = 0
        self.heartbeat_elapsed = 0
        self.randomized_election_timeout = config.election_tick

    # What others read

    def hard_state(self) -> HardState:
        return HardState(self.term, self.vote, self.log.committed)

    def load_hard_state(self, state: HardState) -> None:
        """Go on where the last run ended.

        Its commit index may be behind what a snapshot or the state machine shows to be committed: it is written without
        a sync of its own, or not at all.
        """
        if state.commit > self.log.last_index:
            raise InvariantError(
                f"{self.id:x} state.commit {state.commit} is out of range [{self.log.committed}, {self.log.last_index}]"
            )
        self.log.committed = max(self.log.committed, state.commit)
        self.term = state.term
        self.vote = state.vote

    def is_promotable(self) -> bool:
        """Return whether we may become leader: a voter whose state machine is no snapshot behind."""
        progress = self.tracker.progress.get(self.id)
        return progress is not None and not progress.is_learner and not self.log.has_snapshot_pending()

    def has_committed_in_term(self) -> bool:
        return self.log.term_or_zero(self.log.committed) == self.term

    def describe_last(self) -> str:
        return f"logterm: {self.log.last_term()}, index: {self.log.last_index}"

    # The outbox

    def send(self, message: Message) -> None:
        """Put `message` into the outbox, from us and of our term unless it says otherwise."""
        kind = message.type
        if not message.from_:
            message.from_ = self.id
        if kind in VOTE_MESSAGES:
            if not message.term:
                raise InvariantError(f"term should be set when sending {MESSAGE_NAMES[kind]}")
        else:
            if message.term:
                raise InvariantError(f"term should not be set when sending {MESSAGE_NAMES[kind]} (was {message.term})")
            if kind not in TERMLESS_MESSAGES:
                message.term = self.term
        if kind in PROMISE_MESSAGES:
            self.messages_after_append.append(message)
            return
        if message.to == self.id:
            raise InvariantError(f"{MESSAGE_NAMES[kind]} should not be sent to ourselves")
        self.messages.append(message)

    # Changes of role

    def reset(self, term: int) -> None:
        """Forget what belongs to one term and one role."""
        if self.term != term:
            self.term = term
            self.vote = NO_MEMBER
        self.leader_id = NO_MEMBER
        self.election_elapsed = 0
        self.heartbeat_elapsed = 0
        self.reset_randomized_election_timeout()
        self.transferee = NO_MEMBER
        self.pending_conf_index = 0
        self.acknowledged_index = 0
        self.uncommitted_size = 0
        self.read_only = ReadOnly()
        self.postponed_reads = []
        self._reset_tracker()

    def _reset_tracker(self) -> None:
        tracker = self.tracker
        tracker.reset_votes()
        last_index = self.log.last_index
        for member, progress in tracker.progress.items():
            tracker.progress[member] = tracker.new_progress(
                match=last_index if member == self.id else 0, next=last_index + 1, is_learner=progress.is_learner
            )

    def reset_randomized_election_timeout(self) -> None:
        """Draw from [election_tick, 2 * election_tick): candidates must not keep meeting (paper 5.2)."""
        ticks = self.config.election_tick
        self.randomized_election_timeout = ticks + self.config.rng.randrange(ticks)

    def become_follower(self, term: int, leader_id: int) -> None:
        self.reset(term)
        self.leader_id = leader_id
        self.role = FOLLOWER
        self.logger.info(f"{self.id:x} became follower at term {self.term}")

    def become_pre_candidate(self) -> None:
        """Ask for votes without a new term: nobody is disturbed if they are not given (thesis 9.6)."""
        self._check_not_leading()
        self.tracker.reset_votes()
        self.leader_id = NO_MEMBER
        self.role = PRE_CANDIDATE
        self.logger.info(f"{self.id:x} became pre-candidate at term {self.term}")

    def become_candidate(self) -> None:
        self._check_not_leading()
        self.reset(self.term + 1)
        self.vote = self.id
        self.role = CANDIDATE
        self.logger.info(f"{self.id:x} became candidate at term {self.term}")

    def become_leader(self) -> None:
        if self.role == FOLLOWER:
            raise InvariantError(f"{self.id:x} cannot go from follower to leader")
        self.reset(self.term)
        self.leader_id = self.id
        self.role = LEADER
        own = self.tracker.progress[self.id]
        own.become_replicate()
        own.is_recently_active = True
        # There may be a conf change among the entries that we took over; assuming so is safe, and short-lived.
        self.pending_conf_index = self.log.last_index

    def _check_not_leading(self) -> None:
        if self.role == LEADER:
            raise InvariantError(f"{self.id:x} cannot go from leader to candidate")

    def abort_transfer(self) -> None:
        self.transferee = NO_MEMBER

    def own_progress(self) -> Progress | None:
        return self.tracker.progress.get(self.id)

    # Flow control of proposals

    def maybe_add_uncommitted(self, size: int) -> bool:
        """Count `size` more bytes of proposals; refuse when that passes the limit. A first one always passes."""
        limit = self.config.max_uncommitted_size
        if limit >= NO_LIMIT:
            return True
        if self.uncommitted_size > 0 and size > 0 and self.uncommitted_size + size > limit:
            return False
        self.uncommitted_size += size
        return True

    def subtract_uncommitted(self, entries: list[Entry]) -> None:
        if self.config.max_uncommitted_size < NO_LIMIT and self.uncommitted_size:
            size = sum([len(entry.data) for entry in entries])
            # Entries of an earlier leadership were never counted.
            self.uncommitted_size = max(0, self.uncommitted_size - size)

    def check_invariants(self) -> None:
        """Raise unless log, tracker and role fit together. For tests and the simulator: it walks the log's tail."""
        self.log.check_invariants()
        self.tracker.check_invariants()
        self.read_only.check_invariants()
        if self.role == LEADER and self.leader_id != self.id:
            raise InvariantError(f"{self.id:x} leads, but takes {self.leader_id:x} for the leader")
        if self.role in (CANDIDATE, PRE_CANDIDATE) and self.leader_id != NO_MEMBER:
            raise InvariantError(f"{ROLE_NAMES[self.role]} {self.id:x} has leader {self.leader_id:x}")
        if self.role == LEADER and self.vote not in (NO_MEMBER, self.id):
            raise InvariantError(f"{self.id:x} leads term {self.term} having voted for {self.vote:x}")
        if self.role != LEADER and self.transferee != NO_MEMBER:
            raise InvariantError(f"{ROLE_NAMES[self.role]} {self.id:x} hands over to {self.transferee:x}")
        # The log may begin with a snapshot that was made by hand; what was appended since is of a term that we knew.
        tail = self.log.unstable.tail
        if tail and tail[-1].term > self.term:
            raise InvariantError(f"log of term {tail[-1].term} in term {self.term}")
