"""Small worlds for the tests of the simulator's parts."""

from __future__ import annotations

import random
from dataclasses import replace

from etcdpy.sim.clock import Schedule
from etcdpy.sim.cluster import Cluster
from etcdpy.sim.faults import NO_FAULTS
from etcdpy.sim.requests import OK, Operation, Request
from etcdpy.sim.settings import Settings, choose_settings
from etcdpy.sim.trace import Trace
from etcdpy.state.apply.applier import Result
from etcdpy.state.mvcc.answer import Answer

CALM: Settings = replace(
    choose_settings(random.Random(1)),
    members=3,
    troubles=(),
    clients=3,
    keys=3,
    think_seconds=0.1,
    loss=0.0,
    duplication=0.0,
    reordering=0.0,
    delay_seconds=0.005,
    sync_seconds=0.005,
    commit_interval_seconds=0.1,
    commit_seconds=0.0,
    snapshot_count=10_000,
    catchup_entries=1,
    entries_per_message_bytes=1 << 20,
    inflight_messages=512,
    pre_vote=True,
    check_quorum=True,
    read_share=0.4,
    compaction_share=0.0,
    clock_skew=0.0,
)


class Asker:
    """A client that asks what a test wants, and keeps what it is told."""

    waiting = None

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.told: list[Operation] = []
        cluster.clients.append(self)  # type: ignore[arg-type]

    def ask(self, member: int, request: Request) -> Operation:
        """Ask, and wait a moment."""
        operations = self.cluster.operations
        operation = Operation(len(operations) + 1, 0, request, self.cluster.schedule.number, member)
        operations.append(operation)
        assert self.cluster.ask(member, operation)
        self.cluster.schedule.run_until(self.cluster.schedule.now + 0.2)
        return operation

    def take_result(self, operation: Operation, result: Result) -> None:
        assert isinstance(result, Answer)
        self.told.append(operation.finish(self.cluster.schedule.number, OK, result.revision))


def make_cluster(settings: Settings = CALM, seed: int = 1) -> Cluster:
    schedule = Schedule()
    return Cluster(settings, random.Random(seed), schedule, Trace(schedule), NO_FAULTS)


def wait_for_leader(cluster: Cluster) -> int:
    """Let time pass until somebody leads and has committed an entry of its term; return its id."""

    def leads() -> bool:
        leader = cluster.leader()
        return leader is not None and leader.node.raft.has_committed_in_term()

    assert cluster.schedule.run_until(cluster.schedule.now + 20.0, leads)
    leader = cluster.leader()
    assert leader is not None
    return leader.member_id
