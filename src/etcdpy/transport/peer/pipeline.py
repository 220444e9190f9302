"""Posts single messages to a peer: where no stream is there yet, and for peers that are known only from afar.

At most four posts go on at a time, at most 64 messages wait; what does not fit is lost, and the caller says so to raft.
Order between posts is not kept: raft does not need it.

Upstream: rafthttp/pipeline.go (facts 7.3).
"""

from __future__ import annotations

from collections import deque
from typing import Final

from etcdpy.base.ids import format_id
from etcdpy.base.log import log_info
from etcdpy.pb.raft_values import Message
from etcdpy.raft.constants import MSG_SNAP
from etcdpy.transport.peer.client import (
    KeptConnections,
    MemberRemoved,
    PeerFailure,
    check_post_answer,
    request_head,
)
from etcdpy.transport.peer.status import PeerStatus
from etcdpy.transport.peer.urls import UrlPicker
from etcdpy.transport.peer.world import World

# etcd's connPerPipeline and pipelineBufSize. A message is a MiB or a single larger entry, which bounds the bytes.
POSTS_AT_ONCE: Final = 4
WAITING_MAX: Final = 64

RAFT_PATH: Final = "/raft"


class Pipeline:
    """See the top of the file."""

    def __init__(
        self,
        member_id: int,
        *,
        world: World,
        picker: UrlPicker,
        status: PeerStatus | None,
        connections: KeptConnections,
    ) -> None:
        self._member_id = member_id
        self._world = world
        self._picker = picker
        self._status = status
        self._connections = connections
        self._waiting: deque[Message] = deque()  # Invariant: at most WAITING_MAX.
        self._worker_count = 0  # Invariant: at most POSTS_AT_ONCE.
        self._is_closed = False
        log_info(
            world.log,
            "started HTTP pipelining with remote peer",
            local_member_id=world.own_id,
            remote_peer_id=format_id(member_id),
        )

    def post(self, message: Message) -> bool:
        """Take the message; return False when too many wait already."""
        if self._is_closed or len(self._waiting) >= WAITING_MAX:
            return False
        self._waiting.append(message)
        if self._worker_count < POSTS_AT_ONCE:
            self._worker_count += 1
            self._world.start(self._work())
        return True

    def close(self) -> None:
        self._is_closed = True
        self._waiting.clear()
        log_info(
            self._world.log,
            "stopped HTTP pipelining with remote peer",
            local_member_id=self._world.own_id,
            remote_peer_id=format_id(self._member_id),
        )

    async def _work(self) -> None:
        """Post until nothing waits."""
        try:
            while self._waiting:
                await self._post_one(self._waiting.popleft())
        finally:
            self._worker_count -= 1

    async def _post_one(self, message: Message) -> None:
        body = message.encode()
        url = self._picker.pick()
        head = request_head(
            self._world,
            url,
            "POST",
            RAFT_PATH,
            [("Content-Type", "application/protobuf"), ("Content-Length", str(len(body)))],
        )
        try:
            answer = await self._connections.fetch(url, head, body)
            check_post_answer(answer, RAFT_PATH, self._member_id)
        except (PeerFailure, OSError) as error:
            if not self._is_closed:
                self._picker.unreachable(url)
                self._failed(message, error)
            return
        self._posted(message, len(body))

    def _posted(self, message: Message, size_bytes: int) -> None:
        if self._status is not None:
            self._status.activate()
        self._world.counters.sent_bytes[self._member_id] += size_bytes
        if message.type == MSG_SNAP:
            self._world.receiver.report_snapshot(self._member_id, True)

    def _failed(self, message: Message, error: Exception) -> None:
        if self._status is not None:
            self._status.deactivate("write", "pipeline", error)
        self._world.counters.sent_failures[self._member_id] += 1
        self._world.receiver.report_unreachable(self._member_id)
        if message.type == MSG_SNAP:
            self._world.receiver.report_snapshot(self._member_id, False)
        if isinstance(error, MemberRemoved):
            self._world.receiver.on_removed_here()
