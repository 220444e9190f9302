"""Hypothesis strategies for requests over a handful of keys, so that they meet each other."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from etcdpy.pb.rpc_pb2 import Compare, DeleteRangeRequest, PutRequest, RangeRequest, TxnRequest

KEYS = [b"a", b"b", b"c", b"ca", b"cb", b"d", b"\x00", b"\xff", b"k" * 300]
LEASES = [7, 8]

keys = st.sampled_from(KEYS)
range_ends = st.sampled_from([b"", b"", b"\0", b"c", b"cc", b"e", b"a", b"\xff\xff"])
values = st.sampled_from([b"", b"x", b"y", b"z" * 5000])
# Offsets from the current revision; 1 means "none asked for". The machine turns them into revisions.
revision_offsets = st.one_of(st.just(1), st.integers(-12, 2))


@st.composite
def puts(draw: Any) -> PutRequest:
    options = draw(st.sampled_from(["", "", "", "prev", "ignore_value", "ignore_lease", "both"]))
    request = PutRequest(key=draw(keys), prev_kv=options == "prev" or draw(st.booleans()))
    request.ignore_value = options in ("ignore_value", "both")
    request.ignore_lease = options in ("ignore_lease", "both")
    if not request.ignore_value:
        request.value = draw(values)
    if not request.ignore_lease:
        request.lease = draw(st.sampled_from([0, 0, *LEASES, 99]))
    return request


@st.composite
def deletes(draw: Any) -> DeleteRangeRequest:
    return DeleteRangeRequest(key=draw(keys), range_end=draw(range_ends), prev_kv=draw(st.booleans()))


@st.composite
def ranges(draw: Any) -> RangeRequest:
    """`revision` holds an offset still, see place_revisions."""
    request = RangeRequest(key=draw(keys), range_end=draw(range_ends), revision=draw(revision_offsets))
    request.limit = draw(st.sampled_from([0, 0, 0, 1, 2, 4, -1]))
    request.keys_only = draw(st.sampled_from([False, False, True]))
    request.count_only = draw(st.sampled_from([False, False, False, True]))
    if draw(st.booleans()):
        request.sort_order = draw(st.integers(0, 2))
        request.sort_target = draw(st.integers(0, 4))
    for name in draw(st.lists(st.sampled_from(["min_mod", "max_mod", "min_create", "max_create"]), max_size=2)):
        setattr(request, f"{name}_revision", draw(st.integers(0, 20)))
    return request


@st.composite
def compares(draw: Any) -> Compare:
    compare = Compare(key=draw(keys), range_end=draw(range_ends))
    compare.target = draw(st.integers(0, 4))
    compare.result = draw(st.integers(0, 3))
    if draw(st.integers(0, 3)):
        if compare.target == Compare.VALUE:
            compare.value = draw(values)
        elif compare.target == Compare.LEASE:
            compare.lease = draw(st.sampled_from([0, *LEASES]))
        else:
            name = {Compare.VERSION: "version", Compare.CREATE: "create_revision", Compare.MOD: "mod_revision"}
            setattr(compare, name[compare.target], draw(st.integers(0, 12)))
    return compare


@st.composite
def txns(draw: Any, depth: int = 0) -> TxnRequest:
    request = TxnRequest(compare=draw(st.lists(compares(), max_size=2)))
    for branch in (request.success, request.failure):
        for _ in range(draw(st.integers(0, 3))):
            kind = draw(st.sampled_from(["put", "range", "delete", "txn"] if depth < 3 else ["put", "range", "delete"]))
            op = branch.add()
            if kind == "put":
                op.request_put.CopyFrom(draw(puts()))
            elif kind == "range":
                op.request_range.CopyFrom(draw(ranges()))
            elif kind == "delete":
                op.request_delete_range.CopyFrom(draw(deletes()))
            else:
                op.request_txn = draw(txns(depth + 1)).SerializeToString()
    return request


def place_revision(request: RangeRequest, current: int) -> None:
    """Turn a range's offset into a revision."""
    request.revision = 0 if request.revision == 1 else current + request.revision


def place_revisions(request: TxnRequest, current: int) -> None:
    """The same for a transaction, on all levels."""
    for branch in (request.success, request.failure):
        for op in branch:
            if op.HasField("request_range"):
                place_revision(op.request_range, current)
            elif op.HasField("request_txn"):
                nested = TxnRequest.FromString(op.request_txn)
                place_revisions(nested, current)
                op.request_txn = nested.SerializeToString()
