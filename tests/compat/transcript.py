"""Send a list of operations to one server and write down every answer, in a form that can be compared."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from etcdpy.base.errors import EtcdError
from etcdpy.pb import rpc_pb2 as pb
from etcdpy.transport.grpc.blocking import BlockingChannel
from tests.compat.operations import Operation

_RESPONSES: dict[bytes, Any] = {
    b"Range": pb.RangeResponse,
    b"Put": pb.PutResponse,
    b"DeleteRange": pb.DeleteRangeResponse,
    b"Txn": pb.TxnResponse,
    b"Compact": pb.CompactionResponse,
    b"LeaseGrant": pb.LeaseGrantResponse,
    b"LeaseRevoke": pb.LeaseRevokeResponse,
    b"LeaseTimeToLive": pb.LeaseTimeToLiveResponse,
    b"LeaseLeases": pb.LeaseLeasesResponse,
    b"HashKV": pb.HashKVResponse,
    b"Hash": pb.HashResponse,
    b"Alarm": pb.AlarmResponse,
    b"MemberList": pb.MemberListResponse,
}
CALL_SECONDS = 20.0


@dataclass(frozen=True)
class Reply:
    """`code` and `text` of the status; `message` is None where the call failed."""

    code: int
    text: str
    message: Any = None

    def __str__(self) -> str:
        return f"code={self.code} text={self.text!r}\n{self.message}"


def send(channel: BlockingChannel, operation: Operation) -> Reply:
    try:
        answer = channel.unary(operation.path, operation.message, timeout=CALL_SECONDS)
    except EtcdError as error:
        return Reply(error.code, _comparable_text(error.text))
    message = _RESPONSES[operation.path.rsplit(b"/", 1)[1]].FromString(answer)
    _blur(operation, message)
    return Reply(0, "", message)


def record(endpoint: str, operations: Iterable[Operation]) -> list[Reply]:
    """Return the replies of the server at `endpoint` (host:port) to `operations`, in order."""
    channel = BlockingChannel(endpoint)
    try:
        return [send(channel, operation) for operation in operations]
    finally:
        channel.close()


def _comparable_text(text: str) -> str:
    """Go's protobuf words its parse errors in its own way: the code and the first words must agree."""
    prefix = "grpc: error unmarshalling request"
    return prefix if text.startswith(prefix) else text


def _blur(operation: Operation, message: Any) -> None:
    """Take out what may differ rightly: seconds that pass, the order of equals, fields newer than 3.5.1."""
    if isinstance(message, pb.LeaseTimeToLiveResponse) and message.TTL > 0:
        message.TTL = 1
    if isinstance(message, pb.LeaseTimeToLiveResponse):
        message.keys.sort()
    if isinstance(message, pb.LeaseLeasesResponse):
        message.leases.sort(key=lambda lease: lease.ID)
    if isinstance(message, pb.HashKVResponse):
        message.hash_revision = 0
    if operation.sorts_unstably and isinstance(message, pb.RangeResponse):
        message.kvs.sort(key=lambda kv: kv.key)
