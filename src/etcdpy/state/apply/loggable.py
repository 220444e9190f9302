"""Requests as a log may show them: etcd's text, without values, passwords and tokens.

    header:<ID:7 > put:<key:"k" value_size:3 lease:5 >

Where a value stood, its size stands. A token or a password leaves no trace (etcd writes simple tokens out).

Upstream: api/etcdserverpb/raft_internal_stringer.go; the form is that of Go's compact text of protobuf.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from google.protobuf.message import Message

from etcdpy.pb import raft_internal_pb2
from etcdpy.pb.rpc_pb2 import TxnRequest
from etcdpy.state.apply import proposal as kinds
from etcdpy.state.apply.proposal import decode_entry_data
from etcdpy.state.mvcc import txn_plan
from etcdpy.state.mvcc.txn_plan import Op, TxnPlan, read_nested, read_request

# A key may have a mebibyte; whoever reads a log wants to know which request it was.
TEXT_CHARACTERS_MAX: Final = 16 * 1024
# Transactions may be nested deeper than anybody can read, and than Python can call itself.
TXN_LEVELS_MAX: Final = 16

_SECRETS: Final = frozenset({"password", "hashedPassword", "simple_token", "token"})
_SIZED: Final = frozenset({"value", "Val", "PrevValue"})
_ESCAPES: Final = {0x0A: "\\n", 0x0D: "\\r", 0x09: "\\t", 0x22: '\\"', 0x5C: "\\\\"}
_ESCAPED: Final = [_ESCAPES.get(c) or (chr(c) if 0x20 <= c < 0x7F else f"\\{c:03o}") for c in range(256)]
_NAMES: Final = {field.number: field.name for field in raft_internal_pb2.InternalRaftRequest.DESCRIPTOR.fields}
_OPERATIONS: Final = {txn_plan.RANGE: "request_range", txn_plan.DELETE_RANGE: "request_delete_range"}


def describe_entry(data: bytes) -> str:
    """Return the text of the request in a normal entry."""
    proposal = decode_entry_data(data)
    request, kind = proposal.request, proposal.kind
    if kind == kinds.V2:
        return _cut(compact_text(request))
    header = f"ID:{proposal.request_id} "
    if proposal.caller.revision:
        header += f"username:{_quoted(proposal.caller.username)} auth_revision:{proposal.caller.revision} "
    end = ""
    if kind == kinds.LEASE_GRANT:
        body = f"ttl:{request.TTL}-second id:{request.ID:016x}"
    elif kind == kinds.LEASE_REVOKE:
        body = f"id:{request.ID:016x}"
    elif kind in (kinds.AUTHENTICATE, kinds.AUTH_USER_ADD, kinds.AUTH_USER_CHANGE_PASSWORD):
        body = f"name:{_text(request.name)}"
    elif kind == kinds.TXN:
        body = describe_txn(request)
    else:
        body = compact_text(request)
        if kind != kinds.PUT:  # what has no form of its own ends as every message does
            end = " "
    return _cut(f"header:<{header}> {_NAMES[kind]}:<{body}>{end}")


def describe_request(request: Any) -> str:
    """Return the text of a request of a client: a message, or a transaction's plan."""
    is_txn = isinstance(request, TxnPlan | TxnRequest)
    return describe_txn(request) if is_txn else _cut(compact_text(request))


def describe_txn(txn: TxnPlan | TxnRequest) -> str:
    """Return the text of a transaction."""
    return _cut(_describe_plan(txn if isinstance(txn, TxnPlan) else read_request(txn), 0))


def _describe_plan(plan: TxnPlan, level: int) -> str:
    if level == TXN_LEVELS_MAX:
        return "..."
    compares = _join(" ", map(compact_text, plan.compares))
    success = _join(" ", (_describe_op(op, level) for op in plan.success))
    failure = _join(" ", (_describe_op(op, level) for op in plan.failure))
    return f"compare:<{compares}> success:<{success}> failure:<{failure}>"


def _describe_op(op: Op, level: int) -> str:
    if op.kind == txn_plan.NOTHING:
        return ""
    if op.kind == txn_plan.PUT:
        return f"request_put:<{compact_text(op.request)}>"
    if op.kind == txn_plan.TXN:
        nested = op.request if isinstance(op.request, TxnPlan) else read_nested(op.request)
        return f"request_txn:<{_describe_plan(nested, level + 1)}>"
    return f"{_OPERATIONS[op.kind]}:<{compact_text(op.request)}> "


def compact_text(message: Message) -> str:
    """Return a message in one line; secrets are left out, of values only the size is told."""
    return _join("", _fields(message))


def _fields(message: Message) -> Iterator[str]:
    for field, value in message.ListFields():
        if field.name in _SECRETS:
            continue
        if field.name in _SIZED:
            if value:
                yield f"{field.name}_size:{len(value)} "
        elif field.is_repeated:
            yield from (_field(field, item) for item in value)
        else:
            yield _field(field, value)


def _join(separator: str, parts: Iterable[str]) -> str:
    """Join as many parts as a text may have: what nobody reads need not be made, while everybody waits."""
    kept: list[str] = []
    left = TEXT_CHARACTERS_MAX
    for part in parts:
        kept.append(part)
        left -= len(part) + len(separator)
        if left < 0:
            break
    return separator.join(kept)


def _field(field: Any, value: Any) -> str:
    if field.message_type is not None:
        return f"{field.name}:<{compact_text(value)}> "
    if field.enum_type is not None:
        known = field.enum_type.values_by_number.get(value)
        return f"{field.name}:{value if known is None else known.name} "
    if isinstance(value, bytes | str):
        return f"{field.name}:{_quoted(value)} "
    if isinstance(value, bool):
        return f"{field.name}:{'true' if value else 'false'} "
    return f"{field.name}:{value} "


def _quoted(value: bytes | str) -> str:
    data = value.encode() if isinstance(value, str) else value
    return '"' + "".join(map(_ESCAPED.__getitem__, data[: TEXT_CHARACTERS_MAX + 1])) + '"'


def _text(value: bytes | str) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _cut(text: str) -> str:
    return text if len(text) <= TEXT_CHARACTERS_MAX else text[:TEXT_CHARACTERS_MAX] + "..."
