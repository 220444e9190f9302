"""Which handler answers which gRPC path: the whole table of what a member serves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from etcdpy.api.v3.auth import AuthApi
from etcdpy.api.v3.auth_gate import AuthGate
from etcdpy.api.v3.cluster import ClusterApi
from etcdpy.api.v3.dispatch import Dispatcher
from etcdpy.api.v3.election import ElectionApi
from etcdpy.api.v3.gates import Gates
from etcdpy.api.v3.header import HeaderEncoder
from etcdpy.api.v3.health import HealthApi
from etcdpy.api.v3.identity import Identity, no_common_name
from etcdpy.api.v3.kv import KvApi
from etcdpy.api.v3.lease import LeaseApi
from etcdpy.api.v3.lease_keepalive import LeaseKeepAliveApi
from etcdpy.api.v3.local import LocalMethods
from etcdpy.api.v3.lock import LockApi
from etcdpy.api.v3.maintenance import MaintenanceApi
from etcdpy.api.v3.range_stream import RangeStreamApi
from etcdpy.api.v3.slow_calls import SlowCalls
from etcdpy.api.v3.stream_permission import StreamPermission
from etcdpy.api.v3.watch import Scheduler, WatchApi
from etcdpy.base.errors import UNAVAILABLE, Stopped
from etcdpy.embed.node import Node
from etcdpy.embed.urls import read_urls
from etcdpy.server.tasks import TaskOwner
from etcdpy.state.mvcc.change import Change
from etcdpy.transport.grpc.call import Call
from etcdpy.transport.http2._nghttp2 import StreamMethod, UnaryMethod

Methods = dict[bytes, UnaryMethod | StreamMethod]


@dataclass(slots=True, kw_only=True)
class GrpcApi:
    """The v3 API of a node."""

    methods: Methods
    watch: WatchApi
    keep_alive: LeaseKeepAliveApi
    gates: Gates
    local: LocalMethods
    gateway: LocalMethods

    # -- server.housekeeper.WatchFeed

    def publish(self, changes: Sequence[Change]) -> None:
        self.watch.publish(changes)

    def tick(self, now: float) -> None:
        self.watch.tick(now)
        self.keep_alive.tick()

    def restored(self) -> None:
        self.watch.restored()

    def cut_leaderless(self) -> None:
        self.watch.cut_leaderless()
        self.keep_alive.cut_leaderless()

    # -- ends

    def end_local_calls(self) -> None:
        """End the calls that came another way than over a socket: the member stops."""
        for calls in (self.local, self.gateway):
            calls.end_calls(UNAVAILABLE, Stopped.text)

    def shut(self) -> None:
        """The member has failed: refuse every call from now on."""
        self.gates.shut()
        self.end_local_calls()


def build_grpc_api(node: Node, tasks: TaskOwner, scheduler: Scheduler) -> GrpcApi:
    service, member, clock = node.service, node.member, node.clock
    header = HeaderEncoder(
        cluster_id=node.cluster_id,
        member_id=node.member_id,
        get_term=lambda: member.term,
        get_revision=lambda: node.store.current_revision,
    )
    slow_calls = SlowCalls(
        node.log, slow_seconds=node.config.warning_unary_request_duration_seconds, call_later=node.call_later
    )
    dispatcher = Dispatcher(service, header, tasks, slow_calls)
    kv = KvApi(service, dispatcher, header, node.compactions, txn_ops_max=node.config.max_txn_ops)
    permissions = node.permissions
    lease = LeaseApi(dispatcher, header, node.lessor, node.request_ids, clock, node.questions.renewer, permissions)
    cluster = ClusterApi(service, dispatcher, header, node.roster, node.reconfiguration, read_urls)
    maintenance = MaintenanceApi(dispatcher, header, node.maintenance, node.leadership, node.downgrades, tasks)
    health = HealthApi()
    auth = AuthApi(service, dispatcher, header, permissions.auth, node.passwords, node.log)
    common_name = _common_name if node.config.client_cert_auth else no_common_name
    identity = Identity(permissions.auth, node.log, common_name)
    permission = StreamPermission(identity, permissions)
    has_leader = lambda: member.leader_id != 0  # noqa: E731
    watch = WatchApi(
        node.hub, loop=scheduler, get_term=lambda: member.term, has_leader=has_leader, permission=permission
    )
    keep_alive = LeaseKeepAliveApi(node.questions.renewer, header, has_leader=has_leader, permission=permission)
    ranges = RangeStreamApi(service, node.store, header, permission, has_leader=has_leader, tasks=tasks)
    methods: Methods = {
        b"/etcdserverpb.KV/Range": UnaryMethod(kv.range),
        b"/etcdserverpb.KV/RangeStream": StreamMethod(ranges.open),
        b"/etcdserverpb.KV/Put": UnaryMethod(kv.put),
        b"/etcdserverpb.KV/DeleteRange": UnaryMethod(kv.delete_range),
        b"/etcdserverpb.KV/Txn": UnaryMethod(kv.txn),
        b"/etcdserverpb.KV/Compact": UnaryMethod(kv.compact),
        b"/etcdserverpb.Watch/Watch": StreamMethod(watch.open),
        b"/etcdserverpb.Lease/LeaseGrant": UnaryMethod(lease.grant),
        b"/etcdserverpb.Lease/LeaseRevoke": UnaryMethod(lease.revoke),
        b"/etcdserverpb.Lease/LeaseKeepAlive": StreamMethod(keep_alive.open),
        b"/etcdserverpb.Lease/LeaseTimeToLive": UnaryMethod(lease.time_to_live),
        b"/etcdserverpb.Lease/LeaseLeases": UnaryMethod(lease.leases),
        **_cluster_methods(cluster),
        **_maintenance_methods(maintenance),
        **_auth_methods(auth),
        b"/grpc.health.v1.Health/Check": UnaryMethod(health.check),
        b"/grpc.health.v1.Health/Watch": StreamMethod(health.watch),
    }
    local = LocalMethods(methods)
    _add_queues(methods, local, tasks)
    gates = Gates(methods, member, AuthGate(permissions.auth, identity, progress=member, reader=service, tasks=tasks))
    gates.refresh()
    permissions.auth.on_switch = gates.refresh
    return GrpcApi(
        methods=methods,
        watch=watch,
        keep_alive=keep_alive,
        gates=gates,
        local=local,
        gateway=LocalMethods(methods, are_counted=True),
    )


def _add_queues(methods: Methods, local: LocalMethods, tasks: TaskOwner) -> None:
    """Lock and Election stand on the other methods. All but Observe are unary on the wire."""
    lock = LockApi(local, tasks)
    election = ElectionApi(local, tasks)
    methods[b"/v3lockpb.Lock/Lock"] = StreamMethod(lock.lock)
    methods[b"/v3lockpb.Lock/Unlock"] = StreamMethod(lock.unlock)
    methods[b"/v3electionpb.Election/Campaign"] = StreamMethod(election.campaign)
    methods[b"/v3electionpb.Election/Proclaim"] = StreamMethod(election.proclaim)
    methods[b"/v3electionpb.Election/Leader"] = StreamMethod(election.leader)
    methods[b"/v3electionpb.Election/Observe"] = StreamMethod(election.observe)
    methods[b"/v3electionpb.Election/Resign"] = StreamMethod(election.resign)


def _cluster_methods(cluster: ClusterApi) -> Methods:
    return {
        b"/etcdserverpb.Cluster/MemberAdd": UnaryMethod(cluster.member_add),
        b"/etcdserverpb.Cluster/MemberRemove": UnaryMethod(cluster.member_remove),
        b"/etcdserverpb.Cluster/MemberUpdate": UnaryMethod(cluster.member_update),
        b"/etcdserverpb.Cluster/MemberPromote": UnaryMethod(cluster.member_promote),
        b"/etcdserverpb.Cluster/MemberList": UnaryMethod(cluster.member_list),
    }


def _maintenance_methods(maintenance: MaintenanceApi) -> Methods:
    return {
        b"/etcdserverpb.Maintenance/Alarm": UnaryMethod(maintenance.alarm),
        b"/etcdserverpb.Maintenance/Status": UnaryMethod(maintenance.status),
        b"/etcdserverpb.Maintenance/Defragment": UnaryMethod(maintenance.defragment),
        b"/etcdserverpb.Maintenance/Hash": UnaryMethod(maintenance.hash),
        b"/etcdserverpb.Maintenance/HashKV": UnaryMethod(maintenance.hash_kv),
        b"/etcdserverpb.Maintenance/Snapshot": StreamMethod(maintenance.snapshot),
        b"/etcdserverpb.Maintenance/MoveLeader": UnaryMethod(maintenance.move_leader),
        b"/etcdserverpb.Maintenance/Downgrade": UnaryMethod(maintenance.downgrade),
    }


def _auth_methods(auth: AuthApi) -> Methods:
    return {
        b"/etcdserverpb.Auth/AuthEnable": UnaryMethod(auth.auth_enable),
        b"/etcdserverpb.Auth/AuthDisable": UnaryMethod(auth.auth_disable),
        b"/etcdserverpb.Auth/AuthStatus": UnaryMethod(auth.auth_status),
        b"/etcdserverpb.Auth/Authenticate": UnaryMethod(auth.authenticate),
        b"/etcdserverpb.Auth/UserAdd": UnaryMethod(auth.user_add),
        b"/etcdserverpb.Auth/UserGet": UnaryMethod(auth.user_get),
        b"/etcdserverpb.Auth/UserList": UnaryMethod(auth.user_list),
        b"/etcdserverpb.Auth/UserDelete": UnaryMethod(auth.user_delete),
        b"/etcdserverpb.Auth/UserChangePassword": UnaryMethod(auth.user_change_password),
        b"/etcdserverpb.Auth/UserGrantRole": UnaryMethod(auth.user_grant_role),
        b"/etcdserverpb.Auth/UserRevokeRole": UnaryMethod(auth.user_revoke_role),
        b"/etcdserverpb.Auth/RoleAdd": UnaryMethod(auth.role_add),
        b"/etcdserverpb.Auth/RoleGet": UnaryMethod(auth.role_get),
        b"/etcdserverpb.Auth/RoleList": UnaryMethod(auth.role_list),
        b"/etcdserverpb.Auth/RoleDelete": UnaryMethod(auth.role_delete),
        b"/etcdserverpb.Auth/RoleGrantPermission": UnaryMethod(auth.role_grant_permission),
        b"/etcdserverpb.Auth/RoleRevokePermission": UnaryMethod(auth.role_revoke_permission),
    }


def _common_name(call: Call) -> bytes | None:
    return call.peer_common_name()
