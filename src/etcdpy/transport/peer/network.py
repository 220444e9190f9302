"""The node's view of all other members: who they are, and a way to give them messages.

    network = PeerNetwork(loop=loop, identity=identity, receiver=member, snap_directory=..., logger=log, rng=rng)
    network.add_peer(member_id, urls)
    network.send(messages)
    await network.close()

Rules
  * Everything happens on the loop's thread. No call but `close` waits, and none raises because of the network.
  * What cannot be sent is lost and reported: raft sends again, with what is right by then.
  * A member that we do not know is not talked to; one that talks to us and tells its URLs becomes a remote, so that a
    member which is behind can be helped by those it does not know yet.

Upstream: rafthttp/transport.go.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from typing import Final

from etcdpy.base.ids import format_id
from etcdpy.base.log import log_debug, log_info, log_warn
from etcdpy.pb.raft_values import Message
from etcdpy.raft.constants import MSG_APP, MSG_APP_RESP, NO_MEMBER
from etcdpy.transport.peer.counters import Counters
from etcdpy.transport.peer.intake import Intake
from etcdpy.transport.peer.peer import Peer, Remote
from etcdpy.transport.peer.receiver import Receiver
from etcdpy.transport.peer.settings import Identity, Timeouts
from etcdpy.transport.peer.tasks import Tasks
from etcdpy.transport.peer.urls import BadUrl
from etcdpy.transport.peer.world import Connector, PlainConnector, World

# Remotes come of what strangers say; a cluster has seven members, seldom more.
REMOTES_MAX: Final = 32
REMOTE_URLS_MAX: Final = 16


class PeerNetwork:
    """See the top of the file."""

    def __init__(
        self,
        *,
        loop: asyncio.AbstractEventLoop,
        identity: Identity,
        receiver: Receiver,
        snap_directory: str,
        logger: logging.Logger,
        rng: random.Random,
        timeouts: Timeouts | None = None,
        connector: Connector | None = None,
        on_failure: Callable[[BaseException], None] | None = None,
    ) -> None:
        """`on_failure` is given what must not happen, such as a receiver that raises in a task of ours."""
        self._tasks = Tasks(loop, on_failure or _to_loop(loop))
        self.world = World(
            loop=loop,
            identity=identity,
            timeouts=timeouts or Timeouts(),
            receiver=receiver,
            connector=connector or PlainConnector(loop),
            counters=Counters(),
            log=logger,
            rng=rng,
            tasks=self._tasks,
            snap_directory=snap_directory,
        )
        self.intake = Intake(self.world)
        self._peers: dict[int, Peer] = {}
        self._remotes: dict[int, Remote] = {}  # Invariant: at most REMOTES_MAX, none of them a peer.
        self._is_closed = False

    # ---- who there is

    def add_peer(self, member_id: int, urls: Sequence[str]) -> None:
        """Know a member of the cluster: streams to and from it are kept up. One that is known already stays.

        Raise BadUrl.
        """
        if self._is_closed or member_id in self._peers or member_id == self.world.identity.member_id:
            return
        peer = Peer(member_id, urls, world=self.world, intake=self.intake)
        self._remove_remote(member_id)
        self._peers[member_id] = peer
        log_info(
            self.world.log,
            "added remote peer",
            local_member_id=self.world.own_id,
            remote_peer_id=format_id(member_id),
            remote_peer_urls=list(urls),
        )

    def update_peer(self, member_id: int, urls: Sequence[str]) -> None:
        """Reach a peer at other URLs from now on. Raise BadUrl."""
        peer = self._peers.get(member_id)
        if peer is None:
            return
        peer.update(urls)
        log_info(
            self.world.log,
            "updated remote peer",
            local_member_id=self.world.own_id,
            updated_remote_peer_id=format_id(member_id),
            updated_remote_peer_urls=list(urls),
        )

    def remove_peer(self, member_id: int) -> None:
        """Forget a member, close its connections."""
        self._remove_remote(member_id)
        peer = self._peers.pop(member_id, None)
        if peer is None:
            return
        peer.close()
        log_info(
            self.world.log,
            "removed remote peer",
            local_member_id=self.world.own_id,
            removed_remote_peer_id=format_id(member_id),
        )

    def remove_all_peers(self) -> None:
        for member_id in sorted(self._peers):
            self.remove_peer(member_id)

    def add_remote(self, member_id: int, urls: Sequence[str]) -> None:
        """Know a member that may not be in our configuration yet: it is only posted to. Bad URLs are logged."""
        if self._is_closed or member_id in (self.world.identity.member_id, NO_MEMBER):
            return
        if member_id in self._peers or member_id in self._remotes:
            return
        if len(self._remotes) >= REMOTES_MAX or len(urls) > REMOTE_URLS_MAX:
            log_warn(self.world.log, "ignored new remote peer", remote_peer_id=format_id(member_id))
            return
        try:
            self._remotes[member_id] = Remote(member_id, urls, world=self.world)
        except BadUrl as error:
            log_warn(self.world.log, "ignored new remote peer", remote_peer_id=format_id(member_id), error=str(error))
            return
        log_info(
            self.world.log,
            "added new remote peer",
            local_member_id=self.world.own_id,
            remote_peer_id=format_id(member_id),
            remote_peer_urls=list(urls),
        )

    def find_peer(self, member_id: int) -> Peer | None:
        return self._peers.get(member_id)

    def knows(self, member_id: int) -> bool:
        """Whether that member is a peer or a remote."""
        return member_id in self._peers or member_id in self._remotes

    def peer_ids(self) -> list[int]:
        return sorted(self._peers)

    # ---- sending

    def send(self, messages: Sequence[Message]) -> None:
        """Send what can be sent. Never waits, never raises for the network: what is lost is reported unreachable."""
        by_member: dict[int, list[Message]] = {}
        for message in messages:
            by_member.setdefault(message.to, []).append(message)
        for member_id, its_messages in by_member.items():
            target = self._peers.get(member_id) or self._remotes.get(member_id)
            if target is not None:
                target.send(leave_out_covered(its_messages))
            elif member_id != NO_MEMBER:
                log_debug(
                    self.world.log,
                    "ignored message send request; unknown remote peer target",
                    unknown_target_peer_id=format_id(member_id),
                )

    def send_snapshot(
        self, message: Message, path: str, size_bytes: int, on_done: Callable[[bool], None] | None = None
    ) -> None:
        """Post a MsgSnap and the database file behind it. `on_done(ok)`: the file is not needed any more."""
        target = self._peers.get(message.to) or self._remotes.get(message.to)
        if target is not None:
            target.send_snapshot(message, path, size_bytes, on_done)
            return
        self.world.receiver.report_snapshot(message.to, False)
        if on_done is not None:
            on_done(False)

    # ---- what is known of them

    def active_since(self, member_id: int) -> float | None:
        """Return the loop time since when the peer is reachable, None while it is not."""
        peer = self._peers.get(member_id)
        return peer.status.since if peer is not None else None

    def is_active(self, member_id: int) -> bool:
        return self.active_since(member_id) is not None

    def metrics(self) -> Counters:
        """Return the live counters; see their class."""
        return self.world.counters

    async def close(self) -> None:
        """Close every connection to others and wait until nothing of the transport runs."""
        self._is_closed = True
        self.remove_all_peers()
        for member_id in sorted(self._remotes):
            self._remove_remote(member_id)
        await self._tasks.close()

    def _remove_remote(self, member_id: int) -> None:
        remote = self._remotes.pop(member_id, None)
        if remote is not None:
            remote.close()


def leave_out_covered(messages: list[Message]) -> list[Message]:
    """Leave out what a later message of the same batch, to the same member, says as well.

    acknowledgements   "all up to this index is on my disk": a later one of the same term with no smaller index says
                       more. (etcd sends only the last MsgAppResp of a batch, whatever it says.) A rejection is about
                       one probe of the leader, which waits for it: each is sent.
    appends            without entries, where one follows that stands at the same place: commit indexes never fall.
    """
    if len(messages) < 2:
        return messages
    kept: list[Message] = []
    term = index = append_term = append_index = -1
    for message in reversed(messages):
        if message.type == MSG_APP_RESP and not message.reject:
            if message.term == term and message.index <= index:
                continue
            term, index = message.term, message.index
        elif message.type == MSG_APP:
            if not message.entries and message.term == append_term and message.index == append_index:
                continue
            append_term, append_index = message.term, message.index
        kept.append(message)
    kept.reverse()
    return kept


def _to_loop(loop: asyncio.AbstractEventLoop) -> Callable[[BaseException], None]:
    def report(error: BaseException) -> None:
        loop.call_exception_handler({"message": "the peer transport failed", "exception": error})

    return report
