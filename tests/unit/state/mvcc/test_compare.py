"""Compares of a transaction."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from etcdpy.pb.rpc_pb2 import Compare
from etcdpy.state.mvcc.compare import holds
from tests.unit.state.mvcc.store_on_disk import Leases, open_store

V, C, M, VALUE, LEASE = Compare.VERSION, Compare.CREATE, Compare.MOD, Compare.VALUE, Compare.LEASE
EQ, GT, LT, NE = Compare.EQUAL, Compare.GREATER, Compare.LESS, Compare.NOT_EQUAL


@pytest.mark.parametrize(
    ("expected", "fields"),
    [
        (True, dict(key=b"a", target=V, result=EQ, version=2)),
        (True, dict(key=b"a", target=C, result=LT, create_revision=3)),
        (True, dict(key=b"a", target=M, result=GT, mod_revision=2)),
        (True, dict(key=b"a", target=VALUE, result=NE, value=b"1")),
        (True, dict(key=b"a", target=LEASE, result=EQ, lease=7)),
        (False, dict(key=b"a", target=V, result=GT, version=2)),
        # what the client did not set is 0 or empty, also when another target's value was set
        (True, dict(key=b"a", target=V, result=GT, mod_revision=99)),
        (True, dict(key=b"e", target=VALUE, result=EQ)),
        # a missing key
        (False, dict(key=b"x", target=VALUE, result=NE, value=b"1")),
        (True, dict(key=b"x", target=V, result=EQ, version=0)),
        (True, dict(key=b"x", target=M, result=LT, mod_revision=1)),
        # ranges: all must satisfy; without any key as above
        (True, dict(key=b"a", range_end=b"f", target=M, result=GT, mod_revision=2)),
        (False, dict(key=b"a", range_end=b"\0", target=V, result=EQ, version=1)),
        (False, dict(key=b"x", range_end=b"z", target=VALUE, result=EQ)),
        (True, dict(key=b"x", range_end=b"z", target=C, result=EQ)),
        # what nobody knows
        (True, dict(key=b"a", target=9, result=EQ)),
        (False, dict(key=b"a", target=9, result=NE)),
        (True, dict(key=b"a", target=V, result=9, version=55)),
    ],
)
def test_holds(tmp_path: Path, expected: bool, fields: dict[str, Any]) -> None:
    with open_store(tmp_path, Leases(7)) as store:
        store.put(b"a", b"1", 7)
        store.put(b"a", b"2", 7)
        store.put(b"e", b"")
        store.put(b"d", b"")
        store.delete_keys([b"d"])

        assert holds(Compare(**fields), store.index, store.backend) is expected
