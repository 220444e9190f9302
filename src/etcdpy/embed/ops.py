"""What /health, /metrics and their neighbours see of a node. Implements `api.ops.source.OpsSource`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from prometheus_client.core import CollectorRegistry

from etcdpy.api.ops.source import RaisedAlarm
from etcdpy.base.ids import format_id
from etcdpy.base.version import CLUSTER_VERSION_UNKNOWN, VERSION
from etcdpy.embed.metrics_refresh import refresh
from etcdpy.embed.node import Node
from etcdpy.pb import rpc_pb2
from etcdpy.server.metrics import Metrics, time_methods
from etcdpy.server.metrics_source import GrpcMethodCounts, HealthCounts
from etcdpy.state.alarm import name_alarm

# The value of --metrics that asks for handling times.
EXTENSIVE: Final = "extensive"


class NodeOps:
    """One node, as an operator's tools ask for it."""

    def __init__(self, node: Node, grpc_methods: Mapping[bytes, GrpcMethodCounts]) -> None:
        self._node = node
        self._source = node.metrics
        self._source.server_version = VERSION
        self._source.grpc_methods = grpc_methods
        if node.config.metrics == EXTENSIVE:
            time_methods(self._source)
        self._metrics = Metrics(CollectorRegistry(), self._source, refresh=lambda source: refresh(source, node))

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
