"""Contradictions between members are seen the moment they show."""

from __future__ import annotations

import random

import pytest

from etcdpy.base.invariant import InvariantError
from etcdpy.pb.raft_values import ConfState, Entry, Message, Snapshot
from etcdpy.raft.config import Config
from etcdpy.raft.constants import MSG_VOTE_RESP
from etcdpy.raft.raft import Raft
from etcdpy.raft.rawnode import RawNode
from etcdpy.raft.storage import MemoryStorage
from etcdpy.sim.agreement import Book, check_logs_match
from etcdpy.state.mvcc.answer import Answer


def vote(member: int, term: int, candidate: int, *, reject: bool = False) -> Message:
    return Message(MSG_VOTE_RESP, to=candidate, from_=member, term=term, reject=reject)


def make_log(*terms: int) -> MemoryStorage:
    storage = MemoryStorage()
    storage.append([Entry(term, index, 0, b"%d" % index) for index, term in enumerate(terms, 1)])
    return storage


def make_leader(member: int, *terms: int) -> Raft:
    """The only member of its cluster, elected in the term after the last of its log."""
    storage = MemoryStorage()
    storage.apply_snapshot(Snapshot(b"", 1, 1, ConfState([member])))
    storage.append([Entry(term, index, 0, b"") for index, term in enumerate(terms, 2)])
    node = RawNode(Config(id=member, election_tick=10, heartbeat_tick=1, storage=storage, rng=random.Random(1)))
    node.raft.become_follower(terms[-1], 0)
    node.raft.become_candidate()
    node.raft.become_leader()
    return node.raft


def test_one_vote_a_term() -> None:
    book = Book()
    book.note_message(vote(1, 5, 2))
    book.note_message(vote(1, 5, 2))
    book.note_message(vote(1, 5, 3, reject=True))
    book.note_message(vote(1, 6, 3))
    with pytest.raises(InvariantError, match="1 voted in term 5 for 2 and for 3"):
        book.note_message(vote(1, 5, 3))


def test_one_leader_a_term() -> None:
    book = Book()
    book.note_leader(make_leader(1, 3))
    with pytest.raises(InvariantError, match="term 4 has two leaders, 1 and 2"):
        book.note_leader(make_leader(2, 3))


def test_a_leader_has_what_was_applied_before() -> None:
    book = Book()
    for index, term in ((1, 1), (2, 2), (3, 3)):
        book.note_applied(9, Entry(term, index), 0, None)
    book.note_leader(make_leader(1, 2, 3, 3))
    with pytest.raises(InvariantError, match="without entry 3"):
        book.note_leader(make_leader(2, 2, 4, 4))


def test_an_index_means_one_entry_and_one_answer() -> None:
    book = Book()
    book.note_applied(1, Entry(1, 1, 0, b"a"), 77, Answer(2, b""))
    book.note_applied(2, Entry(1, 1, 0, b"a"), 77, Answer(2, b""))
    book.note_applied(3, Entry(1, 1, 0, b"a"), 77, None)
    with pytest.raises(InvariantError, match="others"):
        book.note_applied(2, Entry(1, 1, 0, b"b"), 78, None)
    with pytest.raises(InvariantError, match="elsewhere"):
        book.note_applied(4, Entry(1, 1, 0, b"a"), 77, Answer(3, b""))
    with pytest.raises(InvariantError, match="after 1"):
        book.note_applied(4, Entry(1, 3, 0, b"a"), 77, None)


def test_the_order_is_that_of_the_log() -> None:
    book = Book()
    book.authors = {77: 1, 78: 2}
    book.note_applied(1, Entry(1, 1, 0, b"a"), 78, None)
    book.note_applied(1, Entry(1, 2, 0, b"b"), 77, None)
    book.note_applied(2, Entry(1, 1, 0, b"a"), 78, None)
    assert book.order == [2, 1] and book.last_index == 2


def test_logs_that_part_and_meet_again_do_not_match() -> None:
    check_logs_match(make_log(1, 1, 2), make_log(1, 1, 3, 3))
    check_logs_match(make_log(), make_log(1))
    with pytest.raises(InvariantError, match="index 3"):
        check_logs_match(make_log(1, 1, 3), make_log(1, 2, 3))
