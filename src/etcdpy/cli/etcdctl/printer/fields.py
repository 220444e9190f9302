"""The fields format: every field on a line of its own, as `"Name" : value`; strings quoted as Go's %q."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from etcdpy.cli.etcdctl.go_text import format_duration, quote, quote_text
from etcdpy.cli.etcdctl.printer.base import EndpointHash, EndpointHealth, EndpointStatus, Printer, SnapshotStatus

if TYPE_CHECKING:
    from etcdpy.pb import kv_pb2 as kv
    from etcdpy.pb import rpc_pb2 as rpc


PERMISSION_NAMES: Final = ("READ", "WRITE", "READWRITE")


class FieldsPrinter(Printer):
    """See the module."""

    name = "fields"

    def get(self, response: rpc.RangeResponse) -> None:
        self._header(response.header)
        for pair in response.kvs:
            self._pair("", pair)
        self._field("More", response.more)
        self._field("Count", response.count)

    def put(self, response: rpc.PutResponse) -> None:
        self._header(response.header)
        if response.HasField("prev_kv"):
            self._pair("Prev", response.prev_kv)

    def delete(self, response: rpc.DeleteRangeResponse) -> None:
        self._header(response.header)
        self._field("Deleted", response.deleted)
        for pair in response.prev_kvs:
            self._pair("Prev", pair)

    def txn(self, response: rpc.TxnResponse) -> None:
        self._header(response.header)
        self._field("Succeeded", response.succeeded)
        for op in response.responses:
            kind = op.WhichOneof("response")
            if kind == "response_range":
                self.get(op.response_range)
            elif kind == "response_put":
                self.put(op.response_put)
            elif kind == "response_delete_range":
                self.delete(op.response_delete_range)
            else:
                self.txn(type(response).FromString(op.response_txn))

    def watch(self, response: rpc.WatchResponse) -> None:
        self._header(response.header)
        for event in response.events:
            self.line(f'"Type" : {"DELETE" if event.type else "PUT"}')
            if event.HasField("prev_kv"):
                self._pair("Prev", event.prev_kv)
            self._pair("", event.kv)

    def lease_grant(self, response: rpc.LeaseGrantResponse) -> None:
        self._header(response.header)
        self._field("ID", response.ID)
        self._field("TTL", response.TTL)

    def lease_revoke(self, lease_id: int, response: rpc.LeaseRevokeResponse) -> None:
        self._header(response.header)

    def lease_keep_alive(self, response: rpc.LeaseKeepAliveResponse) -> None:
        self._header(response.header)
        self._field("ID", response.ID)
        self._field("TTL", response.TTL)

    def lease_time_to_live(self, response: rpc.LeaseTimeToLiveResponse, *, with_keys: bool) -> None:
        self._header(response.header)
        self._field("ID", response.ID)
        self._field("TTL", response.TTL)
        self._field("GrantedTTL", response.grantedTTL)
        for key in response.keys:
            self.line(f'"Key" : {quote(key)}')

    def lease_list(self, response: rpc.LeaseLeasesResponse) -> None:
        self._header(response.header)
        for lease in response.leases:
            self._field("ID", lease.ID)

    def member_list(self, response: rpc.MemberListResponse) -> None:
        self._header(response.header)
        for member in response.members:
            self._field("ID", member.ID)
            self.line(f'"Name" : {quote_text(member.name)}')
            for url in member.peerURLs:
                self.line(f'"PeerURL" : {quote_text(url)}')
            for url in member.clientURLs:
                self.line(f'"ClientURL" : {quote_text(url)}')
            self._field("IsLearner", member.isLearner)
            self.line("")

    def alarms(self, response: rpc.AlarmResponse) -> None:
        self._header(response.header)
        names = {0: "NONE", 1: "NOSPACE", 2: "CORRUPT"}
        for alarm in response.alarms:
            self._field("MemberID", alarm.memberID)
            self.line(f'"AlarmType" : {names.get(alarm.alarm, alarm.alarm)}')
            self.line("")

    def endpoint_health(self, found: Sequence[EndpointHealth]) -> None:
        for health in found:
            self.line(f'"Endpoint" : {quote_text(health.endpoint)}')
            self._field("Health", health.healthy)
            self.line(f'"Took" : {format_duration(health.took)}')
            self.line(f'"Error" : {health.error}')
            self.line("")

    def endpoint_status(self, found: Sequence[EndpointStatus]) -> None:
        for item in found:
            status = item.status
            self._header(status.header)
            self.line(f'"Version" : {quote_text(status.version)}')
            self._field("DBSize", status.dbSize)
            self._field("Leader", status.leader)
            self._field("IsLearner", status.isLearner)
            self._field("RaftIndex", status.raftIndex)
            self._field("RaftTerm", status.raftTerm)
            self._field("RaftAppliedIndex", status.raftAppliedIndex)
            self.line(f'"Errors" : [{" ".join(status.errors)}]')
            self.line(f'"Endpoint" : {quote_text(item.endpoint)}')
            self.line("")

    def endpoint_hash_kv(self, found: Sequence[EndpointHash]) -> None:
        for item in found:
            self._header(item.hash.header)
            self.line(f'"Endpoint" : {quote_text(item.endpoint)}')
            self._field("Hash", item.hash.hash)
            self.line("")

    def snapshot_status(self, status: SnapshotStatus) -> None:
        self._field("Hash", status.hash)
        self._field("Revision", status.revision)
        self._field("Keys", status.total_keys)
        self._field("Size", status.total_bytes)

    def auth_change(self, text: str, response: Any) -> None:
        self._header(response.header)

    def role_get(self, name: str, response: rpc.AuthRoleGetResponse) -> None:
        self._header(response.header)
        for permission in response.perm:
            self.line(f'"PermType" :  {PERMISSION_NAMES[permission.permType]}')
            self.line(f'"Key" : {quote(permission.key)}')
            self.line(f'"RangeEnd" : {quote(permission.range_end)}')

    def role_list(self, response: rpc.AuthRoleListResponse) -> None:
        self._header(response.header)
        self.line(" ".join(['"Roles" :', *map(quote, response.roles)]))

    def _header(self, header: rpc.ResponseHeader) -> None:
        self._field("ClusterID", header.cluster_id)
        self._field("MemberID", header.member_id)
        self._field("Revision", header.revision)
        self._field("RaftTerm", header.raft_term)

    def _pair(self, prefix: str, pair: kv.KeyValue) -> None:
        self.line(f'"{prefix}Key" : {quote(pair.key)}')
        self._field(prefix + "CreateRevision", pair.create_revision)
        self._field(prefix + "ModRevision", pair.mod_revision)
        self._field(prefix + "Version", pair.version)
        self.line(f'"{prefix}Value" : {quote(pair.value)}')
        self._field(prefix + "Lease", pair.lease)

    def _field(self, name: str, value: bool | int) -> None:
        shown = ("true" if value else "false") if isinstance(value, bool) else str(value)
        self.line(f'"{name}" : {shown}')
