"""The protobuf format: the response as it was marshalled, nothing else. Leases, which are not messages in Go's client,
are reduced to their header there, and so here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from google.protobuf.message import Message

from etcdpy.cli.etcdctl.printer.base import MessagePrinter

if TYPE_CHECKING:
    from etcdpy.pb import rpc_pb2 as rpc


class ProtobufPrinter(MessagePrinter):
    """See the module."""

    name = "protobuf"

    def _message(self, response: Message) -> None:
        self._out.write(response.SerializeToString())

    def watch(self, response: rpc.WatchResponse) -> None:
        shown = type(response)()
        shown.CopyFrom(response)
        shown.watch_id = 0
        shown.cancel_reason = ""
        self._message(shown)

    def lease_grant(self, response: rpc.LeaseGrantResponse) -> None:
        self._message(response.header)

    def lease_keep_alive(self, response: rpc.LeaseKeepAliveResponse) -> None:
        self._message(response.header)

    def lease_time_to_live(self, response: rpc.LeaseTimeToLiveResponse, *, with_keys: bool) -> None:
        self._message(response.header)

    def lease_list(self, response: rpc.LeaseLeasesResponse) -> None:
        self._message(response.header)

    def member_list(self, response: rpc.MemberListResponse) -> None:
        self._message(response)
