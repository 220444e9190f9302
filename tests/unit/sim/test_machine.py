"""The traced state machine tells the book what it applies."""

from __future__ import annotations

import random

from etcdpy.pb import rpc_pb2
from etcdpy.pb.raft_values import Entry, Snapshot
from etcdpy.sim.agreement import Book
from etcdpy.sim.backend import Database, VirtualBackend
from etcdpy.sim.machine import TracedMachine
from etcdpy.state.apply import proposal as kinds
from etcdpy.state.apply.proposal import InternalEncoder


def make_machine(book: Book, database: Database) -> TracedMachine:
    backend = VirtualBackend(database, interval_seconds=1.0, commit_seconds=0.0)
    return TracedMachine(book, 1, backend, Snapshot(), random.Random(1))


def put(index: int) -> Entry:
    body = rpc_pb2.PutRequest(key=b"k", value=b"%d" % index).SerializeToString()
    return Entry(1, index, 0, InternalEncoder().encode(kinds.PUT, (1 << 48) + index, body))


def test_applied_entries_are_noted_and_not_applied_again_after_a_restart() -> None:
    book, database = Book(), Database()
    book.authors[(1 << 48) + 1] = 42
    machine = make_machine(book, database)
    machine.apply_entry(put(1))
    assert book.order == [42] and machine.consistent_index == 1 and machine.term == 1

    again = make_machine(book, database)
    request_id, result = again.apply_entry(put(1))
    assert result is None and again.store.current_revision == 2


def test_forgetting_the_index_applies_entries_twice() -> None:
    book, database = Book(), Database()
    make_machine(book, database).apply_entry(put(1))
    again = make_machine(book, database)
    again.forget_index(0)
    try:
        again.apply_entry(put(1))
    except AssertionError as error:
        assert "gave" in str(error)
    assert again.store.current_revision == 3


def test_it_is_restored_from_another_database() -> None:
    book = Book()
    source = make_machine(book, Database())
    source.apply_entry(put(1))
    target = make_machine(book, Database())
    target._backend.adopt(Database(source._backend.database.copy_tables()))
    target.restore(Snapshot(source.v2store.save(), 1, 1))
    assert target.store.current_revision == 2 and target.consistent_index == 1
