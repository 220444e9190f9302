"""The default format: keys and values on lines of their own, one sentence for everything else."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from etcdpy.cli.etcdctl.go_text import format_duration, hex_bytes, quote_text
from etcdpy.cli.etcdctl.printer.base import (
    EndpointHash,
    EndpointHealth,
    EndpointStatus,
    Printer,
    SnapshotStatus,
    health_error_line,
)
from etcdpy.client.request import prefix_end

if TYPE_CHECKING:
    from etcdpy.pb import auth_pb2 as auth
    from etcdpy.pb import kv_pb2 as kv
    from etcdpy.pb import rpc_pb2 as rpc


# Kinds of a permission: READ, WRITE, READWRITE.
READING: Final = (0, 2)
WRITING: Final = (1, 2)


def lease_hex(lease_id: int) -> str:
    """Return Go's %016x, which counts a minus sign."""
    return f"{lease_id:016x}"


class SimplePrinter(Printer):
    """See the module."""

    name = "simple"

    def get(self, response: rpc.RangeResponse) -> None:
        self._pairs(response.kvs)

    def put(self, response: rpc.PutResponse) -> None:
        self.line(b"OK")
        if response.HasField("prev_kv"):
            self._pair(response.prev_kv)

    def delete(self, response: rpc.DeleteRangeResponse) -> None:
        self.line(str(response.deleted))
        self._pairs(response.prev_kvs)

    def txn(self, response: rpc.TxnResponse) -> None:
        self.line(b"SUCCESS" if response.succeeded else b"FAILURE")
        for op in response.responses:
            self.line(b"")
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
        for event in response.events:
            self.line(b"DELETE" if event.type else b"PUT")
            if event.HasField("prev_kv"):
                self._pair(event.prev_kv)
            self._pair(event.kv)

    def lease_grant(self, response: rpc.LeaseGrantResponse) -> None:
        self.line(f"lease {lease_hex(response.ID)} granted with TTL({response.TTL}s)")

    def lease_revoke(self, lease_id: int, response: rpc.LeaseRevokeResponse) -> None:
        self.line(f"lease {lease_hex(lease_id)} revoked")

    def lease_keep_alive(self, response: rpc.LeaseKeepAliveResponse) -> None:
        self.line(f"lease {lease_hex(response.ID)} keepalived with TTL({response.TTL})")

    def lease_time_to_live(self, response: rpc.LeaseTimeToLiveResponse, *, with_keys: bool) -> None:
        name = lease_hex(response.ID)
        if response.grantedTTL == 0 and response.TTL == -1:
            self.line(f"lease {name} already expired")
            return
        text = f"lease {name} granted with TTL({response.grantedTTL}s), remaining({response.TTL}s)"
        keys = b", attached keys([%s])" % b" ".join(response.keys) if with_keys else b""
        self.line(text.encode() + keys)

    def lease_list(self, response: rpc.LeaseLeasesResponse) -> None:
        self.line(f"found {len(response.leases)} leases")
        for lease in response.leases:
            self.line(lease_hex(lease.ID))

    def member_list(self, response: rpc.MemberListResponse) -> None:
        from etcdpy.cli.etcdctl.printer.rows import member_row

        for member in response.members:
            self.line(", ".join(member_row(member)))

    def member_add(self, name: str, peer_urls: str, response: rpc.MemberAddResponse) -> None:
        """Also print, as the environment of its first start, what the new member must be told."""
        added = response.member
        self.line(f"Member {added.ID:16x} added to cluster {response.header.cluster_id:16x}")
        cluster = [
            f"{name if member.ID == added.ID else member.name}={url}"
            for member in response.members
            for url in member.peerURLs
        ]
        self.line("")
        self.line(f"ETCD_NAME={quote_text(name)}")
        self.line(f"ETCD_INITIAL_CLUSTER={quote_text(','.join(cluster))}")
        self.line(f"ETCD_INITIAL_ADVERTISE_PEER_URLS={quote_text(peer_urls)}")
        self.line('ETCD_INITIAL_CLUSTER_STATE="existing"')

    def member_remove(self, member_id: int, response: rpc.MemberRemoveResponse) -> None:
        self.line(f"Member {member_id:16x} removed from cluster {response.header.cluster_id:16x}")

    def member_update(self, member_id: int, response: rpc.MemberUpdateResponse) -> None:
        self.line(f"Member {member_id:16x} updated in cluster {response.header.cluster_id:16x}")

    def member_promote(self, member_id: int, response: rpc.MemberPromoteResponse) -> None:
        self.line(f"Member {member_id:16x} promoted in cluster {response.header.cluster_id:16x}")

    def alarms(self, response: rpc.AlarmResponse) -> None:
        for alarm in response.alarms:
            self.line(str(alarm_text(alarm)))

    def endpoint_health(self, found: Sequence[EndpointHealth]) -> None:
        for health in found:
            if health.healthy:
                took = format_duration(health.took)
                self.line(f"{health.endpoint} is healthy: successfully committed proposal: took = {took}")
            else:
                self.flush()
                sys.stderr.write(health_error_line(health))
                sys.stderr.flush()

    def endpoint_status(self, found: Sequence[EndpointStatus]) -> None:
        from etcdpy.cli.etcdctl.printer.rows import status_row

        for status in found:
            self.line(", ".join(status_row(status)))

    def endpoint_hash_kv(self, found: Sequence[EndpointHash]) -> None:
        from etcdpy.cli.etcdctl.printer.rows import hash_row

        for hash_ in found:
            self.line(", ".join(hash_row(hash_)))

    def downgrade(self, verb: str, response: rpc.DowngradeResponse) -> None:
        self.line(f"Downgrade {verb} success, cluster version {response.version}")

    def move_leader(self, leader: int, target: int, response: rpc.MoveLeaderResponse) -> None:
        self.line(f"Leadership transferred from {leader:x} to {target:x}")

    def snapshot_status(self, status: SnapshotStatus) -> None:
        from etcdpy.cli.etcdctl.printer.rows import snapshot_row

        self.line(", ".join(snapshot_row(status)))

    def auth_change(self, text: str, response: object) -> None:
        self.line(text)

    def auth_status(self, response: rpc.AuthStatusResponse) -> None:
        self.line(f"Authentication Status: {'true' if response.enabled else 'false'}")
        self.line(f"AuthRevision: {response.authRevision}")

    def user_get(self, name: str, response: rpc.AuthUserGetResponse) -> None:
        self.line(f"User: {name}")
        self.line(b" ".join([b"Roles:", *response.roles]))

    def user_list(self, response: rpc.AuthUserListResponse) -> None:
        for user in response.users:
            self.line(user)

    def role_get(self, name: str, response: rpc.AuthRoleGetResponse) -> None:
        self.line(f"Role {name}")
        for heading, kinds in (("KV Read:", READING), ("KV Write:", WRITING)):
            self.line(heading)
            for permission in response.perm:
                if permission.permType in kinds:
                    self.line(b"\t" + permitted_range(permission))

    def role_list(self, response: rpc.AuthRoleListResponse) -> None:
        for role in response.roles:
            self.line(role)

    def _pairs(self, pairs: Sequence[kv.KeyValue]) -> None:
        for pair in pairs:
            self._pair(pair)

    def _pair(self, pair: kv.KeyValue) -> None:
        key, value = (hex_bytes(pair.key), hex_bytes(pair.value)) if self._hex else (pair.key, pair.value)
        if not self.value_only:
            self.line(key)
        self.line(value)


def permitted_range(permission: auth.Permission) -> bytes:
    """Return the keys of a permission as `key` or `[from, to)`."""
    key, end = permission.key, permission.range_end
    if not end:
        return key
    if end == b"\0":
        return b"[%s, <open ended>" % key
    shown = b"[%s, %s)" % (key, end)
    return shown + b" (prefix %s)" % key if prefix_end(key) == end else shown


def alarm_text(alarm: rpc.AlarmMember) -> str:
    """Return an alarm as Go prints the message: every field that is set, each with a blank behind."""
    member = f"memberID:{alarm.memberID} " if alarm.memberID else ""
    kind = {0: "", 1: "alarm:NOSPACE ", 2: "alarm:CORRUPT "}.get(alarm.alarm, f"alarm:{alarm.alarm} ")
    return member + kind
