"""What /health, /metrics and their neighbours see of a node. Implements `api.ops.source.OpsSource`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from prometheus_client.core import CollectorRegistry

from etcdpy.api.ops.source import RaisedAlarm
from etcdpy.base.ids import format_id
from etcdpy.base.version import CLUSTER_VERSION_UNKNOWN, VERSION
from etcdpy.embed.node import Node
from etcdpy.pb import rpc_pb2
from etcdpy.server.metrics import Metrics
from etcdpy.server.metrics_source import GrpcMethodCounts, HealthCounts, MetricsSource
from etcdpy.state.alarm import name_alarm


class NodeOps:
    """One node, as an operator's tools ask for it."""

    def __init__(self, node: Node, grpc_methods: Mapping[bytes, GrpcMethodCounts]) -> None:
        self._node = node
        self._source = node.metrics
        self._source.server_version = VERSION
        self._source.grpc_methods = grpc_methods
        self._metrics = Metrics(CollectorRegistry(), self._source, refresh=self._refresh)

    @property
    def health(self) -> HealthCounts:
        return self._source.health

    def cluster_version(self) -> str:
        return self._node.roster.version or CLUSTER_VERSION_UNKNOWN

    def alarms(self) -> Sequence[RaisedAlarm]:
        return [RaisedAlarm(alarm.memberID, name_alarm(alarm.alarm)) for alarm in self._node.alarms.list_alarms()]

    def leader_id(self) -> int:
        return self._node.member.leader_id

    def is_learner(self) -> bool:
        myself = self._node.roster.find_member(self._node.member_id)
        return myself is not None and myself.is_learner

    async def check_read(self, *, serializable: bool) -> None:
        if serializable:
            self._node.service.range_now(rpc_pb2.RangeRequest(key=b"\0"))
        else:
            await self._node.service.wait_linearizable()

    def metrics_text(self) -> bytes:
        return self._metrics.text()

    def raft_status(self) -> Mapping[str, object]:
        member = self._node.member
        return {
            "id": format_id(self._node.member_id),
            "term": member.term,
            "commit": member.committed_index,
            "applied": member.applied_index,
            "lead": format_id(member.leader_id),
            "raftState": "StateLeader" if member.is_leader else "StateFollower",
        }

    def _refresh(self, source: MetricsSource) -> None:
        """Copy what is a plain number elsewhere; done at each scrape and never in between."""
        node = self._node
        _refresh_server(source, node)
        _refresh_state(source, node)
        source.wal_fsync_duration_seconds.observe_many(node.recovered.wal.take_fsync_durations())
        source.wal_write_bytes_total = node.recovered.wal.written_bytes
        source.backend_commit_duration_seconds.observe_many(node.backend.take_commit_durations())
        source.db_total_size_in_bytes = node.backend.size_bytes()
        source.db_total_size_in_use_in_bytes = node.backend.size_in_use_bytes()


def _refresh_server(source: MetricsSource, node: Node) -> None:
    member = node.member
    source.cluster_version = ".".join(node.roster.version.split(".")[:2])
    source.has_leader = int(member.leader_id != 0)
    source.is_leader = int(member.is_leader)
    source.leader_changes_seen_total = node.housekeeper.leader_changes_seen
    source.proposals_committed_total = member.committed_index
    source.proposals_applied_total = member.applied_index
    source.proposals_pending = node.service.proposals_pending
    source.proposals_failed_total = node.service.proposals_failed
    source.read_indexes_failed_total = node.service.read_indexes_failed
    source.quota_backend_bytes = node.quota.limit_bytes or 0


def _refresh_state(source: MetricsSource, node: Node) -> None:
    store, counters, lessor, hub = node.store, node.store.counters, node.lessor, node.hub
    source.put_total = counters.puts
    source.delete_total = counters.deletes
    source.range_total = counters.ranges
    source.txn_total = counters.txns
    source.total_put_size_in_bytes = counters.put_bytes
    source.db_compaction_keys_total = counters.compacted_keys
    source.current_revision = store.current_revision
    source.compact_revision = store.compact_revision
    source.keys_total = store.keys_total
    source.events_total = hub.events_sent
    source.watcher_total = hub.watcher_count
    source.watch_stream_total = hub.stream_count
    source.slow_watcher_total = hub.unsynced_count
    source.lease_granted_total = lessor.granted_count
    source.lease_renewed_total = lessor.renewed_count
    source.lease_revoked_total = lessor.revoked_count
    source.lease_expired_total = node.housekeeper.leases_expired
