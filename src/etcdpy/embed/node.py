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
from etcdpy.base.log import Duration, log_info, named
from etcdpy.embed.auto_compaction import read_auto_compaction
from etcdpy.embed.config import Config
from etcdpy.raft.config import Config as RaftConfig
from etcdpy.raft.rawnode import RawNode
from etcdpy.raft.storage import MemoryStorage
from etcdpy.server.auto_compaction import AutoCompaction
from etcdpy.server.bootstrap import Folders, Identity, Recovered, check_backend, prepare_backend, recover
from etcdpy.server.compactions import CompactionRunner
from etcdpy.server.compactor import make_compactor
from etcdpy.server.disk import DiskThread
from etcdpy.server.housekeeper import Housekeeper
from etcdpy.server.loop import MemberLoop
from etcdpy.server.maintenance import Maintenance
from etcdpy.server.member import Member
from etcdpy.server.metrics_source import MetricsSource
from etcdpy.server.quota import Quota
from etcdpy.server.service import Service
from etcdpy.server.snapshots import SnapshotKeeper
from etcdpy.server.tasks import TaskOwner
from etcdpy.state.alarm import AlarmStore
from etcdpy.state.apply.applier import Applier
from etcdpy.state.lease.lessor import Lessor, minimum_ttl_seconds
from etcdpy.state.members import Roster
from etcdpy.state.mvcc.store import Store
from etcdpy.state.watch.hub import WatchHub
from etcdpy.storage.backend import Backend
from etcdpy.storage.bolt.takeover import open_or_take_over

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
    alarms: AlarmStore
    roster: Roster
    hub: WatchHub
    member: Member
    disk: DiskThread
    driver: MemberLoop
    service: Service
    housekeeper: Housekeeper
    compactions: CompactionRunner
    maintenance: Maintenance
    tasks: TaskOwner
    metrics: MetricsSource
    quota: Quota
    request_ids: RequestIdGenerator
    clock: Callable[[], float]

    def close(self) -> None:
        """Put everything on disk and let go of the files. The loop has stopped driving by now."""
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


def build_node(config: Config, log: logging.Logger, loop: asyncio.AbstractEventLoop) -> Node:
    """Recover what the data directory holds and put a member together around it. Raise StorageError."""
    folders = Folders(member=config.member_path, wal=config.wal_path)
    recovered = recover(folders, _identity(config), unsafe_no_fsync=config.unsafe_no_fsync)
    wakers: list[Callable[[], None]] = []
    backend = _open_backend(config, folders, log, lambda: [loop.call_soon_threadsafe(wake) for wake in wakers])
    check_backend(recovered, backend)
    prepare_backend(backend)
    member_id, cluster_id = recovered.member_id, recovered.cluster_id

    lessor = Lessor(
        backend,
        ttl_seconds_min=minimum_ttl_seconds(config.election_timeout_ms / 1000),
        are_checkpoints_on=config.enable_lease_checkpoint,
        are_checkpoints_persisted=config.enable_lease_checkpoint_persist,
    )
    store = Store(backend, lessor)
    store.restore()
    lessor.bind(store)
    log_info(log, "kvstore restored", current_rev=store.current_revision)
    alarms = AlarmStore(backend)
    roster = Roster(recovered.v2store, backend, cluster_id=cluster_id)
    roster.recover()
    applier = Applier(
        store=store, lessor=lessor, alarms=alarms, roster=roster, v2store=recovered.v2store, backend=backend
    )
    hub = WatchHub(
        store,
        cluster_id=cluster_id,
        member_id=member_id,
        fragment_bytes_max=config.max_request_bytes + FRAGMENT_OVERHEAD_BYTES,
        progress_interval_seconds=config.watch_progress_notify_interval_seconds,
        random=random.Random(),
    )

    raft_storage = _fill_raft_storage(recovered)
    _log_local_member(log, recovered)
    raft_node = RawNode(
        RaftConfig(
            id=member_id,
            election_tick=config.election_ticks,
            heartbeat_tick=1,
            storage=raft_storage,
            rng=random.Random(),
            logger=named(log, "raft"),
            applied=recovered.snapshot.index,
            pre_vote=config.pre_vote,
        )
    )
    member = Member(raft_node, raft_storage, recovered.hard_state, applied_index=recovered.snapshot.index)
    disk = DiskThread(loop)
    driver = MemberLoop(loop=loop, member=member, wal=recovered.wal, disk=disk, applier=applier, backend=backend)
    wakers.append(driver.schedule)
    quota = Quota(backend, config.quota_backend_bytes)
    metrics = MetricsSource(server_id=format_id(member_id))
    request_ids = RequestIdGenerator(member_id, int(time.time() * 1000))
    service = Service(
        loop=loop,
        driver=driver,
        member=member,
        store=store,
        quota=quota,
        alarms=alarms,
        request_ids=request_ids,
        member_id=member_id,
        request_bytes_max=config.max_request_bytes,
        timeout_seconds=config.request_timeout_seconds,
    )
    tasks = TaskOwner(on_failure=driver.fail)
    compactions = CompactionRunner(
        loop=loop,
        store=store,
        batch=config.compaction_batch_limit,
        pause_seconds=config.compaction_sleep_interval_seconds,
        metrics=metrics,
        on_failure=driver.fail,
        log=log,
    )
    snapshots = SnapshotKeeper(
        snapshot_count=config.snapshot_count,
        catchup_entries=config.snapshot_catchup_entries,
        max_wals=config.max_wals,
        max_snapshots=config.max_snapshots,
        last_index=recovered.snapshot.index,
        backend=backend,
        v2store=recovered.v2store,
        wal=recovered.wal,
        snapshotter=recovered.snapshotter,
        member=member,
        raft_storage=raft_storage,
        disk=disk,
        on_failure=driver.fail,
        log=log,
    )
    housekeeper = Housekeeper(
        loop=loop,
        driver=driver,
        member=member,
        service=service,
        applier=applier,
        store=store,
        lessor=lessor,
        hub=hub,
        roster=roster,
        snapshots=snapshots,
        compactions=compactions,
        auto_compaction=_make_auto_compaction(config, service, tasks, log, loop.time()),
        tasks=tasks,
        conf_state=recovered.snapshot.conf_state,
        member_id=member_id,
        election_timeout_seconds=config.election_timeout_ms / 1000,
        tick_seconds=config.tick_seconds,
        log=log,
    )
    service.observer = housekeeper
    maintenance = Maintenance(
        loop=loop,
        member=member,
        member_id=member_id,
        store=store,
        backend=backend,
        alarms=alarms,
        roster=roster,
        quota=quota,
        metrics=metrics,
        scratch=folders.snap,
        log=log,
    )
    return Node(
        member_id=member_id,
        cluster_id=cluster_id,
        config=config,
        log=log,
        recovered=recovered,
        backend=backend,
        store=store,
        lessor=lessor,
        alarms=alarms,
        roster=roster,
        hub=hub,
        member=member,
        disk=disk,
        driver=driver,
        service=service,
        housekeeper=housekeeper,
        compactions=compactions,
        maintenance=maintenance,
        tasks=tasks,
        metrics=metrics,
        quota=quota,
        request_ids=request_ids,
        clock=loop.time,
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


def _open_backend(config: Config, folders: Folders, log: logging.Logger, wake: Callable[[], object]) -> Backend:
    started = time.perf_counter()
    backend = open_or_take_over(
        folders.member,
        batch_interval_seconds=config.batch_interval_seconds,
        batch_limit=config.batch_limit,
        wake=wake,
    )
    log_info(log, "opened backend db", path=str(folders.member / "store"), took=Duration(time.perf_counter() - started))
    return backend


def _fill_raft_storage(recovered: Recovered) -> MemoryStorage:
    storage = MemoryStorage()
    if not recovered.snapshot.is_empty():
        storage.apply_snapshot(recovered.snapshot)
    storage.set_hard_state(recovered.hard_state)
    if recovered.entries:
        storage.append(recovered.entries)
    return storage


def _log_local_member(log: logging.Logger, recovered: Recovered) -> None:
    ids = {"cluster_id": format_id(recovered.cluster_id), "local_member_id": format_id(recovered.member_id)}
    if recovered.is_new:
        log_info(log, "starting local member", **ids)
    else:
        log_info(log, "restarting local member", commit_index=recovered.hard_state.commit, **ids)
