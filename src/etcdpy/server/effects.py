"""What the member wants done in the world, in the order in which it must happen: write, send, apply, answer reads."""

from __future__ import annotations

from etcdpy.pb.raft_values import Entry, HardState, Message, Snapshot


class Write:
    """One unit for the WAL. After it is on disk, and not before, the member takes it back by `persisted(write)`.

    Without `must_sync` there is nothing to write: it only waits for the writes before it.
    """

    __slots__ = ("entries", "hard_state", "snapshot", "responses", "must_sync")

    def __init__(
        self,
        entries: list[Entry],
        hard_state: HardState | None,
        snapshot: Snapshot | None,
        responses: list[Message],
        must_sync: bool,
    ) -> None:
        self.entries = entries
        self.hard_state = hard_state
        self.snapshot = snapshot
        self.responses = responses
        self.must_sync = must_sync


class Apply:
    """Committed entries to apply in order; then the member takes it back by `applied(apply)`."""

    __slots__ = ("entries", "responses")

    def __init__(self, entries: list[Entry], responses: list[Message]) -> None:
        self.entries = entries
        self.responses = responses


class Effects:
    """One step's worth. Empty lists and None where there is nothing to do."""

    __slots__ = ("write", "messages", "apply", "confirmed_reads", "leader_changed")

    def __init__(self) -> None:
        self.write: Write | None = None
        self.messages: list[Message] = []
        self.apply: Apply | None = None
        self.confirmed_reads: list[tuple[bytes, int]] = []  # (context, index that must be applied before the answer)
        self.leader_changed = False
