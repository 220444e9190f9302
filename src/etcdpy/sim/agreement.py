"""What members must agree on, looked at from above, while they run: raft's safety, as far as it shows.

    votes      a member grants one vote in a term                      (election safety's root)
    leaders    a term has one leader                                   (election safety)
    entries    an index, once applied, means one entry to everybody    (state machine safety)
    answers    and everybody's state machine says the same of it
    a leader   holds every entry that was applied under earlier terms  (leader completeness)
    commits    a leader commits nothing of other terms, but by entries of its own   (figure 8)
    logs       two entries of one index and term are the same, and so is all before them   (log matching)

Each throws InvariantError with both sides of the contradiction.
"""

from __future__ import annotations

from bisect import bisect_left

from etcdpy.base.errors import EtcdError
from etcdpy.base.invariant import InvariantError
from etcdpy.pb.raft_values import ENTRY_NORMAL, Entry, Message
from etcdpy.raft.constants import MSG_VOTE_RESP
from etcdpy.raft.raft import Raft
from etcdpy.raft.storage import MemoryStorage
from etcdpy.state.apply.applier import Result


class Book:
    """Everything that was agreed on so far."""

    def __init__(self) -> None:
        self._votes: dict[tuple[int, int], int] = {}  # (member, term) -> for whom
        self._leaders: dict[int, int] = {}  # term -> member
        self._commits: dict[int, int] = {}  # term -> its leader's commit index when it was elected
        self._entries: list[Entry] = [Entry()]  # Invariant: entry i has index i; all were applied by somebody.
        self._terms: list[int] = [0]  # their terms, which never fall
        self._answers: dict[int, tuple[int, bytes]] = {}  # index -> what the state machine said
        self.authors: dict[int, int] = {}  # request id -> number of the operation
        self._order: list[int] = []  # request ids as applied

    @property
    def last_index(self) -> int:
        return len(self._entries) - 1

    @property
    def order(self) -> list[int]:
        """The operations as the log applied them."""
        return [self.authors[request_id] for request_id in self._order if request_id in self.authors]

    def note_message(self, message: Message) -> None:
        """A message leaves: when it is a vote, it is the only one of its member in its term."""
        if message.type != MSG_VOTE_RESP or message.reject:
            return
        self._note_vote(message.from_, message.term, message.to)

    def _note_vote(self, member: int, term: int, candidate: int) -> None:
        known = self._votes.setdefault((member, term), candidate)
        if known != candidate:
            raise InvariantError(f"{member} voted in term {term} for {known} and for {candidate}")

    def note_leader(self, raft: Raft) -> None:
        """A member leads: alone in its term, with everything that was agreed on before."""
        known = self._leaders.get(raft.term)
        if known == raft.id:
            self._check_commit(raft)
            return
        if known is not None:
            raise InvariantError(f"term {raft.term} has two leaders, {known} and {raft.id}")
        self._leaders[raft.term] = raft.id
        self._commits[raft.term] = raft.log.committed
        self._note_vote(raft.id, raft.term, raft.id)
        index = bisect_left(self._terms, raft.term) - 1
        if index >= raft.log.first_index() - 1 and raft.log.term_or_zero(index) != self._terms[index]:
            raise InvariantError(
                f"{raft.id} leads term {raft.term} without entry {index} of term {self._terms[index]}: it was applied"
            )

    def _check_commit(self, raft: Raft) -> None:
        committed = raft.log.committed
        if committed > self._commits[raft.term] and raft.log.term_or_zero(committed) != raft.term:
            raise InvariantError(
                f"{raft.id} leads term {raft.term} and committed {committed} of term {raft.log.term_or_zero(committed)}"
            )

    def note_applied(self, member: int, entry: Entry, request_id: int, result: Result | None) -> None:
        """A member has applied an entry; `result` is None where it had done so in an earlier life."""
        index = entry.index
        if index < len(self._entries):
            if self._entries[index] != entry:
                raise InvariantError(f"{member} applied {entry}, others {self._entries[index]}")
        elif index == len(self._entries):
            self._entries.append(Entry(entry.term, entry.index, entry.type, entry.data))
            self._terms.append(entry.term)
            if entry.type == ENTRY_NORMAL and request_id:
                self._order.append(request_id)
        else:
            raise InvariantError(f"{member} applied entry {index} after {self.last_index}")
        if result is not None:
            self._note_answer(member, index, result)

    def _note_answer(self, member: int, index: int, result: Result) -> None:
        if isinstance(result, EtcdError):
            answer = (0, type(result).__name__.encode())
        else:
            answer = (result.revision, result.body)
        known = self._answers.setdefault(index, answer)
        if known != answer:
            raise InvariantError(f"entry {index} gave {answer} on {member}, {known} elsewhere")


def check_logs_match(first: MemoryStorage, second: MemoryStorage) -> None:
    """Raise unless the two logs are the same up to the last index at which their terms are."""
    start = max(first.first_index(), second.first_index())
    end = min(first.last_index(), second.last_index()) + 1
    if start >= end:
        return
    mine, theirs = first.entries(start, end), second.entries(start, end)
    same = [position for position in range(len(mine)) if mine[position].term == theirs[position].term]
    if same and mine[: same[-1] + 1] != theirs[: same[-1] + 1]:
        raise InvariantError(f"logs agree on the term of index {start + same[-1]}, but not on all before it")
