"""The protobuf format: the response as it was marshalled, nothing else. Leases, which are not messages in Go's client,
are reduced to their header there, and so here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from google.protobuf.message import Message

from etcdpy.cli.etcdctl.printer.base import Printer

if TYPE_CHECKING:
    from etcdpy.pb import rpc_pb2 as rpc


class ProtobufPrinter(Printer):
    """See the module."""

    name = "protobuf"

    def _message(self, response: Message) -> None:
        self._out.write(response.SerializeToString())

    def get(self, response: rpc.RangeResponse) -> None:
        self._message(response)

    def put(self, response: rpc.PutResponse) -> None:
        self._message(response)

    def delete(self, response: rpc.DeleteRangeResponse) -> None:
        self._message(response)

    def txn(self, response: rpc.TxnResponse) -> None:
        self._message(response)

    def watch(self, response: rpc.WatchResponse) -> None:
        shown = type(response)()
        shown.CopyFrom(response)
        shown.watch_id = 0
        shown.cancel_reason = ""
        self._message(shown)

    def lease_grant(self, response: rpc.LeaseGrantResponse) -> None:
        self._message(response.header)

    def lease_revoke(self, lease_id: int, response: rpc.LeaseRevokeResponse) -> None:
        self._message(response)

    def lease_keep_alive(self, response: rpc.LeaseKeepAliveResponse) -> None:
        self._message(response.header)

    def lease_time_to_live(self, response: rpc.LeaseTimeToLiveResponse, *, with_keys: bool) -> None:
        self._message(response.header)

    def lease_list(self, response: rpc.LeaseLeasesResponse) -> None:
        self._message(response.header)

    def member_list(self, response: rpc.MemberListResponse) -> None:
        self._message(response)

    def member_add(self, name: str, peer_urls: str, response: rpc.MemberAddResponse) -> None:
        self._message(response)

    def member_remove(self, member_id: int, response: rpc.MemberRemoveResponse) -> None:
        self._message(response)

    def member_update(self, member_id: int, response: rpc.MemberUpdateResponse) -> None:
        self._message(response)

    def member_promote(self, member_id: int, response: rpc.MemberPromoteResponse) -> None:
        self._message(response)

    def alarms(self, response: rpc.AlarmResponse) -> None:
        self._message(response)

    def downgrade(self, verb: str, response: rpc.DowngradeResponse) -> None:
        self._message(response)

    def move_leader(self, leader: int, target: int, response: rpc.MoveLeaderResponse) -> None:
        self._message(response)

    def auth_change(self, text: str, response: Message) -> None:
        self._message(response)

    def auth_status(self, response: rpc.AuthStatusResponse) -> None:
        self._message(response)

    def user_get(self, name: str, response: rpc.AuthUserGetResponse) -> None:
        self._message(response)

    def user_list(self, response: rpc.AuthUserListResponse) -> None:
        self._message(response)

    def role_get(self, name: str, response: rpc.AuthRoleGetResponse) -> None:
        self._message(response)

    def role_list(self, response: rpc.AuthRoleListResponse) -> None:
        self._message(response)
