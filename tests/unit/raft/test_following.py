"""A follower and the messages of its leader."""

from __future__ import annotations

import pytest

from etcdpy.base.invariant import InvariantError
from etcdpy.pb.raft_values import ConfState, Entry, Message, Snapshot
from etcdpy.raft.constants import MSG_APP, MSG_APP_RESP, MSG_HEARTBEAT, MSG_SNAP
from tests.unit.raft.network import Network, Peer


def follower() -> Peer:
    """A member whose log holds (1, 2) and (1, 3), committed up to 2."""
    peer = Network(3).peers[1]
    append(peer, 1, 1, [Entry(1, 2), Entry(1, 3)], commit=2)
    return peer


def append(peer: Peer, index: int, log_term: int, entries: list[Entry], commit: int = 0) -> Message:
    return exchange(peer, append_message(peer, index, log_term, entries, commit))


def append_message(peer: Peer, index: int, log_term: int, entries: list[Entry], commit: int) -> Message:
    return Message(MSG_APP, to=peer.id, from_=2, term=3, index=index, log_term=log_term, entries=entries, commit=commit)


def exchange(peer: Peer, message: Message) -> Message:
    """Step `message`, let the disk work, and return the one answer."""
    [answer] = answers_to(peer, message)
    return answer


def answers_to(peer: Peer, message: Message) -> list[Message]:
    peer.network.messages.clear()
    peer.node.step(message)
    peer.take_ready()
    while peer.append_work:
        peer.write()
    return list(peer.network.messages)


def test_an_append_that_follows_is_acknowledged_by_its_last_entry() -> None:
    answer = append(follower(), 3, 1, [Entry(3, 4), Entry(3, 5)], commit=4)

    assert (answer.type, answer.index, answer.reject) == (MSG_APP_RESP, 5, False)


def test_the_commit_index_goes_no_further_than_what_is_surely_the_leaders() -> None:
    peer = follower()

    append(peer, 2, 1, [], commit=9)

    assert peer.node.basic_status().commit == 2


@pytest.mark.parametrize("answer_bare_commits", [True, False])
def test_a_mere_commit_behind_what_is_acknowledged_is_answered_only_if_asked_for(answer_bare_commits: bool) -> None:
    peer = Network(3, answer_bare_commits=answer_bare_commits).peers[1]
    append(peer, 1, 1, [Entry(3, 2), Entry(3, 3)], commit=1)

    answers = answers_to(peer, append_message(peer, 3, 3, [], commit=3))

    assert [answer.index for answer in answers] == [3] * answer_bare_commits
    assert peer.node.basic_status().commit == 3


def test_a_leader_that_repeats_itself_is_answered() -> None:
    """It has not got the answer to the entries."""
    peer = Network(3, answer_bare_commits=False).peers[1]
    append(peer, 1, 1, [Entry(3, 2)], commit=1)
    answers_to(peer, append_message(peer, 2, 3, [], commit=2))

    answer = append(peer, 2, 3, [], commit=2)

    assert (answer.index, answer.reject) == (2, False)


def test_a_mere_commit_is_answered_in_a_term_in_which_nothing_was_acknowledged() -> None:
    """Its leader does not know how far our log is his: he waits for it."""
    peer = Network(3, answer_bare_commits=False).peers[1]
    append(peer, 1, 1, [Entry(3, 2)], commit=1)
    message = append_message(peer, 2, 3, [], commit=2)
    message.term = 4

    [answer] = answers_to(peer, message)

    assert (answer.term, answer.index, answer.reject) == (4, 2, False)


def test_an_append_that_does_not_follow_is_refused_with_a_hint() -> None:
    answer = append(follower(), 9, 3, [Entry(3, 10)])

    assert (answer.reject, answer.index, answer.reject_hint, answer.log_term) == (True, 9, 3, 1)


def test_an_append_behind_what_is_committed_is_answered_by_the_commit_index() -> None:
    answer = append(follower(), 1, 1, [Entry(1, 2)])

    assert (answer.index, answer.reject) == (2, False)


def test_a_commit_index_beyond_the_log_means_that_the_log_was_lost() -> None:
    with pytest.raises(InvariantError, match="tocommit"):
        follower().node.step(Message(MSG_HEARTBEAT, to=1, from_=2, term=3, commit=9))


def test_a_snapshot_replaces_log_and_configuration() -> None:
    peer = follower()
    snapshot = Snapshot(b"\x80\x04}\x94.", 8, 2, ConfState([1, 2], [3]))

    answer = exchange(peer, Message(MSG_SNAP, to=1, from_=2, term=3, snapshot=snapshot))

    assert (answer.type, answer.index) == (MSG_APP_RESP, 8)
    assert peer.node.status().membership.to_conf_state() == snapshot.conf_state
    assert (peer.storage.first_index(), peer.storage.last_index()) == (9, 8)
    status = peer.node.basic_status()
    assert (status.commit, status.applied) == (8, 8)


def test_while_a_snapshot_is_on_its_way_to_disk_no_conf_change_is_applied() -> None:
    """What was handed out before it is in it, and the configuration is the snapshot's already."""
    peer = follower()
    snapshot = Snapshot(b"", 8, 2, ConfState([1, 2], [3]))
    peer.node.step(Message(MSG_SNAP, to=1, from_=2, term=3, snapshot=snapshot))

    with pytest.raises(InvariantError, match="snapshot 8"):
        peer.node.apply_conf_change(Entry(1, 2, type=1))


@pytest.mark.parametrize(
    ("index", "term", "conf_state", "committed"),
    [
        (2, 1, ConfState([1, 2, 3]), 2),  # old
        (3, 1, ConfState([1, 2, 3]), 3),  # the log holds it already: only the commit index moves
        (8, 2, ConfState([2, 3]), 2),  # it does not know of us
    ],
)
def test_a_snapshot_that_brings_nothing_is_ignored(
    index: int, term: int, conf_state: ConfState, committed: int
) -> None:
    peer = follower()

    answer = exchange(peer, Message(MSG_SNAP, to=1, from_=2, term=3, snapshot=Snapshot(b"", index, term, conf_state)))

    assert answer.index == committed
    assert peer.node.raft.log.last_index == 3
