"""A node: one member's parts, put together from its files. The only place where they meet real clocks and disks.

    files -> recover -> backend, WAL, v2 store -> state (store, lessor, roster, alarms, watches)
                                              -> raft node -> member -> loop -> service -> housekeeper

Nothing here listens; that is `embed.etcd`.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from etcdpy.base.ids import RequestIdGenerator, format_id
from etcdpy.base.log import log_info, named
from etcdpy.embed.auto_compaction import read_auto_compaction
from etcdpy.embed.config import Config
from etcdpy.embed.node_files import check_v2_content, fill_raft_storage, log_local_member, open_backend
from etcdpy.embed.peer_services import PeerServices
from etcdpy.embed.peers import build_peers
from etcdpy.embed.tls import MemberTls
from etcdpy.raft.config import Config as RaftConfig
from etcdpy.raft.rawnode import RawNode
from etcdpy.server.apply_times import ApplyTimes
from etcdpy.server.auto_compaction import AutoCompaction
from etcdpy.server.bootstrap import (
    Folders,
    Identity,
    Recovered,
    check_backend,
    commit_applied,
    prepare_backend,
    recover,
)
from etcdpy.server.catching_up import CatchingUp
from etcdpy.server.compactions import CompactionRunner
from etcdpy.server.compactor import make_compactor
from etcdpy.server.disk import DiskThread
from etcdpy.server.downgrade import Downgrades
from etcdpy.server.downgrade_monitor import DowngradeMonitor
from etcdpy.server.housekeeper import Housekeeper
from etcdpy.server.late_heartbeats import LateHeartbeats
from etcdpy.server.leader_view import PeerFetch, RosterView
from etcdpy.server.leadership import Leadership
from etcdpy.server.loop import MemberLoop
from etcdpy.server.maintenance import Maintenance
from etcdpy.server.mandate import Mandate
from etcdpy.server.member import Member
from etcdpy.server.metrics_source import MetricsSource
from etcdpy.server.passwords import Passwords
from etcdpy.server.peer_questions import PeerVersions
from etcdpy.server.peers import Peers
from etcdpy.server.quota import Quota
from etcdpy.server.reconfiguration import Reconfiguration
from etcdpy.server.service import Service
from etcdpy.server.slow_reads import SlowReads
from etcdpy.server.snapshots import SnapshotKeeper
from etcdpy.server.tasks import TaskOwner
from etcdpy.server.timeouts import TimeoutReasons
from etcdpy.server.version_monitor import VersionMonitor
from etcdpy.state.alarm import AlarmStore
from etcdpy.state.apply.applier import Applier
from etcdpy.state.apply.state_machine import StateMachine
from etcdpy.state.auth import AuthStore
from etcdpy.state.auth.checks import Permissions
from etcdpy.state.auth.token_options import make_tokens
from etcdpy.state.lease.lessor import Lessor, minimum_ttl_seconds
from etcdpy.state.members import Roster
from etcdpy.state.mvcc.store import Store
from etcdpy.state.watch.hub import WatchHub
from etcdpy.storage.backend import Backend
from etcdpy.transport.peer_http import fetch

# etcd's gRPC overhead on top of --max-request-bytes: where a watch response is cut when fragments are wanted.
FRAGMENT_OVERHEAD_BYTES = 512 * 1024


@dataclass(slots=True, kw_only=True)
class Node:
    """Everything of one member but its listeners."""

    member_id: int
    cluster_id: int
    config: Config
    log: logging.Logger
    recovered: Recovered
    backend: Backend
    store: Store
    lessor: Lessor
    permissions: Permissions
    passwords: Passwords
    alarms: AlarmStore
    roster: Roster
    hub: WatchHub
    member: Member
    disk: DiskThread
    driver: MemberLoop
    service: Service
    housekeeper: Housekeeper
    reconfiguration: Reconfiguration
    leadership: Leadership
    versions: VersionMonitor
    downgrades: Downgrades
    downgrade_monitor: DowngradeMonitor
    compactions: CompactionRunner
    maintenance: Maintenance
    questions: PeerServices
    tasks: TaskOwner
    peers: Peers
    metrics: MetricsSource
    apply_times: ApplyTimes
    late_heartbeats: LateHeartbeats
    quota: Quota
    request_ids: RequestIdGenerator
    clock: Callable[[], float]
    call_later: Callable[[float, Callable[[], None]], object]

    def close(self) -> None:
        """Put everything on disk and let go of the files. The loop has stopped driving by now."""
        self.passwords.close()
        deferred = self.member.take_deferred() if not self.driver.has_failed else None
        self.disk.close()
        try:
            if deferred is not None:
                self.recovered.wal.persist(self.recovered.wal.encode(deferred.entries, deferred.hard_state))
        finally:
            try:
                self.recovered.wal.close()
            finally:
                self.backend.close()


def build_node(
    config: Config,
    log: logging.Logger,
    loop: asyncio.AbstractEventLoop,
    identity: Identity | None = None,
    tls: MemberTls | None = None,
) -> Node:
    """Recover what the data directory holds and put a member together around it. Raise StorageError.

    `identity` is what `decide_identity` found out; without it a new member founds a cluster of its own. Without `tls`
    other members are reached without it.
    """
    builder = _Builder(config, log, loop, identity or _identity(config), tls)
    builder.open_files()
    builder.build_state()
    builder.build_member()
    builder.build_service()
    builder.build_peers()
    builder.build_membership()
    builder.build_housekeeping()
    return builder.finish()


class _Builder:
    """Puts a node together, floor by floor; each step uses what the ones before it made."""

    def __init__(
        self,
        config: Config,
        log: logging.Logger,
        loop: asyncio.AbstractEventLoop,
        identity: Identity,
        tls: MemberTls | None,
    ) -> None:
        self.config = config
        self.tls = tls
        self.identity = identity
        self.log = log
        self.loop = loop
        self.folders = Folders(member=config.member_path, wal=config.wal_path)
        self.wakers: list[Callable[[], None]] = []  # what to do when the backend's worker has news

    def open_files(self) -> None:
        config = self.config
        self.recovered = recover(
            self.folders,
            self.identity,
            unsafe_no_fsync=config.unsafe_no_fsync,
            is_forced=config.force_new_cluster,
        )
        check_v2_content(self.recovered, config.v2_deprecation, self.log)
        self.backend = open_backend(config, self.folders, self.recovered, self.log, self.wake)
        check_backend(self.recovered, self.backend)
        self.recovered.hard_state = commit_applied(self.recovered.hard_state, self.backend.consistent_index)
        prepare_backend(self.backend)

    def wake(self) -> None:
        """Called on the backend's worker thread."""
        for wake in self.wakers:
            self.loop.call_soon_threadsafe(wake)

    def build_state(self) -> None:
        config, backend, recovered = self.config, self.backend, self.recovered
        self.lessor = Lessor(
            backend,
            ttl_seconds_min=minimum_ttl_seconds(config.election_timeout_ms / 1000),
            are_checkpoints_on=config.enable_lease_checkpoint,
            are_checkpoints_persisted=config.enable_lease_checkpoint_persist,
        )
        self.store = Store(backend, self.lessor)
        self.store.are_compactions_hashed = config.compact_hash_check_enabled
        self.store.restore()
        self.lessor.bind(self.store)
        log_info(self.log, "kvstore restored", current_rev=self.store.current_revision)
        self.alarms = AlarmStore(backend)
        self.roster = Roster(
            recovered.v2store, backend, cluster_id=recovered.cluster_id, learners_max=config.max_learners
        )
        self.roster.recover()
        self.applier = Applier(
            store=self.store,
            lessor=self.lessor,
            alarms=self.alarms,
            roster=self.roster,
            v2store=recovered.v2store,
            backend=backend,
            auth=self._make_auth(),
        )
        self.passwords = Passwords(config.bcrypt_cost, self.log)
        self.machine = StateMachine(
            store=self.store,
            lessor=self.lessor,
            alarms=self.alarms,
            roster=self.roster,
            v2store=recovered.v2store,
            applier=self.applier,
        )
        self.hub = WatchHub(
            self.store,
            cluster_id=recovered.cluster_id,
            member_id=recovered.member_id,
            fragment_bytes_max=config.max_request_bytes + FRAGMENT_OVERHEAD_BYTES,
            progress_interval_seconds=config.watch_progress_notify_interval_seconds,
            random=random.Random(),
        )

    def _make_auth(self) -> AuthStore:
        config = self.config
        tokens = make_tokens(
            config.auth_token, ttl_seconds=config.auth_token_ttl_seconds, clock=self.loop.time, log=self.log
        )
        return AuthStore(self.backend, tokens)

    def build_member(self) -> None:
        config, recovered = self.config, self.recovered
        self.raft_storage = fill_raft_storage(recovered)
        log_local_member(self.log, recovered)
        applied_index = recovered.snapshot.index
        raft_node = RawNode(
            RaftConfig(
                id=recovered.member_id,
                election_tick=config.election_ticks,
                heartbeat_tick=1,
                storage=self.raft_storage,
                rng=random.Random(),
                logger=named(self.log, "raft"),
                applied=applied_index,
                write_bare_commits=False,
                answer_bare_commits=False,
                pre_vote=config.pre_vote,
            )
        )
        self.member = Member(raft_node, self.raft_storage, recovered.hard_state, applied_index=applied_index)
        self.disk = DiskThread(self.loop)
        self.driver = MemberLoop(
            loop=self.loop,
            member=self.member,
            wal=recovered.wal,
            disk=self.disk,
            applier=self.applier,
            backend=self.backend,
        )
        self.wakers.append(self.driver.schedule)

    def build_service(self) -> None:
        config, member_id = self.config, self.recovered.member_id
        self.quota = Quota(self.backend, config.quota_backend_bytes)
        self.metrics = MetricsSource(server_id=format_id(member_id))
        self.lessor.on_granted = self.metrics.lease_ttl_total.observe
        self.apply_times = self.driver.apply_times = ApplyTimes(
            self.metrics.apply_duration_seconds,
            self.applier,
            slow_seconds=config.warning_apply_duration_seconds,
            log=self.log,
        )
        self.request_ids = RequestIdGenerator(member_id, int(time.time() * 1000))
        self.service = Service(
            loop=self.loop,
            driver=self.driver,
            member=self.member,
            store=self.store,
            quota=self.quota,
            alarms=self.alarms,
            request_ids=self.request_ids,
            member_id=member_id,
            request_bytes_max=config.max_request_bytes,
            timeout_seconds=config.request_timeout_seconds,
            permissions=self.applier.permissions,
        )
        self.service.slow_reads = SlowReads(self.apply_times, slow_seconds=config.warning_apply_duration_seconds)
        self.tasks = TaskOwner(on_failure=self.driver.fail)
        self.catching_up = CatchingUp(self.member)
        self.mandate = Mandate(
            self.member,
            confirm=self.service.wait_linearizable,
            clock=self.loop.time,
            fresh_seconds=config.election_timeout_ms / 1000,
            tasks=self.tasks,
        )

    def build_membership(self) -> None:
        config, member_id = self.config, self.recovered.member_id
        connections = self.peers.network
        self.reconfiguration = Reconfiguration(
            loop=self.loop,
            proposer=self.driver,
            raft=self.member,
            roster=self.roster,
            connections=connections,
            request_ids=self.request_ids,
            member_id=member_id,
            is_strict=config.strict_reconfig_check,
            timeout_seconds=config.request_timeout_seconds,
            wall_seconds=time.time,
            log=self.log,
        )
        self.leadership = Leadership(
            loop=self.loop,
            raft=self.member,
            turns=self.driver,
            roster=self.roster,
            connections=connections,
            member_id=member_id,
            tick_seconds=config.tick_seconds,
            timeout_seconds=config.request_timeout_seconds,
            log=self.log,
        )
        self.versions = VersionMonitor(
            raft=self.member, roster=self.roster, publisher=self.service, member_id=member_id, log=self.log
        )
        self.downgrades = Downgrades(self.service, self.roster, self.log)

    def build_housekeeping(self) -> None:
        config = self.config
        self.compactions = CompactionRunner(
            loop=self.loop,
            store=self.store,
            batch=config.compaction_batch_limit,
            pause_seconds=config.compaction_sleep_interval_seconds,
            metrics=self.metrics,
            on_failure=self.driver.fail,
            log=self.log,
        )
        self.housekeeper = Housekeeper(
            loop=self.loop,
            driver=self.driver,
            member=self.member,
            service=self.service,
            applier=self.applier,
            store=self.store,
            lessor=self.lessor,
            hub=self.hub,
            roster=self.roster,
            snapshots=self.keeper,
            compactions=self.compactions,
            auto_compaction=_make_auto_compaction(config, self.service, self.tasks, self.log, self.loop.time()),
            reconfiguration=self.reconfiguration,
            versions=self.versions,
            tasks=self.tasks,
            mandate=self.mandate,
            catching_up=self.catching_up,
            conf_state=self.recovered.snapshot.conf_state,
            member_id=self.recovered.member_id,
            election_timeout_seconds=config.election_timeout_ms / 1000,
            tick_seconds=config.tick_seconds,
            log=self.log,
        )
        self.late_heartbeats = self.housekeeper.late_heartbeats = LateHeartbeats(
            member=self.member,
            member_id=self.recovered.member_id,
            roster=self.roster,
            tick_seconds=config.tick_seconds,
            now=self.loop.time(),
            log=self.log,
        )
        self.housekeeper.on_membership_change = lambda kind, member: self.peers.sync()
        self.service.observer = self.housekeeper

    def build_peers(self) -> None:
        self.keeper = self._make_snapshot_keeper()
        self.peers = build_peers(
            config=self.config,
            loop=self.loop,
            recovered=self.recovered,
            snap_folder=self.folders.snap,
            backend=self.backend,
            machine=self.machine,
            member=self.member,
            driver=self.driver,
            disk=self.disk,
            keeper=self.keeper,
            tasks=self.tasks,
            connector=self.tls.connector() if self.tls is not None else None,
            on_removed=lambda: self.housekeeper.was_removed.set(),
            on_restored=self._on_restored,
            log=self.log,
        )
        self.service.timeout_reasons = TimeoutReasons(
            self.member, self.peers.network, election_timeout_seconds=self.config.election_timeout_ms / 1000
        )

    def _on_restored(self) -> None:
        self.housekeeper.on_restored()
        self.peers.sync()

    def _make_snapshot_keeper(self) -> SnapshotKeeper:
        config, recovered = self.config, self.recovered
        return SnapshotKeeper(
            snapshot_count=config.snapshot_count,
            catchup_entries=config.snapshot_catchup_entries,
            max_wals=config.max_wals,
            max_snapshots=config.max_snapshots,
            last_index=recovered.snapshot.index,
            backend=self.backend,
            v2store=recovered.v2store,
            wal=recovered.wal,
            snapshotter=recovered.snapshotter,
            member=self.member,
            raft_storage=self.raft_storage,
            disk=self.disk,
            on_failure=self.driver.fail,
            log=self.log,
        )

    def _make_maintenance(self) -> Maintenance:
        return Maintenance(
            loop=self.loop,
            member=self.member,
            member_id=self.recovered.member_id,
            store=self.store,
            backend=self.backend,
            alarms=self.alarms,
            roster=self.roster,
            quota=self.quota,
            metrics=self.metrics,
            scratch=self.folders.snap,
            log=self.log,
        )

    def _make_peer_services(self, maintenance: Maintenance) -> PeerServices:
        recovered = self.recovered
        return PeerServices(
            config=self.config,
            view=RosterView(self.member, self.roster),
            member=self.member,
            member_id=recovered.member_id,
            cluster_id=recovered.cluster_id,
            roster=self.roster,
            store=self.store,
            lessor=self.lessor,
            service=self.service,
            maintenance=maintenance,
            reconfiguration=self.reconfiguration,
            versions=self.versions,
            fetch=self._peer_fetch(),
            mandate=self.mandate,
            catching_up=self.catching_up,
            tasks=self.tasks,
            clock=self.loop.time,
            log=self.log,
        )

    def _make_downgrade_monitor(self) -> DowngradeMonitor:
        config = self.config
        ask = PeerVersions(self._peer_fetch(), timeout_seconds=config.request_timeout_seconds, name="etcdcluster")
        return DowngradeMonitor(
            self.downgrades,
            raft=self.member,
            roster=self.roster,
            ask_cluster_versions=ask,
            member_id=self.recovered.member_id,
            check_seconds=config.downgrade_check_time_seconds,
            log=self.log,
        )

    def _peer_fetch(self) -> PeerFetch:
        return self.tls.fetch if self.tls is not None else fetch

    def finish(self) -> Node:
        maintenance = self._make_maintenance()
        return Node(
            member_id=self.recovered.member_id,
            cluster_id=self.recovered.cluster_id,
            config=self.config,
            log=self.log,
            recovered=self.recovered,
            backend=self.backend,
            store=self.store,
            lessor=self.lessor,
            permissions=self.applier.permissions,
            passwords=self.passwords,
            alarms=self.alarms,
            roster=self.roster,
            hub=self.hub,
            member=self.member,
            disk=self.disk,
            driver=self.driver,
            service=self.service,
            housekeeper=self.housekeeper,
            reconfiguration=self.reconfiguration,
            leadership=self.leadership,
            versions=self.versions,
            downgrades=self.downgrades,
            downgrade_monitor=self._make_downgrade_monitor(),
            compactions=self.compactions,
            maintenance=maintenance,
            questions=self._make_peer_services(maintenance),
            tasks=self.tasks,
            peers=self.peers,
            metrics=self.metrics,
            apply_times=self.apply_times,
            late_heartbeats=self.late_heartbeats,
            quota=self.quota,
            request_ids=self.request_ids,
            clock=self.loop.time,
            call_later=self.loop.call_later,
        )


def _make_auto_compaction(
    config: Config, service: Service, tasks: TaskOwner, log: logging.Logger, now: float
) -> AutoCompaction | None:
    wanted = read_auto_compaction(config)
    compactor = make_compactor(period_seconds=wanted.period_seconds, revisions=wanted.revisions, now=now)
    return None if compactor is None else AutoCompaction(compactor, service, tasks, log)


def _identity(config: Config) -> Identity:
    return Identity(
        name=config.name,
        initial_advertise_peer_urls=config.initial_advertise_peer_urls,
        initial_cluster_token=config.initial_cluster_token,
    )
