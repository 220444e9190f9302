"""All connections to one other member, and which of them a message takes.

    Peer     a member of our configuration
        MsgApp                  > msgapp stream  \\  not attached: pipeline
        everything else         > message stream /
        (its two streams to us are dialled by readers)
    Remote   known only by what it says: pipeline

Upstream: rafthttp/peer.go, remote.go.
"""

from __future__ import annotations

from collections.abc import Sequence

from etcdpy.base.ids import format_id
from etcdpy.base.log import log_info, log_warn
from etcdpy.pb.raft_values import Message
from etcdpy.raft.constants import MSG_APP, MSG_SNAP
from etcdpy.transport.peer.client import KeptConnections
from etcdpy.transport.peer.intake import Intake, name_of
from etcdpy.transport.peer.pipeline import Pipeline
from etcdpy.transport.peer.probe import Prober
from etcdpy.transport.peer.snapshot_sender import OnDone, SnapshotSender
from etcdpy.transport.peer.status import PeerStatus
from etcdpy.transport.peer.stream_kind import MESSAGE_STREAM, MSGAPP_STREAM, STREAM_KINDS, StreamKind
from etcdpy.transport.peer.stream_reader import StreamReader
from etcdpy.transport.peer.stream_writer import OutgoingStream, StreamWriter
from etcdpy.transport.peer.urls import UrlPicker
from etcdpy.transport.peer.world import World


class Peer:
    """A member of our configuration. Raise BadUrl when one of its URLs is none."""

    def __init__(self, member_id: int, urls: Sequence[str], *, world: World, intake: Intake) -> None:
        self.member_id = member_id
        self._world = world
        self._picker = UrlPicker(urls)
        log_info(world.log, "starting remote peer", remote_peer_id=format_id(member_id))
        self.status = PeerStatus(member_id, loop=world.loop, logger=world.log, counters=world.counters)
        self._connections = KeptConnections(world)
        self._pipeline = Pipeline(
            member_id, world=world, picker=self._picker, status=self.status, connections=self._connections
        )
        self._snapshots = SnapshotSender(member_id, world=world, picker=self._picker, status=self.status)
        self._prober = Prober(member_id, world=world, picker=self._picker, connections=self._connections)
        self._writers = {kind: StreamWriter(kind, member_id, world=world, status=self.status) for kind in STREAM_KINDS}
        self._readers = [
            StreamReader(kind, member_id, world=world, picker=self._picker, status=self.status, intake=intake)
            for kind in STREAM_KINDS
        ]
        log_info(world.log, "started remote peer", remote_peer_id=format_id(member_id))

    @property
    def is_streaming(self) -> bool:
        """Whether the peer takes both streams from us."""
        return all(writer.is_attached for writer in self._writers.values())

    def send(self, messages: Sequence[Message]) -> None:
        appends = [message for message in messages if message.type == MSG_APP]
        others = [message for message in messages if message.type != MSG_APP]
        if appends:
            self._send_on(MSGAPP_STREAM, appends)
        if others:
            self._send_on(MESSAGE_STREAM, others)

    def send_snapshot(self, message: Message, path: str, size_bytes: int, on_done: OnDone | None) -> None:
        self._snapshots.send(message, path, size_bytes, on_done)

    def attach(self, kind: StreamKind, stream: OutgoingStream) -> StreamWriter:
        """Take a connection on which the peer wants to be streamed to; return whom its end is told."""
        writer = self._writers[kind]
        writer.attach(stream)
        return writer

    def update(self, urls: Sequence[str]) -> None:
        self._picker.update(urls)

    def close(self) -> None:
        log_info(self._world.log, "stopping remote peer", remote_peer_id=format_id(self.member_id))
        for writer in self._writers.values():
            writer.close()
        self._pipeline.close()
        self._snapshots.close()
        self._prober.close()
        for reader in self._readers:
            reader.close()
        self._connections.close()
        self.status.close()
        log_info(self._world.log, "stopped remote peer", remote_peer_id=format_id(self.member_id))

    def _send_on(self, kind: StreamKind, messages: Sequence[Message]) -> None:
        writer = self._writers[kind]
        if writer.is_attached:
            count, name = writer.send(messages), kind.name
        else:
            count, name = _post_all(self._pipeline, messages), "pipeline"
        if count < len(messages):
            self._lost(messages[count:], name)

    def _lost(self, messages: Sequence[Message], name: str) -> None:
        """The way is full: drop, and say so once."""
        self._world.counters.sent_failures[self.member_id] += len(messages)
        if self.status.is_active:
            log_warn(
                self._world.log,
                "dropped internal Raft message since sending buffer is full",
                message_type=name_of(messages[0]),
                local_member_id=self._world.own_id,
                **{"from": format_id(messages[0].from_)},
                remote_peer_id=format_id(self.member_id),
                remote_peer_name=name,
                remote_peer_active=True,
            )
        _report_lost(self._world, self.member_id, messages)


class Remote:
    """A member that may not be in our configuration (yet): what we have for it is posted."""

    def __init__(self, member_id: int, urls: Sequence[str], *, world: World) -> None:
        self.member_id = member_id
        self._world = world
        picker = UrlPicker(urls)
        self._connections = KeptConnections(world)
        self._pipeline = Pipeline(member_id, world=world, picker=picker, status=None, connections=self._connections)
        self._snapshots = SnapshotSender(member_id, world=world, picker=picker, status=None)

    def send(self, messages: Sequence[Message]) -> None:
        count = _post_all(self._pipeline, messages)
        if count < len(messages):
            self._world.counters.sent_failures[self.member_id] += len(messages) - count
            _report_lost(self._world, self.member_id, messages[count:])

    def send_snapshot(self, message: Message, path: str, size_bytes: int, on_done: OnDone | None) -> None:
        self._snapshots.send(message, path, size_bytes, on_done)

    def close(self) -> None:
        self._pipeline.close()
        self._snapshots.close()
        self._connections.close()


def _post_all(pipeline: Pipeline, messages: Sequence[Message]) -> int:
    """Post the messages; return how many of them, from the first, were taken."""
    for count, message in enumerate(messages):
        if not pipeline.post(message):
            return count
    return len(messages)


def _report_lost(world: World, member_id: int, messages: Sequence[Message]) -> None:
    world.receiver.report_unreachable(member_id)
    if any(message.type == MSG_SNAP for message in messages):
        world.receiver.report_snapshot(member_id, False)
