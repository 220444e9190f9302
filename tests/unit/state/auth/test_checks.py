"""Which keys a request asks for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from etcdpy.base.errors import EtcdError, PermissionDenied, UserEmpty
from etcdpy.client.request import operation
from etcdpy.pb import rpc_pb2 as pb
from etcdpy.pb.auth_pb2 import Permission, Role, User
from etcdpy.state.apply import proposal as kinds
from etcdpy.state.apply.caller import NOBODY, Caller
from etcdpy.state.auth.records import AuthRecords
from etcdpy.state.mvcc.txn_plan import read_request
from tests.unit.state.apply.machine import Machine, open_machine

USER = Caller(b"u", 5)


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    """User u reads r, writes w and has both for b; lease 1 holds b, lease 2 holds x."""
    with open_machine(tmp_path) as machine:
        for lease, key in ((1, b"b"), (2, b"x")):
            machine.apply(kinds.LEASE_GRANT, pb.LeaseGrantRequest(ID=lease, TTL=600))
            machine.apply(kinds.PUT, pb.PutRequest(key=key, lease=lease))
        records = AuthRecords(machine.backend)
        permissions = [Permission(key=key, permType=kind) for key, kind in ((b"b", 2), (b"r", 0), (b"w", 1))]  # type: ignore[arg-type]
        records.put_role(Role(name=b"r", keyPermission=permissions))
        records.put_user(User(name=b"u", roles=[b"r"]))
        records.put_user(User(name=b"root", roles=[b"root"]))
        records.put_revision(5)
        machine.applier.auth.recover()
        machine.apply(kinds.AUTH_ENABLE, pb.AuthEnableRequest())
        yield machine


def refused(machine: Machine, kind: int, request: Any, caller: Caller = USER) -> bool:
    try:
        machine.applier.permissions.check_request(kind, request, caller)
    except PermissionDenied:
        return True
    return False


def op(request: Any) -> pb.RequestOp:
    return operation(request) if request is not None else pb.RequestOp()


def txn(request: Any, **fields: Any) -> pb.TxnRequest:
    return pb.TxnRequest(success=[op(request)], **fields)


# (kind, request, whether it is refused)
CASES = [
    (kinds.PUT, pb.PutRequest(key=b"w"), False),
    (kinds.PUT, pb.PutRequest(key=b"r"), True),
    (kinds.PUT, pb.PutRequest(key=b"w", prev_kv=True), True),
    (kinds.PUT, pb.PutRequest(key=b"b", prev_kv=True), False),
    (kinds.PUT, pb.PutRequest(key=b"w", lease=1), False),
    (kinds.PUT, pb.PutRequest(key=b"w", lease=2), True),
    (kinds.PUT, pb.PutRequest(key=b"w", lease=9), False),
    (kinds.RANGE, pb.RangeRequest(key=b"r"), False),
    (kinds.RANGE, pb.RangeRequest(key=b"w"), True),
    (kinds.RANGE, pb.RangeRequest(key=b"r", range_end=b"\0"), True),
    (kinds.DELETE_RANGE, pb.DeleteRangeRequest(key=b"w"), False),
    (kinds.DELETE_RANGE, pb.DeleteRangeRequest(key=b"w", prev_kv=True), True),
    (kinds.DELETE_RANGE, pb.DeleteRangeRequest(key=b"w", range_end=b"z"), True),
    (kinds.LEASE_REVOKE, pb.LeaseRevokeRequest(ID=1), False),
    (kinds.LEASE_REVOKE, pb.LeaseRevokeRequest(ID=2), True),
    (kinds.LEASE_REVOKE, pb.LeaseRevokeRequest(ID=9), False),
    (kinds.LEASE_GRANT, pb.LeaseGrantRequest(ID=9), False),
]


@pytest.mark.parametrize(("kind", "request_", "expected"), CASES)
def test_each_kind(machine: Machine, kind: int, request_: Any, expected: bool) -> None:
    assert refused(machine, kind, request_) is expected
    assert not refused(machine, kind, request_, Caller(b"root", 5))


@pytest.mark.parametrize(("kind", "request_", "expected"), [case for case in CASES if case[0] <= kinds.DELETE_RANGE])
@pytest.mark.parametrize("depth", [1, 2, 5])
def test_transactions_are_no_way_around(machine: Machine, kind: int, request_: Any, expected: bool, depth: int) -> None:
    """CVE-2026-33343 for nested ones, CVE-2026-44283 for the lease and prev_kv of puts."""
    request = txn(request_)
    for _ in range(depth - 1):
        request = txn(request)

    assert refused(machine, kinds.TXN, read_request(request)) is expected


def test_the_branch_not_taken_and_compares_count(machine: Machine) -> None:
    not_taken = pb.TxnRequest(failure=[op(pb.PutRequest(key=b"r"))])
    compares = pb.TxnRequest(compare=[pb.Compare(key=b"w")])
    ranges = pb.TxnRequest(compare=[pb.Compare(key=b"r", range_end=b"s")])
    for request in (not_taken, compares, ranges, txn(compares)):
        assert refused(machine, kinds.TXN, read_request(request))
    for request in (pb.TxnRequest(), txn(None), pb.TxnRequest(compare=[pb.Compare(key=b"r")])):
        assert not refused(machine, kinds.TXN, read_request(request))


def test_what_hangs_on_a_lease_is_for_who_may_read_it(machine: Machine) -> None:
    """CVE-2023-32082."""
    permissions, root = machine.applier.permissions, Caller(b"root", 5)
    permissions.check_lease_view(1, USER)
    permissions.check_lease_view(9, USER)
    permissions.check_lease_view(2, root)
    permissions.check_lease_list(root)
    with pytest.raises(PermissionDenied):
        permissions.check_lease_view(2, USER)
    with pytest.raises(PermissionDenied):
        permissions.check_lease_list(USER)


def test_entries_are_checked_when_they_are_applied(machine: Machine) -> None:
    assert isinstance(machine.apply(kinds.PUT, pb.PutRequest(key=b"w")), UserEmpty)
    with pytest.raises(EtcdError):
        machine.applier.permissions.check_request(kinds.PUT, pb.PutRequest(key=b"w"), NOBODY)
