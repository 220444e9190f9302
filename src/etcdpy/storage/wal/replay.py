"""What the records of a log say, taken together; and the refusal of what no raft can have said.

Rules, each of which catches damage that the checksum does not see
  * the metadata is the same in every segment;
  * an entry continues the log or replaces its tail: index <= last + 1; nothing at or below a known commit is replaced;
  * terms of consecutive entries, and terms and commits of hard states, never go back;
  * a commit never passes the log;
  * the snapshot that the reader starts from is noted in the log, with its term, and committed.

A snapshot received from a leader (noted beyond what was committed) makes the log go on after it, unless the log holds
that very entry; this is what raft did when it came. It counts from the hard state that commits it, or from the entry
after it, which 3.5 members write before that state. A note that neither follows is the remains of a crash, and the
entries before it stay: others count on them. So is one after which the log goes on with entries that it would cover.

Upstream: WAL.ReadAll in server/wal/wal.go, which checks the metadata and the gap only.
"""

from __future__ import annotations

from etcdpy.pb.raft_values import Entry, HardState
from etcdpy.storage.wal.record import (
    ENTRY,
    METADATA,
    STATE,
    MalformedRecord,
    WalSnapshot,
    decode_entry,
    decode_hard_state,
    decode_snapshot,
)


class WalContents:
    """What a member finds again after a restart: `entries` are those after the snapshot that it starts from."""

    __slots__ = ("metadata", "hard_state", "entries")

    def __init__(self, metadata: bytes, hard_state: HardState, entries: list[Entry]) -> None:
        self.metadata = metadata
        self.hard_state = hard_state
        self.entries = entries

    def __repr__(self) -> str:
        return f"WalContents({self.hard_state}, {len(self.entries)} entries)"


class Replay:
    """The log as its records build it up.

    Invariant: `entries` have consecutive indexes, the first is start.index + 1, the last (if any) is `last_index`.
    `last_index` is None until the first entry or snapshot: a log that was purged begins somewhere.
    """

    __slots__ = (
        "start",
        "metadata",
        "hard_state",
        "entries",
        "last_index",
        "last_term",
        "last_saved_index",
        "_received",
        "_low_terms",
        "_is_matched",
    )

    def __init__(self, start: WalSnapshot) -> None:
        self.start = start
        self.metadata: bytes | None = None
        self.hard_state = HardState()
        self.entries: list[Entry] = []
        self.last_index: int | None = None
        self.last_term = 0
        self.last_saved_index = 0  # of the newest entry or snapshot record: the next segment is named after it
        self._received: WalSnapshot | None = None  # noted, and not yet known to count
        self._low_terms: dict[int, int] = {}  # index -> term of entries up to the start; some may be stale
        self._is_matched = False

    def add(self, record_type: int, data: bytes) -> None:
        """Take in one record. Raise MalformedRecord where it contradicts what came before."""
        if record_type == ENTRY:
            self._add_entry(decode_entry(data))
        elif record_type == STATE:
            self._add_hard_state(decode_hard_state(data))
        elif record_type == METADATA:
            self._add_metadata(data)
        else:
            self._add_snapshot(decode_snapshot(data))

    def finish(self) -> WalContents:
        """Return what was read. Raise MalformedRecord where it does not make a whole."""
        if self.metadata is None:
            raise MalformedRecord("metadata is missing")
        if not self._is_matched:
            raise MalformedRecord(f"snapshot not found: no record of the snapshot at index {self.start.index}")
        commit = self.hard_state.commit
        if commit < self.start.index:
            raise MalformedRecord(f"the snapshot at index {self.start.index} is newer than the commit {commit}")
        last_index = self.start.index + len(self.entries)
        if commit > last_index:
            raise MalformedRecord(f"commit {commit} is beyond the last entry {last_index}")
        return WalContents(self.metadata, self.hard_state, self.entries)

    def _add_entry(self, entry: Entry) -> None:
        index = entry.index
        if self._received is not None:
            self._settle_received(index)
        if self.last_index is None or index == self.last_index + 1:
            if entry.term < self.last_term:
                raise MalformedRecord(f"entry {index} has term {entry.term}, the one before {self.last_term}")
            if index > self.start.index + 1 + len(self.entries):
                raise MalformedRecord(f"entries are missing: {index} follows {self.start.index + len(self.entries)}")
        else:
            self._replace_tail(entry)
        if index <= self.hard_state.commit:
            raise MalformedRecord(f"entry {index} is written again, but {self.hard_state.commit} was committed")
        if index > self.start.index:
            self.entries.append(entry)
        else:
            self._low_terms[index] = entry.term
        self.last_index = self.last_saved_index = index
        self.last_term = entry.term

    def _replace_tail(self, entry: Entry) -> None:
        """Make room for an entry that a newer leader put in the place of others."""
        assert self.last_index is not None
        index = entry.index
        if index > self.last_index:
            raise MalformedRecord(f"entries are missing: {index} follows {self.last_index}")
        previous_term = self._find_term(index - 1) or 0
        if entry.term < previous_term:
            raise MalformedRecord(f"entry {index} has term {entry.term}, the one before {previous_term}")
        del self.entries[max(0, index - self.start.index - 1) :]

    def _settle_received(self, index: int) -> None:
        """An entry at `index` follows the note of a received snapshot, which counts or does not."""
        received = self._received
        assert received is not None
        if index == received.index + 1:
            self._go_on_after(received)
        self._received = None

    def _go_on_after(self, snapshot: WalSnapshot) -> None:
        self.last_index = snapshot.index
        self.last_term = snapshot.term
        self._low_terms = {snapshot.index: snapshot.term}
        self.entries.clear()

    def _add_hard_state(self, state: HardState) -> None:
        known = self.hard_state
        if self._received is not None and state.commit >= self._received.index:
            self._go_on_after(self._received)
            self._received = None
        if state.term < known.term or state.commit < known.commit:
            raise MalformedRecord(f"{state} goes back behind {known}")
        if self.last_index is not None and state.commit > self.last_index:
            raise MalformedRecord(f"commit {state.commit} is beyond the last entry {self.last_index}")
        self.hard_state = state

    def _add_metadata(self, data: bytes) -> None:
        if self.metadata is not None and data != self.metadata:
            raise MalformedRecord("conflicting metadata")
        self.metadata = data

    def _add_snapshot(self, snapshot: WalSnapshot) -> None:
        index = snapshot.index
        if index == self.start.index:
            if snapshot.term != self.start.term:
                raise MalformedRecord(f"snapshot mismatch at {index}: term {snapshot.term}, expected {self.start.term}")
            self._is_matched = True
        self.last_saved_index = max(self.last_saved_index, index)
        if not index:
            self.last_index = self.last_index or 0
        elif index > self.hard_state.commit and self._find_term(index) != snapshot.term:
            if self.last_index is None:  # a log that was purged begins somewhere
                self._go_on_after(snapshot)
            else:
                self._received = snapshot

    def _find_term(self, index: int) -> int | None:
        """Return the term of the entry at `index` where the log is known to hold it."""
        if self.last_index is None or index > self.last_index:
            return None
        position = index - self.start.index - 1
        if position < 0:
            return self._low_terms.get(index)
        return self.entries[position].term if position < len(self.entries) else None
