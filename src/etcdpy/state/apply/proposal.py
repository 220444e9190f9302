"""What the log carries for clients: one request, its id, and how both become the bytes of an entry.

An entry's data is an InternalRaftRequest: the request in the field whose number names its kind, and a header with the
request id in field 100. The hot kinds are spliced from the client's own bytes, which are already a valid message; they
are not decoded and encoded again.

3.4 and 3.5 members also write a bare v2 `Request` (attributes, cluster version). Readers try InternalRaftRequest first:
a v2 Request's method string sits in field 2, where InternalRaftRequest has an embedded message, so that parse fails or
yields nothing known, and the second form is tried (facts 7.5).

What could be parsed when it was proposed must be readable for ever: an entry that cannot be decoded stops the member at
every start. Parsers limit how deep a message may be nested (unknown groups count, too), and inside of an entry a
request lies one level deeper. So where the whole does not parse, the request is parsed by itself, as it was then.

Source: raft_internal.proto.
"""

from __future__ import annotations

from typing import Any, Final

from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from etcdpy.base.invariant import InvariantError
from etcdpy.base.varint import LAST_GROUPS, MORE_GROUPS, decode_varint, encode_varint
from etcdpy.pb import etcdserver_pb2, raft_internal_pb2, rpc_pb2
from etcdpy.state.apply.caller import NOBODY, Caller

# Kinds are field numbers of InternalRaftRequest.
V2: Final = 2
RANGE: Final = 3
PUT: Final = 4
DELETE_RANGE: Final = 5
TXN: Final = 6
COMPACTION: Final = 7
LEASE_GRANT: Final = 8
LEASE_REVOKE: Final = 9
ALARM: Final = 10
LEASE_CHECKPOINT: Final = 11
AUTH_ENABLE: Final = 1000
AUTH_DISABLE: Final = 1011
AUTHENTICATE: Final = 1012
AUTH_STATUS: Final = 1013
AUTH_USER_ADD: Final = 1100
AUTH_USER_DELETE: Final = 1101
AUTH_USER_GET: Final = 1102
AUTH_USER_CHANGE_PASSWORD: Final = 1103
AUTH_USER_GRANT_ROLE: Final = 1104
AUTH_USER_REVOKE_ROLE: Final = 1105
AUTH_USER_LIST: Final = 1106
AUTH_ROLE_LIST: Final = 1107
AUTH_ROLE_ADD: Final = 1200
AUTH_ROLE_DELETE: Final = 1201
AUTH_ROLE_GET: Final = 1202
AUTH_ROLE_GRANT_PERMISSION: Final = 1203
AUTH_ROLE_REVOKE_PERMISSION: Final = 1204
CLUSTER_VERSION_SET: Final = 1300
CLUSTER_MEMBER_ATTR_SET: Final = 1301
DOWNGRADE_INFO_SET: Final = 1302
# They reach the v2 store, too, which is why a replay does not skip them.
MEMBERSHIP_KINDS: Final = frozenset({CLUSTER_VERSION_SET, CLUSTER_MEMBER_ATTR_SET, DOWNGRADE_INFO_SET})

REQUEST_TYPES: Final[dict[int, type[Message]]] = {
    RANGE: rpc_pb2.RangeRequest,
    PUT: rpc_pb2.PutRequest,
    DELETE_RANGE: rpc_pb2.DeleteRangeRequest,
    TXN: rpc_pb2.TxnRequest,
    COMPACTION: rpc_pb2.CompactionRequest,
    LEASE_GRANT: rpc_pb2.LeaseGrantRequest,
    LEASE_REVOKE: rpc_pb2.LeaseRevokeRequest,
    ALARM: rpc_pb2.AlarmRequest,
    LEASE_CHECKPOINT: rpc_pb2.LeaseCheckpointRequest,
}
_NAMES: Final = {
    field.number: field.name for field in raft_internal_pb2.InternalRaftRequest.DESCRIPTOR.fields if field.number > 2
}
_TAGS: Final = {kind: encode_varint(kind << 3 | 2) for kind in _NAMES if kind != 100}
_HEADER_TAG: Final = encode_varint(100 << 3 | 2)
_ID_TAG: Final = encode_varint(1 << 3)


class Proposal:
    """One request on its way through the log.

    `request` is a message of `REQUEST_TYPES[kind]`, of one about users and roles, or a v2 Request; a transaction's is
    the TxnPlan it was read into.
    """

    __slots__ = ("kind", "request_id", "request", "caller")

    def __init__(self, kind: int, request_id: int, request: Any, caller: Caller = NOBODY) -> None:
        self.kind = kind
        self.request_id = request_id
        self.request = request
        self.caller = caller


class InternalEncoder:
    """Makes entry data of requests. A request id's upper bits hardly change, so their bytes are kept."""

    __slots__ = ("_upper", "_upper_bytes", "_header_start")

    def __init__(self) -> None:
        self._upper = -1
        self._upper_bytes = b""  # Invariant: the varint groups of `_upper`, which follow four groups of seven bits.
        self._header_start = b""  # Invariant: tag and length of the header, and the tag of the id.

    def encode(self, kind: int, request_id: int, body: bytes) -> bytes:
        """Return the data of an entry: `body` is the serialized request of `kind`."""
        upper = request_id >> 28
        if upper != self._upper:
            self._remember(upper)
        size = len(body)
        return b"".join(
            (
                _TAGS[kind],
                LAST_GROUPS[size] if size < 16384 else encode_varint(size),
                body,
                self._header_start,
                MORE_GROUPS[request_id & 16383],
                MORE_GROUPS[request_id >> 14 & 16383],
                self._upper_bytes,
            )
        )

    def encode_for(self, caller: Caller, kind: int, request_id: int, body: bytes) -> bytes:
        """As `encode`, with the caller in the header: while authentication is on."""
        upper = request_id >> 28
        if upper != self._upper:
            self._remember(upper)
        encoded = caller.encoded
        if encoded is None:
            encoded = caller.encoded = _encode_caller(caller)
        size = len(body)
        return b"".join(
            (
                _TAGS[kind],
                LAST_GROUPS[size] if size < 16384 else encode_varint(size),
                body,
                _HEADER_TAG,
                encode_varint(1 + 4 + len(self._upper_bytes) + len(encoded)),
                _ID_TAG,
                MORE_GROUPS[request_id & 16383],
                MORE_GROUPS[request_id >> 14 & 16383],
                self._upper_bytes,
                encoded,
            )
        )

    def _remember(self, upper: int) -> None:
        if upper == 0:
            raise InvariantError("request ids below 2**28 are not made by RequestIdGenerator")
        self._upper = upper
        self._upper_bytes = encode_varint(upper)
        self._header_start = _HEADER_TAG + encode_varint(1 + 4 + len(self._upper_bytes)) + _ID_TAG


def _encode_caller(caller: Caller) -> bytes:
    """Return the fields of a request's header that follow its id."""
    return raft_internal_pb2.RequestHeader(username=caller.username, auth_revision=caller.revision).SerializeToString()


def encode_v2_put(request_id: int, path: str, value: str) -> bytes:
    """Return the data of the bare v2 PUT by which a 3.5 member publishes its attributes and the cluster version."""
    return etcdserver_pb2.Request(
        ID=request_id,
        Method=b"PUT",
        Path=path.encode(),
        Val=value.encode(),
        Dir=False,
        PrevValue=b"",
        PrevIndex=0,
        Expiration=0,
        Wait=False,
        Since=0,
        Recursive=False,
        Sorted=False,
        Quorum=False,
        Time=0,
        Stream=False,
    ).SerializeToString()


def decode_entry_data(data: bytes) -> Proposal:
    """Return what an entry of another member, or of an earlier life of this one, asks for.

    Raise InvariantError when it is nothing we know: to skip it would let members diverge.
    """
    try:
        internal = raft_internal_pb2.InternalRaftRequest.FromString(data)
    except DecodeError:
        return _decode_apart(data) or _decode_v2(data)
    for field, value in internal.ListFields():
        if field.number == V2:
            return Proposal(V2, value.ID, value)
        if field.name in _KIND_BY_NAME:
            request_id = internal.header.ID or internal.ID
            return Proposal(_KIND_BY_NAME[field.name], request_id, value, _caller_of(internal.header))
    return _decode_v2(data)


def _caller_of(header: Any) -> Caller:
    return Caller(header.username, header.auth_revision) if header.auth_revision else NOBODY


_KIND_BY_NAME: Final = {name: number for number, name in _NAMES.items() if name not in ("header", "ID")}


def _decode_apart(data: bytes) -> Proposal | None:
    """Parse each message inside of an InternalRaftRequest by itself; None where that is not what `data` is."""
    found: dict[int, Any] = {}
    position = 0
    try:
        while position < len(data):
            tag, position = decode_varint(data, position)
            number = tag >> 3
            value: Any = None
            if tag & 7 == _VARINT:
                value, position = decode_varint(data, position)
            elif tag & 7 == _LENGTH_DELIMITED and number in _MESSAGE_CLASSES:
                size, position = decode_varint(data, position)
                if size > len(data) - position:
                    return None
                value = _MESSAGE_CLASSES[number].FromString(data[position : position + size])
                position += size
            else:
                return None
            found[number] = value
    except (DecodeError, ValueError):
        return None
    header = found.pop(_HEADER, None)
    request_id = found.pop(_ID, 0)
    if not found or V2 in found:
        return None
    kind = min(found)
    if header is None:
        return Proposal(kind, request_id, found[kind])
    return Proposal(kind, header.ID or request_id, found[kind], _caller_of(header))


_ID: Final = 1
_HEADER: Final = 100
_VARINT: Final = 0
_LENGTH_DELIMITED: Final = 2
_MESSAGE_CLASSES: Final[dict[int, type[Message]]] = {
    field.number: GetMessageClass(field.message_type)
    for field in raft_internal_pb2.InternalRaftRequest.DESCRIPTOR.fields
    if field.message_type is not None
}


def _decode_v2(data: bytes) -> Proposal:
    try:
        request = etcdserver_pb2.Request.FromString(data)
    except DecodeError as error:
        raise InvariantError(f"an entry of {len(data)} bytes is no request: {error}") from error
    if not request.Method:
        raise InvariantError(f"an entry of {len(data)} bytes holds no request that this version knows")
    return Proposal(V2, request.ID, request)
