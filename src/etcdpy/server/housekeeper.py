"""The housekeeper: everything that follows from what was applied, and everything that time brings.

    after each turn    watch events, compaction's next slice, a `.snap` when one is due
    a new leader       leases get their time, the member publishes its name, the cluster gets its version
    every tick         raft's clock, expired leases, overdue requests, watchers who are behind, old files

It proposes through the service like any client does. It never touches the log or the store directly, except by their
own slicing calls.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from etcdpy.base.errors import EtcdError
from etcdpy.base.ids import format_id
from etcdpy.base.log import log_error, log_info, log_warn
from etcdpy.pb import rpc_pb2
from etcdpy.pb.raft_values import ConfState, Entry
from etcdpy.server.auto_compaction import AutoCompaction
from etcdpy.server.catching_up import CatchingUp
from etcdpy.server.compactions import CompactionRunner
from etcdpy.server.late_heartbeats import LateHeartbeats
from etcdpy.server.loop import MemberLoop
from etcdpy.server.mandate import Mandate
from etcdpy.server.member import Member
from etcdpy.server.membership_log import log_change, log_downgrade, log_version
from etcdpy.server.reconfiguration import Reconfiguration
from etcdpy.server.service import Service
from etcdpy.server.snapshots import SnapshotKeeper
from etcdpy.server.tasks import TaskOwner
from etcdpy.server.version_monitor import VersionMonitor
from etcdpy.state.apply import proposal as kinds
from etcdpy.state.apply.applier import Applier, Result
from etcdpy.state.lease.expiry import RevokePacer
from etcdpy.state.lease.lessor import Lessor
from etcdpy.state.members import Member as ClusterMember
from etcdpy.state.members import Roster
from etcdpy.state.members.change import REMOVED
from etcdpy.state.mvcc.change import Change
from etcdpy.state.mvcc.store import Store
from etcdpy.state.watch.hub import WatchHub

# How often things that are not urgent are looked at: overdue requests, leases, progress notifications.
CHORES_SECONDS: Final = 0.1
# Election timeouts without a leader after which streams that asked for one are cut (upstream: maxNoLeaderCnt).
LEADERLESS_ELECTIONS_MAX: Final = 3
# Upstream's purgeFileInterval.
PURGE_SECONDS: Final = 30.0
MEMBERS_PATH: Final = "/0/members"


class Housekeeper:
    """Implements `server.service.Observer`."""

    late_heartbeats: LateHeartbeats | None = None  # None: nobody counts them

    def __init__(
        self,
        *,
        loop: asyncio.AbstractEventLoop,
        driver: MemberLoop,
        member: Member,
        service: Service,
        applier: Applier,
        store: Store,
        lessor: Lessor,
        hub: WatchHub,
        roster: Roster,
        snapshots: SnapshotKeeper,
        compactions: CompactionRunner,
        auto_compaction: AutoCompaction | None,
        reconfiguration: Reconfiguration,
        versions: VersionMonitor,
        tasks: TaskOwner,
        mandate: Mandate,
        catching_up: CatchingUp,
        conf_state: ConfState,
        member_id: int,
        election_timeout_seconds: float,
        tick_seconds: float,
        log: logging.Logger,
    ) -> None:
        self._loop = loop
        self._driver = driver
        self._member = member
        self._service = service
        self._applier = applier
        self._store = store
        self._lessor = lessor
        self._hub = hub
        self._roster = roster
        self._snapshots = snapshots
        self._compactions = compactions
        self._auto_compaction = auto_compaction
        self._reconfiguration = reconfiguration
        self._versions = versions
        self._tasks = tasks
        self._mandate = mandate
        self._catching_up = catching_up
        self._conf_state = conf_state
        self._member_id = member_id
        self._election_timeout_seconds = election_timeout_seconds
        self._tick_seconds = tick_seconds
        self._log = log
        self._pacer = RevokePacer(lessor)
        self._timers: list[asyncio.TimerHandle] = []
        self._is_stopped = False
        self._leaderless_since: float | None = None
        self.leader_changes_seen = self.leases_expired = 0
        self.watch_feed: WatchFeed | None = None  # set before anybody can watch
        self.has_leader = asyncio.Event()
        # Told of every change that was made, replayed ones too: what it did, and the member as it is now (was last).
        self.on_membership_change: Callable[[str, ClusterMember], None] = _has_no_peers
        self.on_standing: Callable[[], None] = _nobody_asks  # who leads, or what this member is, may have changed
        self.on_failed: Callable[[], None] = _nobody_asks  # at once: before anything else runs
        self.was_removed = asyncio.Event()  # this very member was removed from the cluster
        self.fatal: asyncio.Future[BaseException] = loop.create_future()

    # -- life

    def start(self) -> None:
        self._roster.on_version = self._on_version
        self._roster.on_downgrade = lambda target: log_downgrade(self._log, target)
        self._every(self._tick_seconds, self._tick)
        self._every(CHORES_SECONDS, self._do_chores)
        self._snapshots.purge()
        self._every(PURGE_SECONDS, self._snapshots.purge)

    def stop(self) -> None:
        self._is_stopped = True
        for timer in self._timers:
            timer.cancel()

    def _every(self, seconds: float, chore: Callable[[], None]) -> None:
        slot = len(self._timers)

        def run() -> None:
            if self._is_stopped:
                return
            self._timers[slot] = self._loop.call_later(seconds, run)
            try:
                chore()
            except Exception as error:  # our own bug or a broken disk: the member ends
                self._driver.fail(error)

        self._timers.append(self._loop.call_later(seconds, run))

    # -- what the service tells (Observer)

    def on_applied(self, results: list[tuple[int, Result | None]]) -> None:
        if self._store.is_compacting:
            self._compactions.start()

    def before_answers(self) -> None:
        if self._store.record_changes:
            changes = self._store.take_changes()
            if changes:
                assert self.watch_feed is not None
                self.watch_feed.publish(changes)

    def on_turn_end(self, applied_index: int) -> None:
        self._catching_up.advance(applied_index)
        self._snapshots.consider(applied_index, self._applier.term, self._conf_state)
        self._snapshots.poll()

    def on_leader_change(self, leader_id: int, *, is_self: bool) -> None:
        # Nobody is no leader: losing one counts when the next is there.
        self.leader_changes_seen += leader_id != 0
        self._hub.raft_term = self._member.term
        now = self._loop.time()
        if is_self:
            self._lessor.promote(now, self._election_timeout_seconds)
            self._versions.wake()
        else:
            self._lessor.demote()
        if self._auto_compaction is not None:
            self._auto_compaction.set_leading(is_self)
        if leader_id:
            self._leaderless_since = None
            self.has_leader.set()
        else:
            self._leaderless_since = now
            self.has_leader.clear()
        self.on_standing()

    def on_conf_change(self, entry: Entry) -> None:
        is_new = entry.index > self._applier.consistent_index
        result = self._applier.apply_conf_change(entry, self._member.apply_conf_change)
        self._conf_state = result.conf_state
        log_change(self._log, result, cluster_id=self._roster.cluster_id, member_id=self._member_id, is_new=is_new)
        if result.member is not None:
            self.on_membership_change(result.kind, result.member)
            if result.kind == REMOVED and result.member_id == self._member_id:
                self.was_removed.set()
        self._reconfiguration.on_applied(result)
        self.on_standing()

    def on_restored(self) -> None:
        """A leader's snapshot replaced everything, the roster included."""
        self._conf_state = self._member.conf_state
        if self._store.is_compacting:
            self._compactions.start()
        if self.watch_feed is not None:
            self.watch_feed.restored()
        self.on_standing()

    def _on_version(self, previous: str, version: str) -> None:
        log_version(self._log, previous, version, cluster_id=self._roster.cluster_id, member_id=self._member_id)

    def on_failure(self, error: BaseException) -> None:
        log_error(self._log, "the member stops", error=f"{type(error).__name__}: {error}")
        self.on_failed()
        if not self.fatal.done():
            self.fatal.set_result(error)

    # -- publishing

    async def publish(self, name: str, client_urls: list[str]) -> None:
        """Make this member's name and client URLs known through the log, again and again until it is done."""
        # Not from the roster: who has just joined hears of a leader before it hears that itself is a member.
        attributes = ClusterMember(id=self._member_id, peer_urls=(), name=name, client_urls=tuple(client_urls))
        while True:
            await self.has_leader.wait()
            await self._versions.look()
            path = f"{MEMBERS_PATH}/{format_id(self._member_id)}/attributes"
            try:
                await self._service.propose_v2_put(path, attributes.attributes_json())
            except EtcdError as error:
                log_warn(self._log, "failed to publish local member to cluster through raft", error=error.text)
                continue
            log_info(
                self._log,
                "published local member to cluster through raft",
                local_member_id=format_id(self._member_id),
                local_member_attributes=f"{{Name:{name} ClientURLs:[{' '.join(client_urls)}]}}",
                request_path=path,
                cluster_id=format_id(self._roster.cluster_id),
            )
            return

    # -- time

    def _tick(self) -> None:
        now = self._loop.time()
        if self.late_heartbeats is not None:
            self.late_heartbeats.tick(now)
        self._lessor.tick(now)
        self._driver.tick()

    def _do_chores(self) -> None:
        now = self._loop.time()
        self._service.expire(now)
        if self.watch_feed is not None:
            self.watch_feed.tick(now)
            self._cut_leaderless(now, self.watch_feed)
        if self._auto_compaction is not None:
            self._auto_compaction.tick(now, self._store.current_revision)
        self._propose_revokes(now)
        self._propose_checkpoints(now)

    def _cut_leaderless(self, now: float, feed: WatchFeed) -> None:
        since = self._leaderless_since
        if since is not None and now - since > LEADERLESS_ELECTIONS_MAX * self._election_timeout_seconds:
            self._leaderless_since = None
            feed.cut_leaderless()

    def _propose_revokes(self, now: float) -> None:
        """Propose what has expired. A leader that another one may have replaced meanwhile asks a majority first."""
        if self._pacer.is_due(now) and not self._mandate.is_certain():
            if not self._mandate.is_asking:
                self._tasks.start(self._propose_revokes_when_certain(now))
            return
        for lease_id in self._pacer.take_due(now):
            self._tasks.start(self._revoke(lease_id))

    async def _propose_revokes_when_certain(self, now: float) -> None:
        if not await self._mandate.wait_certain():
            log_warn(
                self._log,
                "Ignore the lease revoking request because current member isn't a leader",
                local_member_id=format_id(self._member_id),
            )
        elif not self._is_stopped:
            self._propose_revokes(now)

    async def _revoke(self, lease_id: int) -> None:
        try:
            await self._service.call_as_leader(kinds.LEASE_REVOKE, rpc_pb2.LeaseRevokeRequest(ID=lease_id))
            self.leases_expired += 1
        except EtcdError as error:
            log_warn(self._log, "failed to revoke lease", lease_id=f"{lease_id:016x}", error=error.text)
        finally:
            self._pacer.finish(lease_id)
        if not (self._is_stopped or self._service.is_stopped):
            # A place in flight is free: the pacer sets the pace, not the chores.
            self._propose_revokes(self._loop.time())

    def _propose_checkpoints(self, now: float) -> None:
        due = self._lessor.due_checkpoints(now)
        if due:
            request = rpc_pb2.LeaseCheckpointRequest(
                checkpoints=[rpc_pb2.LeaseCheckpoint(ID=lease_id, remaining_TTL=left) for lease_id, left in due]
            )
            self._service.propose_unattended(kinds.LEASE_CHECKPOINT, request)


def _nobody_asks() -> None:
    """Before the API is wired."""


def _has_no_peers(kind: str, member: ClusterMember) -> None:
    """Before the peers' transport is wired."""


class WatchFeed(Protocol):
    """Who brings changes to the watchers: the Watch service."""

    def publish(self, changes: Sequence[Change]) -> None: ...

    def tick(self, now: float) -> None: ...

    def restored(self) -> None:
        """The store's content was replaced."""

    def cut_leaderless(self) -> None:
        """End the calls whose clients asked not to be left without a leader."""
