"""The other members, as this one deals with them: between raft's driver and the peer transport.

    driver --messages--> network         network --receive--> driver
           --MsgSnap---> sender                  --a snapshot's file is here--> driver --write--> installer

Whom the transport knows follows the roster: after each change of membership, and after a snapshot replaced it, `sync`
brings the two together.

Implements `transport.peer.Receiver` and `server.loop.Others`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from etcdpy.base.log import log_warn
from etcdpy.pb.raft_values import Message
from etcdpy.raft.constants import MSG_SNAP
from etcdpy.server.effects import Write
from etcdpy.server.loop import MemberLoop
from etcdpy.server.snapshot_install import SnapshotInstaller
from etcdpy.server.snapshot_send import SnapshotSender
from etcdpy.server.tasks import TaskOwner
from etcdpy.state.members import Member, Roster
from etcdpy.transport.peer import PeerNetwork


class Peers:
    """Everything of the other members in one place."""

    def __init__(
        self,
        *,
        member_id: int,
        driver: MemberLoop,
        roster: Roster,
        tasks: TaskOwner,
        on_removed: Callable[[], None],
        log: logging.Logger,
    ) -> None:
        self._member_id = member_id
        self._driver = driver
        self._roster = roster
        self._tasks = tasks
        self._on_removed = on_removed
        self._log = log
        self._network: PeerNetwork | None = None
        self._sender: SnapshotSender | None = None
        self._installer: SnapshotInstaller | None = None
        self.installing = 0  # received snapshots that are being made our state
        self._known: dict[int, Sequence[str]] = {}

    def connect(self, network: PeerNetwork, sender: SnapshotSender, installer: SnapshotInstaller) -> None:
        """The parts that need this object to be made."""
        self._network = network
        self._sender = sender
        self._installer = installer

    @property
    def network(self) -> PeerNetwork:
        assert self._network is not None
        return self._network

    def start(self, remotes: Sequence[Member]) -> None:
        """Know the members, and those `remotes` who know us before our log tells us of them."""
        for remote in remotes:
            if remote.id != self._member_id:
                self.network.add_remote(remote.id, remote.peer_urls)
        self.sync()

    def sync(self) -> None:
        """Let the transport know exactly the members that the roster has."""
        wanted = {member.id: member.peer_urls for member in self._roster.get_members() if member.id != self._member_id}
        for member_id in sorted(self._known.keys() - wanted.keys()):
            self.network.remove_peer(member_id)
        for member_id, urls in wanted.items():
            if member_id not in self._known:
                self.network.add_peer(member_id, urls)
            elif self._known[member_id] != urls:
                self.network.update_peer(member_id, urls)
        self._known = dict(wanted)

    async def close(self) -> None:
        await self.network.close()

    # -- server.loop.Others

    def send(self, messages: list[Message], /) -> None:
        self.network.send(messages)

    def send_snapshot(self, message: Message, /) -> None:
        assert self._sender is not None
        self._tasks.start(self._sender.send(message))

    def install(self, write: Write, done: Callable[[], None], /) -> None:
        self._tasks.start(self._install(write, done))

    async def _install(self, write: Write, done: Callable[[], None]) -> None:
        assert self._installer is not None
        self.installing += 1
        try:
            await self._installer.install(write)
        finally:
            self.installing -= 1
        done()

    # -- transport.peer.Receiver

    def receive(self, message: Message) -> None:
        if message.type == MSG_SNAP:
            # Only what came with its database may reach raft.
            log_warn(self._log, "dropped a snapshot message that came without a database")
            return
        self._driver.receive(message)

    def is_removed(self, member_id: int) -> bool:
        return self._roster.is_removed(member_id)

    def report_unreachable(self, member_id: int) -> None:
        self._driver.report_unreachable(member_id)

    def report_snapshot(self, member_id: int, ok: bool) -> None:
        self._driver.report_snapshot(member_id, ok)

    def on_removed_here(self) -> None:
        self._on_removed()

    async def receive_snapshot(self, message: Message, path: str) -> None:
        """Raft decides whether it wants it; the file lies where the installer looks for it."""
        self._driver.receive(message)
