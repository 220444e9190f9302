"""The nouns of raft as plain Python values, and their bytes on the wire and on disk.

raft, the WAL and the peer transport all speak of entries, messages and states; these are the objects they pass.
They are plain classes, not protobuf messages, because the hot path touches several of each per write.

Go's encoder writes every non-nullable field, zero or not (facts 1.1, "!nn"). So do the encoders here: what they give
is byte for byte what etcd writes. The decoders take both forms.

Upstream: raft/raftpb/raft.proto.
"""

from __future__ import annotations

from typing import Final

from etcdpy.base.varint import encode_varint
from etcdpy.pb import raft_pb2

ENTRY_NORMAL: Final = 0
ENTRY_CONF_CHANGE: Final = 1
ENTRY_CONF_CHANGE_V2: Final = 2

# What stands in a message without a snapshot: the field is not nullable in 3.5, so Go writes one of zeros.
_NO_SNAPSHOT: Final = b"\x4a\x0a\x12\x08\x0a\x02\x28\x00\x10\x00\x18\x00"


class Entry:
    """One log entry. Never mutated after it is appended, but for `request`.

    `request` is what this process already knows of `data` (the decoded request and its waiter), so that the member that
    proposed an entry need not decode it again to apply it. It is never sent, never stored, and None after a restart.
    """

    __slots__ = ("term", "index", "type", "data", "request")

    def __init__(
        self, term: int = 0, index: int = 0, type: int = ENTRY_NORMAL, data: bytes = b"", request: object = None
    ) -> None:
        self.term = term
        self.index = index
        self.type = type
        self.data = data
        self.request = request

    def __repr__(self) -> str:
        return f"Entry(term={self.term}, index={self.index}, type={self.type}, data={self.data!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Entry) and (self.term, self.index, self.type, self.data) == (
            other.term,
            other.index,
            other.type,
            other.data,
        )

    __hash__ = None  # type: ignore[assignment]

    def encode(self) -> bytes:
        """Return the entry as raftpb.Entry. `Data` is nullable: left out when empty, as Go leaves out nil."""
        head = b"\x08%c\x10%b\x18%b" % (self.type, encode_varint(self.term), encode_varint(self.index))
        if not self.data:
            return head
        return head + b'"' + encode_varint(len(self.data)) + self.data

    @staticmethod
    def decode(data: bytes) -> Entry:
        """Return the entry that `data` holds. Raise google.protobuf.message.DecodeError on garbage."""
        return Entry.from_pb(raft_pb2.Entry.FromString(data))

    @staticmethod
    def from_pb(message: raft_pb2.Entry) -> Entry:
        return Entry(message.Term, message.Index, message.Type, message.Data)


class HardState:
    """What raft must find again after a crash: the newest term, the vote in it, and the commit index."""

    __slots__ = ("term", "vote", "commit")

    def __init__(self, term: int = 0, vote: int = 0, commit: int = 0) -> None:
        self.term = term
        self.vote = vote
        self.commit = commit

    def __repr__(self) -> str:
        return f"HardState(term={self.term}, vote={self.vote}, commit={self.commit})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, HardState) and (self.term, self.vote, self.commit) == (
            other.term,
            other.vote,
            other.commit,
        )

    __hash__ = None  # type: ignore[assignment]

    def is_empty(self) -> bool:
        return not (self.term or self.vote or self.commit)

    def encode(self) -> bytes:
        return self.encode_head() + encode_varint(self.commit)

    def encode_head(self) -> bytes:
        """Return the encoding up to the commit index, which changes most often and stands last."""
        return b"\x08" + encode_varint(self.term) + b"\x10" + encode_varint(self.vote) + b"\x18"

    @staticmethod
    def decode(data: bytes) -> HardState:
        message = raft_pb2.HardState.FromString(data)
        return HardState(message.term, message.vote, message.commit)


class ConfState:
    """Who votes and who learns; `voters_outgoing` is empty except in a joint configuration."""

    __slots__ = ("voters", "learners", "voters_outgoing", "learners_next", "auto_leave")

    def __init__(
        self,
        voters: list[int] | None = None,
        learners: list[int] | None = None,
        voters_outgoing: list[int] | None = None,
        learners_next: list[int] | None = None,
        auto_leave: bool = False,
    ) -> None:
        self.voters = voters or []
        self.learners = learners or []
        self.voters_outgoing = voters_outgoing or []
        self.learners_next = learners_next or []
        self.auto_leave = auto_leave

    def __repr__(self) -> str:
        return (
            f"ConfState(voters={self.voters}, learners={self.learners}, voters_outgoing={self.voters_outgoing}, "
            f"learners_next={self.learners_next}, auto_leave={self.auto_leave})"
        )

    def __eq__(self, other: object) -> bool:
        """Equal as sets: the order of the ids says nothing."""
        return isinstance(other, ConfState) and self._as_sets() == other._as_sets()

    __hash__ = None  # type: ignore[assignment]

    def _as_sets(self) -> tuple[list[int], list[int], list[int], list[int], bool]:
        return (
            sorted(self.voters),
            sorted(self.learners),
            sorted(self.voters_outgoing),
            sorted(self.learners_next),
            self.auto_leave,
        )

    def to_pb(self) -> raft_pb2.ConfState:
        return raft_pb2.ConfState(
            voters=self.voters,
            learners=self.learners,
            voters_outgoing=self.voters_outgoing,
            learners_next=self.learners_next,
            auto_leave=self.auto_leave,
        )

    @staticmethod
    def from_pb(message: raft_pb2.ConfState) -> ConfState:
        return ConfState(
            list(message.voters),
            list(message.learners),
            list(message.voters_outgoing),
            list(message.learners_next),
            message.auto_leave,
        )


class Snapshot:
    """A point of the log and, in `data`, what the state machine needs besides its database (the v2 store's JSON)."""

    __slots__ = ("data", "index", "term", "conf_state")

    def __init__(self, data: bytes = b"", index: int = 0, term: int = 0, conf_state: ConfState | None = None) -> None:
        self.data = data
        self.index = index
        self.term = term
        self.conf_state = conf_state or ConfState()

    def __repr__(self) -> str:
        return f"Snapshot(index={self.index}, term={self.term}, conf_state={self.conf_state}, {len(self.data)} bytes)"

    def is_empty(self) -> bool:
        return self.index == 0

    def to_pb(self) -> raft_pb2.Snapshot:
        return raft_pb2.Snapshot(
            data=self.data or None,
            metadata=raft_pb2.SnapshotMetadata(conf_state=self.conf_state.to_pb(), index=self.index, term=self.term),
        )

    @staticmethod
    def from_pb(message: raft_pb2.Snapshot) -> Snapshot:
        metadata = message.metadata
        return Snapshot(message.data, metadata.index, metadata.term, ConfState.from_pb(metadata.conf_state))


class Message:
    """One message between raft nodes, or between a node and its own storage threads. Fields as in raftpb.Message."""

    __slots__ = (
        "type",
        "to",
        "from_",
        "term",
        "log_term",
        "index",
        "entries",
        "commit",
        "vote",
        "snapshot",
        "reject",
        "reject_hint",
        "context",
        "responses",
    )

    def __init__(
        self,
        type: int,
        to: int = 0,
        from_: int = 0,
        term: int = 0,
        log_term: int = 0,
        index: int = 0,
        entries: list[Entry] | None = None,
        commit: int = 0,
        vote: int = 0,
        snapshot: Snapshot | None = None,
        reject: bool = False,
        reject_hint: int = 0,
        context: bytes = b"",
        responses: list[Message] | None = None,
    ) -> None:
        self.type = type
        self.to = to
        self.from_ = from_
        self.term = term
        self.log_term = log_term
        self.index = index
        self.entries = entries or []
        self.commit = commit
        self.vote = vote
        self.snapshot = snapshot
        self.reject = reject
        self.reject_hint = reject_hint
        self.context = context
        self.responses = responses or []

    def __repr__(self) -> str:
        name = raft_pb2.MessageType.Name(self.type)  # type: ignore[arg-type]
        return f"Message({name}, {self.from_:x}->{self.to:x}, term={self.term}, index={self.index})"

    def encode(self) -> bytes:
        """Return the message as raftpb.Message of 3.5, which every version reads."""
        parts = [
            b"\x08%b\x10%b\x18%b\x20%b\x28%b\x30%b"
            % (
                encode_varint(self.type),
                encode_varint(self.to),
                encode_varint(self.from_),
                encode_varint(self.term),
                encode_varint(self.log_term),
                encode_varint(self.index),
            )
        ]
        for entry in self.entries:
            encoded = entry.encode()
            parts.append(b":" + encode_varint(len(encoded)))
            parts.append(encoded)
        parts.append(b"\x40" + encode_varint(self.commit))
        if self.snapshot is None:
            parts.append(_NO_SNAPSHOT)
        else:
            encoded = self.snapshot.to_pb().SerializeToString()
            parts += (b"\x4a" + encode_varint(len(encoded)), encoded)
        parts.append(b"\x50%c\x58%b" % (self.reject, encode_varint(self.reject_hint)))
        if self.context:
            parts += (b"\x62" + encode_varint(len(self.context)), self.context)
        if self.vote:
            parts.append(b"\x68" + encode_varint(self.vote))
        for response in self.responses:
            encoded = response.encode()
            parts += (b"\x72" + encode_varint(len(encoded)), encoded)
        return b"".join(parts)

    @staticmethod
    def decode(data: bytes) -> Message:
        """Return the message of another member. Raise google.protobuf.message.DecodeError on garbage.

        A snapshot is looked at only where one can be. `vote` and `responses` are for the node's own threads: they never
        come over the network. A type that we do not know comes out as MsgHup, which no member may send.
        """
        message = raft_pb2.Message.FromString(data)
        entries = message.entries
        is_snapshot = message.type == raft_pb2.MsgSnap
        return Message(
            message.type,
            message.to,
            getattr(message, "from"),
            message.term,
            message.logTerm,
            message.index,
            [Entry(entry.Term, entry.Index, entry.Type, entry.Data) for entry in entries] if entries else None,
            message.commit,
            snapshot=Snapshot.from_pb(message.snapshot) if is_snapshot else None,
            reject=message.reject,
            reject_hint=message.rejectHint,
            context=message.context,
        )

    def to_pb(self) -> raft_pb2.Message:
        message = raft_pb2.Message(
            type=self.type,  # type: ignore[arg-type]
            to=self.to,
            term=self.term,
            logTerm=self.log_term,
            index=self.index,
            entries=[
                raft_pb2.Entry(Term=e.term, Index=e.index, Type=e.type, Data=e.data or None)  # type: ignore[arg-type]
                for e in self.entries
            ],
            commit=self.commit,
            vote=self.vote,
            snapshot=self.snapshot.to_pb() if self.snapshot is not None else None,
            reject=self.reject,
            rejectHint=self.reject_hint,
            context=self.context or None,
            responses=[response.to_pb() for response in self.responses],
        )
        setattr(message, "from", self.from_)
        return message

    @staticmethod
    def from_pb(message: raft_pb2.Message) -> Message:
        return Message(
            type=message.type,
            to=message.to,
            from_=getattr(message, "from"),
            term=message.term,
            log_term=message.logTerm,
            index=message.index,
            entries=[Entry.from_pb(entry) for entry in message.entries],
            commit=message.commit,
            vote=message.vote,
            snapshot=Snapshot.from_pb(message.snapshot) if message.HasField("snapshot") else None,
            reject=message.reject,
            reject_hint=message.rejectHint,
            context=message.context,
            responses=[Message.from_pb(response) for response in message.responses],
        )
