"""The naive store, against what etcd documents; the real one is measured against a mirror in tests/model."""

from __future__ import annotations

from etcdpy.sim.model import Model
from etcdpy.sim.requests import ALL_KEYS, MOD_REVISION, VALUE, VERSION, Compact, Compare, Delete, Put, Range, Txn


def test_revisions_move_with_changes_only() -> None:
    model = Model()

    assert model.apply(Put(b"a", b"1")) == ("ok",) and model.revision == 2
    assert model.apply(Put(b"a", b"2")) == ("ok",) and model.revision == 3
    assert model.apply(Delete(b"b")) == ("deleted", 0) and model.revision == 3
    assert model.apply(Range(ALL_KEYS, ALL_KEYS)) == ("found", ((b"a", b"2", 2, 3, 2),))
    assert model.apply(Delete(ALL_KEYS, ALL_KEYS)) == ("deleted", 1) and model.revision == 4
    assert model.apply(Put(b"a", b"3")) == ("ok",)
    assert model.items() == ((b"a", b"3", 5, 5, 1),)


def test_a_transaction_is_one_revision_and_sees_its_own_writes() -> None:
    model = Model()
    model.apply(Put(b"a", b"1"))

    txn = Txn((Compare(b"a", VALUE, b"1"),), (Put(b"b", b"2"), Range(b"b"), Delete(b"a")), ())
    assert model.apply(txn) == ("txn", True, (("ok",), ("found", ((b"b", b"2", 3, 3, 1),)), ("deleted", 1)))
    assert model.revision == 3
    assert model.changes[3] == [(b"b", b"2"), (b"a", None)]
    assert model.apply(txn) == ("txn", False, ()) and model.revision == 3


def test_compares_of_what_is_not_there() -> None:
    model = Model()
    for target, is_true in ((VERSION, True), (MOD_REVISION, True), (VALUE, False)):
        operand = b"" if target == VALUE else 0
        assert model.apply(Txn((Compare(b"x", target, operand),), (), ())) == ("txn", is_true, ())


def test_compaction_goes_forward_and_not_beyond() -> None:
    model = Model()
    model.apply(Put(b"a", b"1"))

    assert model.apply(Compact(3)) == ("error", "FutureRev")
    assert model.apply(Compact(2)) == ("ok",)
    assert model.apply(Compact(2)) == ("error", "Compacted")
    assert model.compacted == 2 and model.revision == 2
