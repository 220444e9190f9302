"""JSON as Go's encoding/json writes etcd's structs: numbers as numbers, bytes as base64, zero values left out.

Fields come in the order of the message's declaration, under their proto names. Exceptions, all from Go's struct tags:
  * an operation's answer stands under "Response", in a oneof's name;
  * a few answers are not protobuf structs in Go: leases have the header's fields flattened in, watches capital letters;
  * `member list --hex` has a form of its own.
Fields that 3.5's structs do not have are left out.
"""

from __future__ import annotations

import os
from binascii import b2a_base64
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

from google.protobuf.message import Message

from etcdpy.cli.etcdctl.go_text import format_duration, json_string
from etcdpy.cli.etcdctl.printer.base import EndpointHash, EndpointHealth, EndpointStatus, MessagePrinter, SnapshotStatus

if TYPE_CHECKING:
    from etcdpy.pb import rpc_pb2 as rpc

# Younger than 3.5.
_UNKNOWN_TO_3_5: Final = {
    "StatusResponse": ("storageVersion", "dbSizeQuota", "downgradeInfo"),
    "HashKVResponse": ("hash_revision",),
}


# Text in Go's structs, bytes in ours: they need not be UTF-8.
_TEXTS: Final = ("AuthUserListResponse", "AuthUserGetResponse", "AuthRoleListResponse")


def json_message(message: Message) -> str:
    """Return one message as Go writes the struct."""
    return "{" + ",".join(_members(message)) + "}"


def _members(message: Message) -> Iterable[str]:
    name = message.DESCRIPTOR.name
    hidden = _UNKNOWN_TO_3_5.get(name, ())
    for field in message.DESCRIPTOR.fields:
        if field.name in hidden or not _is_set(message, field):
            continue
        value = getattr(message, field.name)
        if name == "ResponseOp":
            yield f'"Response":{{"{field.name}":{_operation_answer(message, field.name)}}}'
        elif field.is_repeated:
            show = _text if name in _TEXTS else _value
            yield f'"{field.name}":[{",".join(show(item) for item in value)}]'
        else:
            yield f'"{field.name}":{_value(value)}'


def _is_set(message: Message, field: Any) -> bool:
    if field.is_repeated:
        return bool(getattr(message, field.name))
    if field.message_type is not None or field.containing_oneof is not None:
        return message.HasField(field.name)
    return bool(getattr(message, field.name))


def _operation_answer(message: Message, name: str) -> str:
    value = getattr(message, name)
    if isinstance(value, Message):
        return json_message(value)
    # A nested transaction is kept as bytes.
    from etcdpy.pb import rpc_pb2 as rpc

    return json_message(rpc.TxnResponse.FromString(value))


def _value(value: object) -> str:
    if isinstance(value, Message):
        return json_message(value)
    if isinstance(value, bytes):
        return json_bytes(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return json_string(value) if isinstance(value, str) else str(value)


def _text(value: bytes) -> str:
    return json_string(os.fsdecode(value))


def json_bytes(value: bytes) -> str:
    return '"' + b2a_base64(value, newline=False).decode() + '"'


def json_members(**members: str) -> str:
    """Return an object from members that are JSON already; `_` in a name stands for itself."""
    return "{" + ",".join(f'"{name}":{value}' for name, value in members.items()) + "}"


class JsonPrinter(MessagePrinter):
    """See the module."""

    name = "json"

    def _message(self, response: Message) -> None:
        self.line(json_message(response))

    def watch(self, response: rpc.WatchResponse) -> None:
        self.line(
            json_members(
                Header=json_message(response.header),
                Events="[" + ",".join(map(json_message, response.events)) + "]",
                CompactRevision=str(response.compact_revision),
                Canceled="true" if response.canceled else "false",
                Created="true" if response.created else "false",
            )
        )

    def lease_grant(self, response: rpc.LeaseGrantResponse) -> None:
        self._flat(
            response.header, [f'"ID":{response.ID}', f'"TTL":{response.TTL}', f'"Error":{json_string(response.error)}']
        )

    def lease_keep_alive(self, response: rpc.LeaseKeepAliveResponse) -> None:
        self._flat(response.header, [f'"ID":{response.ID}', f'"TTL":{response.TTL}'])

    def lease_time_to_live(self, response: rpc.LeaseTimeToLiveResponse, *, with_keys: bool) -> None:
        keys = "[" + ",".join(map(json_bytes, response.keys)) + "]" if response.keys else "null"
        self._flat(
            response.header,
            [
                f'"id":{response.ID}',
                f'"ttl":{response.TTL}',
                f'"granted-ttl":{response.grantedTTL}',
                f'"keys":{keys}',
            ],
        )

    def lease_list(self, response: rpc.LeaseLeasesResponse) -> None:
        leases = ",".join(f'{{"id":{lease.ID}}}' for lease in response.leases)
        self._flat(response.header, [f'"leases":[{leases}]'])

    def member_list(self, response: rpc.MemberListResponse) -> None:
        if self._hex:
            self.line(_hex_member_list(response))
        else:
            self._message(response)

    def endpoint_health(self, found: Sequence[EndpointHealth]) -> None:
        self.line("[" + ",".join(map(_health, found)) + "]")

    def endpoint_status(self, found: Sequence[EndpointStatus]) -> None:
        items = (json_members(Endpoint=json_string(s.endpoint), Status=json_message(s.status)) for s in found)
        self.line("[" + ",".join(items) + "]")

    def endpoint_hash_kv(self, found: Sequence[EndpointHash]) -> None:
        items = (json_members(Endpoint=json_string(h.endpoint), HashKV=json_message(h.hash)) for h in found)
        self.line("[" + ",".join(items) + "]")

    def snapshot_status(self, status: SnapshotStatus) -> None:
        self.line(
            json_members(
                hash=str(status.hash),
                revision=str(status.revision),
                totalKey=str(status.total_keys),
                totalSize=str(status.total_bytes),
            )
        )

    def _flat(self, header: rpc.ResponseHeader, members: list[str]) -> None:
        self.line("{" + ",".join([*_members(header), *members]) + "}")


def _health(found: EndpointHealth) -> str:
    members = {
        "endpoint": json_string(found.endpoint),
        "health": "true" if found.healthy else "false",
        "took": json_string(format_duration(found.took)),
    }
    if found.error:
        members["error"] = json_string(found.error)
    return json_members(**members)


def _hex_member_list(response: rpc.MemberListResponse) -> str:
    header = response.header
    members = []
    for member in response.members:
        fields = {"ID": f'"{member.ID:x}"', "name": json_string(member.name)}
        for name, urls in (("peerURLs", member.peerURLs), ("clientURLS", member.clientURLs)):
            fields[name] = "[" + ",".join(map(json_string, urls)) + "]" if urls else "null"
        members.append(json_members(**fields))
    return json_members(
        header=json_members(
            cluster_id=f'"{header.cluster_id:x}"', member_id=f'"{header.member_id:x}"', raft_term=str(header.raft_term)
        ),
        members="[" + ",".join(members) + "]",
    )
