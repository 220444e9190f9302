"""A leader with a state of its own, and the parts by which a member of `snapshot_scene` takes it over.

leader = await make_leader_snapshot(tmp_path / "leader", joiner=play.spine.roster.get_members()[0])
follower = Follower(play)
await follower.receive(leader)
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from etcdpy.base.log import silent_logger
from etcdpy.pb import rpc_pb2
from etcdpy.pb.raft_values import ENTRY_NORMAL, Entry, Message, Snapshot
from etcdpy.raft.constants import MSG_APP, MSG_APP_RESP, MSG_SNAP
from etcdpy.server.bootstrap import Identity
from etcdpy.server.peers import Peers
from etcdpy.server.snapshot_install import SnapshotInstaller
from etcdpy.server.snapshot_send import SnapshotSender
from etcdpy.server.tasks import TaskOwner
from etcdpy.state.apply import proposal as kinds
from etcdpy.state.apply.proposal import Proposal
from etcdpy.state.apply.state_machine import StateMachine
from etcdpy.state.members import Member
from etcdpy.state.members.change import add_change
from etcdpy.transport.peer import Identity as PeerIdentity
from etcdpy.transport.peer import PeerNetwork
from tests.unit.server.snapshot_scene import Scene, encode
from tests.unit.server.spine import Notes, Spine, open_spine, until

LEADER_URL = "http://127.0.0.1:23481"
LEADER = Identity(name="leader", initial_advertise_peer_urls=(LEADER_URL,), initial_cluster_token="another")
LEADER_TERM = 9  # later than any term that a follower comes to alone
LEASE_ID, ALARMED_ID = 77, 0xBAD
LEADER_PUTS = 20
DOOMED_KEY = b"doomed"


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaderSnapshot:
    """What a leader sends: a snapshot message's content, and the database file."""

    leader_id: int
    snapshot: Snapshot
    path: Path
    revision: int


@dataclass(slots=True)
class Nobody:
    """No way to the others; what would have been sent is kept."""

    sent: list[Message] = field(default_factory=list)

    def send(self, messages: list[Message], /) -> None:
        self.sent += messages

    def send_snapshot(self, message: Message, /) -> None:
        self.sent.append(message)

    def install(self, write: Any, done: Callable[[], None], /) -> None:
        raise AssertionError("nobody sends snapshots to a leader")


def propose(spine: Spine, kind: int, request: Any) -> None:
    request_id = spine.ids.next_id()
    data = encode(kind, request_id, request.SerializeToString())
    spine.driver.propose(Entry(0, 0, ENTRY_NORMAL, data, Proposal(kind, request_id, request)))


async def make_leader_snapshot(directory: Path, *, joiner: Member) -> LeaderSnapshot:
    """Let a member lead and take writes, a lease, an alarm and `joiner` as a voter; return its whole state."""
    with open_spine(directory, identity=LEADER) as spine:
        spine.driver.connect(Nobody())
        spine.driver.start(Notes(spine=spine))
        await spine.elect()
        propose(spine, kinds.LEASE_GRANT, rpc_pb2.LeaseGrantRequest(ID=LEASE_ID, TTL=600))
        for number in range(LEADER_PUTS):
            propose(spine, kinds.PUT, rpc_pb2.PutRequest(key=b"of the leader", value=b"%d" % number, lease=LEASE_ID))
        propose(spine, kinds.PUT, rpc_pb2.PutRequest(key=DOOMED_KEY))
        alarm = rpc_pb2.AlarmRequest(action=rpc_pb2.AlarmRequest.ACTIVATE, memberID=ALARMED_ID, alarm=rpc_pb2.NOSPACE)
        propose(spine, kinds.ALARM, alarm)
        await spine.wait_quiet()
        spine.member.propose_conf_change(add_change(joiner))
        spine.driver.schedule()
        await until(lambda: spine.roster.find_member(joiner.id) is not None and spine.driver.is_quiet)
        taken: list[Snapshot] = []

        def take_moment() -> None:
            index, term = spine.backend.consistent_index, spine.applier.term
            taken.append(Snapshot(spine.recovered.v2store.save(), index, term, spine.member.conf_state))

        path = directory / "sent.db"
        job = spine.backend.start_export(path, take_moment)

        def is_done() -> bool:
            spine.backend.poll(spine.loop.time())
            return job.poll()

        await until(is_done)
        return LeaderSnapshot(
            leader_id=spine.recovered.member_id, snapshot=taken[0], path=path, revision=spine.store.current_revision
        )


class RecordingNetwork(PeerNetwork):
    """The real transport, which notes what it is given and whom it is told to know."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.sent: list[Message] = []
        self.told: list[tuple[str, int, tuple[str, ...]]] = []

    def send(self, messages: Sequence[Message]) -> None:
        self.sent += messages
        super().send(messages)

    def add_peer(self, member_id: int, urls: Sequence[str]) -> None:
        self.told.append(("add", member_id, tuple(urls)))
        super().add_peer(member_id, urls)

    def update_peer(self, member_id: int, urls: Sequence[str]) -> None:
        self.told.append(("update", member_id, tuple(urls)))
        super().update_peer(member_id, urls)

    def remove_peer(self, member_id: int) -> None:
        self.told.append(("remove", member_id, ()))
        super().remove_peer(member_id)

    def add_remote(self, member_id: int, urls: Sequence[str]) -> None:
        self.told.append(("remote", member_id, tuple(urls)))
        super().add_remote(member_id, urls)


class Follower:
    """`play`'s member with everything that it needs of the others."""

    def __init__(self, play: Scene) -> None:
        spine = self.spine = play.spine
        self.play = play
        self.restored = 0
        self.removed_here = 0
        self.tasks = TaskOwner(spine.driver.fail)
        self.peers = Peers(
            member_id=spine.recovered.member_id,
            driver=spine.driver,
            roster=spine.roster,
            tasks=self.tasks,
            on_removed=self._on_removed,
            log=silent_logger(),
        )
        self.network = RecordingNetwork(
            loop=spine.loop,
            identity=PeerIdentity(
                member_id=spine.recovered.member_id, cluster_id=spine.recovered.cluster_id, peer_urls=()
            ),
            receiver=self.peers,
            snap_directory=str(spine.folders.snap),
            logger=silent_logger(),
            rng=random.Random(1),
        )
        machine = StateMachine(
            store=spine.store,
            lessor=spine.lessor,
            alarms=spine.alarms,
            roster=spine.roster,
            v2store=spine.recovered.v2store,
            applier=spine.applier,
        )
        self.sender = SnapshotSender(
            backend=spine.backend,
            v2store=spine.recovered.v2store,
            applier=spine.applier,
            member=spine.member,
            carrier=self.network,
            report_failure=lambda member_id: spine.driver.report_snapshot(member_id, False),
            scratch=spine.folders.snap,
            log=silent_logger(),
        )
        self.installer = SnapshotInstaller(
            backend=spine.backend,
            snapshotter=play.snapshotter,
            wal=spine.wal,  # type: ignore[arg-type]
            disk=spine.disk,
            machine=machine,
            keeper=play.keeper,
            on_restored=self._on_restored,
            log=silent_logger(),
        )
        self.peers.connect(self.network, self.sender, self.installer)
        spine.driver.connect(self.peers)

    async def close(self) -> None:
        await self.tasks.close()
        await self.peers.close()

    # -- what a leader does

    async def receive(self, leader: LeaderSnapshot, *, entries: Sequence[Entry] = ()) -> None:
        """The file is here, then its message is; `entries` after the snapshot come in the same turn."""
        path = self.play.snapshotter.db_file_path(leader.snapshot.index)
        shutil.copy(leader.path, path)
        own_id, snapshot = self.spine.recovered.member_id, leader.snapshot
        message = Message(MSG_SNAP, own_id, leader.leader_id, LEADER_TERM, snapshot=snapshot)
        await self.peers.receive_snapshot(message, path)
        if entries:
            self.append(leader, entries)

    def append(self, leader: LeaderSnapshot, entries: Sequence[Entry]) -> None:
        """Entries that follow the snapshot, and are committed."""
        snapshot = leader.snapshot
        self.peers.receive(
            Message(
                MSG_APP,
                self.spine.recovered.member_id,
                leader.leader_id,
                LEADER_TERM,
                log_term=snapshot.term,
                index=snapshot.index,
                entries=list(entries),
                commit=snapshot.index + len(entries),
            )
        )

    async def wait_installed(self, leader: LeaderSnapshot) -> None:
        await until(lambda: self.restored > 0 and self.spine.member.applied_index >= leader.snapshot.index)
        await self.spine.wait_quiet()

    def acknowledged(self) -> int:
        """The last entry which the leader was told that we hold."""
        return max((one.index for one in self.network.sent if one.type == MSG_APP_RESP and not one.reject), default=0)

    def _on_restored(self) -> None:
        self.restored += 1
        self.spine.conf_state = self.spine.member.conf_state
        self.play.note("restored")

    def _on_removed(self) -> None:
        self.removed_here += 1


def later_entry(spine: Spine, index: int) -> Entry:
    """An entry as another leader made it: it takes DOOMED_KEY away, which an alarm about space allows."""
    request_id, body = spine.ids.next_id(), rpc_pb2.DeleteRangeRequest(key=DOOMED_KEY).SerializeToString()
    return Entry(LEADER_TERM, index, ENTRY_NORMAL, encode(kinds.DELETE_RANGE, request_id, body))
