"""The peers of a node: transport, snapshots both ways, and the object between them and raft's driver."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from pathlib import Path
from typing import Final

from etcdpy.embed.config import Config
from etcdpy.server.bootstrap import Recovered
from etcdpy.server.disk import DiskThread
from etcdpy.server.loop import MemberLoop
from etcdpy.server.member import Member
from etcdpy.server.peers import Peers
from etcdpy.server.snapshot_install import SnapshotInstaller
from etcdpy.server.snapshot_send import SnapshotSender
from etcdpy.server.snapshots import SnapshotKeeper
from etcdpy.server.tasks import TaskOwner
from etcdpy.state.apply.state_machine import StateMachine
from etcdpy.storage.backend import Backend
from etcdpy.transport.peer import Identity, PeerNetwork, Timeouts
from etcdpy.transport.peer.world import Connector

# Upstream's peerDialTimeout: a second for the connection, and an election.
DIAL_SECONDS_BASE: Final = 1.0


def build_peers(
    *,
    config: Config,
    loop: asyncio.AbstractEventLoop,
    recovered: Recovered,
    snap_folder: Path,
    backend: Backend,
    machine: StateMachine,
    member: Member,
    driver: MemberLoop,
    disk: DiskThread,
    keeper: SnapshotKeeper,
    tasks: TaskOwner,
    on_removed: Callable[[], None],
    on_restored: Callable[[], None],
    connector: Connector | None,
    log: logging.Logger,
) -> Peers:
    """Put them together and give them to `driver`. They know nobody yet: `sync` tells them."""
    peers = Peers(
        member_id=recovered.member_id,
        driver=driver,
        roster=machine.roster,
        tasks=tasks,
        on_removed=on_removed,
        log=log,
    )
    network = PeerNetwork(
        loop=loop,
        identity=_identity(config, recovered),
        receiver=peers,
        snap_directory=str(snap_folder),
        logger=log,
        rng=random.Random(),
        timeouts=_timeouts(config),
        connector=connector,
    )
    sender = SnapshotSender(
        backend=backend,
        v2store=recovered.v2store,
        applier=machine.applier,
        member=member,
        carrier=network,
        report_failure=lambda member_id: driver.report_snapshot(member_id, False),
        scratch=snap_folder,
        log=log,
    )
    installer = SnapshotInstaller(
        backend=backend,
        snapshotter=recovered.snapshotter,
        wal=recovered.wal,
        disk=disk,
        machine=machine,
        keeper=keeper,
        on_restored=on_restored,
        log=log,
    )
    keeper.is_log_needed = lambda: sender.in_flight > 0
    peers.connect(network, sender, installer)
    driver.connect(peers)
    return peers


def _timeouts(config: Config) -> Timeouts:
    return Timeouts(
        read_seconds=config.raft_read_seconds,
        write_seconds=config.raft_write_seconds,
        dial_seconds=DIAL_SECONDS_BASE + config.election_timeout_ms / 1000,
    )


def _identity(config: Config, recovered: Recovered) -> Identity:
    return Identity(
        member_id=recovered.member_id,
        cluster_id=recovered.cluster_id,
        peer_urls=config.initial_advertise_peer_urls,
    )
