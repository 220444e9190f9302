"""The roster: the v2 store, the buckets and the memory say the same."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from etcdpy.base.errors import (
    EtcdError,
    MemberExist,
    MemberNotFound,
    MemberNotLearner,
    PeerURLExist,
    TooManyLearners,
)
from etcdpy.base.invariant import InvariantError, StorageError
from etcdpy.pb.raft_pb2 import ConfChange, ConfChangeAddNode
from etcdpy.state.members import Member, Roster
from etcdpy.state.members.change import add_change, promote_change, remove_change, update_change
from etcdpy.state.v2store import V2Store
from etcdpy.storage.backend import Backend
from etcdpy.storage.schema import buckets

ONE = Member(id=0xA1, peer_urls=("http://a:1",))
LEARNER = Member(id=0xC3, peer_urls=("http://c:1",), is_learner=True)
TWO = Member(id=0xB2, peer_urls=("http://b:1", "http://b:2"))


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[Backend]:
    backend = Backend.open(tmp_path)
    yield backend
    backend.close()


class Books:
    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.v2store = V2Store()
        self.roster = Roster(self.v2store, backend, cluster_id=7)

    def bucket(self, bucket: buckets.Bucket) -> dict[bytes, bytes]:
        return dict(self.backend.scan(bucket, b"", None))

    def reread(self) -> Roster:
        """A roster that knows only what the v2 store holds, as after a restart from a `.snap`."""
        v2store = V2Store()
        v2store.recovery(self.v2store.save())
        roster = Roster(v2store, self.backend)
        roster.recover()
        return roster


@pytest.fixture
def books(backend: Backend) -> Books:
    return Books(backend)


def test_members_are_listed_by_id(books: Books) -> None:
    books.roster.add_member(TWO, mirror=True)
    books.roster.add_member(ONE, mirror=True)

    assert books.roster.get_members() == [ONE, TWO]
    assert books.roster.find_member(0xB2) is TWO and books.roster.find_member(3) is None


def test_an_added_member_stands_in_both_books(books: Books) -> None:
    books.roster.add_member(ONE, mirror=True)

    assert books.bucket(buckets.MEMBERS) == {b"a1": ONE.to_json().encode()}
    assert books.v2store.find_value("/0/members/a1/raftAttributes") == '{"peerURLs":["http://a:1"]}'
    assert books.v2store.find_value("/0/members/a1/attributes") is None


def test_without_mirror_only_the_v2_store_and_the_memory_move(books: Books) -> None:
    books.roster.add_member(ONE, mirror=False)
    books.roster.set_version("3.5.0", mirror=False)
    books.roster.update_peer_urls(ONE.id, ["http://c:1"], mirror=False)
    books.roster.set_downgrade("3.5.0", mirror=False)
    books.roster.remove_member(ONE.id, mirror=False)

    assert [books.bucket(b) for b in (buckets.MEMBERS, buckets.MEMBERS_REMOVED, buckets.CLUSTER)] == [{}, {}, {}]
    assert books.roster.is_removed(ONE.id) and books.roster.version == "3.5.0"


def test_a_removed_member_leaves_its_id_behind(books: Books) -> None:
    books.roster.add_member(ONE, mirror=True)
    books.roster.remove_member(ONE.id, mirror=True)

    assert books.roster.get_members() == [] and books.roster.is_removed(ONE.id)
    assert (books.bucket(buckets.MEMBERS), books.bucket(buckets.MEMBERS_REMOVED)) == ({}, {b"a1": b"removed"})
    assert books.v2store.list_children("/0/members") == []
    assert books.v2store.find_value("/0/removed_members/a1") == ""


def test_published_attributes_stay_out_of_the_bucket(books: Books) -> None:
    """As in 3.5: Hash counts the bucket, which holds what the member was added with."""
    books.roster.add_member(ONE, mirror=True)
    books.roster.update_attributes(ONE.id, "one", ["http://c:1"])

    assert books.roster.get_members() == [ONE.with_attributes("one", ["http://c:1"])]
    assert books.bucket(buckets.MEMBERS) == {b"a1": ONE.to_json().encode()}
    assert books.v2store.find_value("/0/members/a1/attributes") == '{"name":"one","clientURLs":["http://c:1"]}'


def test_the_late_word_of_a_removed_member_is_ignored_that_of_a_stranger_is_not(books: Books) -> None:
    books.roster.add_member(ONE, mirror=True)
    books.roster.remove_member(ONE.id, mirror=True)
    books.roster.update_attributes(ONE.id, "late", [])
    assert books.roster.get_members() == []

    with pytest.raises(InvariantError, match="member b2"):
        books.roster.update_attributes(TWO.id, "x", [])


def test_new_peer_urls_leave_the_rest_alone(books: Books) -> None:
    books.roster.add_member(ONE, mirror=True)
    books.roster.update_attributes(ONE.id, "one", ["http://c:1"])
    books.roster.update_peer_urls(ONE.id, ["http://z:1", "http://y:1"], mirror=True)

    (member,) = books.roster.get_members()
    assert (member.name, member.peer_urls) == ("one", ("http://z:1", "http://y:1"))
    assert books.bucket(buckets.MEMBERS) == {b"a1": member.to_json().encode()}


def test_the_version_stands_in_both_books(books: Books) -> None:
    assert books.roster.version == ""
    books.roster.set_version("3.5.0", mirror=True)

    assert books.bucket(buckets.CLUSTER) == {b"clusterVersion": b"3.5.0"}
    assert books.v2store.find_value("/0/version") == "3.5.0"


def test_new_peer_urls_make_no_voter_of_a_learner(books: Books) -> None:
    """Up to 3.5.30 they did in the roster, while raft knew better."""
    books.roster.add_member(LEARNER, mirror=True)
    books.roster.update_peer_urls(LEARNER.id, ["http://z:1"], mirror=True)

    (member,) = books.roster.get_members()
    assert member.is_learner
    assert books.bucket(buckets.MEMBERS) == {b"c3": b'{"id":195,"peerURLs":["http://z:1"],"isLearner":true}'}
    assert books.v2store.find_value("/0/members/c3/raftAttributes") == '{"peerURLs":["http://z:1"],"isLearner":true}'


def test_a_promoted_learner_is_a_voter_in_both_books(books: Books) -> None:
    books.roster.add_member(LEARNER, mirror=True)
    promoted = books.roster.promote_member(LEARNER.id, mirror=True)

    assert not promoted.is_learner and books.roster.get_members() == [promoted] == books.reread().get_members()
    assert books.bucket(buckets.MEMBERS) == {b"c3": b'{"id":195,"peerURLs":["http://c:1"]}'}
    assert books.v2store.find_value("/0/members/c3/raftAttributes") == '{"peerURLs":["http://c:1"]}'


# -- what all members refuse alike


def taken(*urls: str, member_id: int = 3, is_learner: bool = False) -> ConfChange:
    return add_change(Member(id=member_id, peer_urls=urls, is_learner=is_learner))


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        (taken("http://new:1"), None),
        (taken("http://b:1"), None),  # a removed member's URLs are free again
        (taken("http://new:1", "http://a:1"), PeerURLExist),
        (taken("http://new:1", member_id=ONE.id), MemberExist),
        (taken("http://a:1", member_id=TWO.id), MemberNotFound),  # removed before anything else is looked at
        (taken("http://new:1", is_learner=True), TooManyLearners),
        (taken("http://a:1", is_learner=True), PeerURLExist),
        (promote_change(0xC3), None),
        (promote_change(ONE.id), MemberNotLearner),
        (promote_change(3), MemberNotFound),
        (promote_change(TWO.id), MemberNotFound),
        (remove_change(ONE.id), None),
        (remove_change(3), MemberNotFound),
        (remove_change(TWO.id), MemberNotFound),
        (update_change(ONE.id, ("http://a:1", "http://new:1")), None),
        (update_change(ONE.id, ("http://c:1",)), PeerURLExist),
        (update_change(3, ("http://new:1",)), MemberNotFound),
        (update_change(TWO.id, ("http://new:1",)), MemberNotFound),
    ],
)
def test_what_may_be_changed(books: Books, change: ConfChange, refusal: type[EtcdError] | None) -> None:
    books.roster.add_member(ONE, mirror=True)
    books.roster.add_member(TWO, mirror=True)
    books.roster.remove_member(TWO.id, mirror=True)
    books.roster.add_member(LEARNER, mirror=True)

    if refusal is None:
        books.roster.check_change(change)
        return
    with pytest.raises(refusal):
        books.roster.check_change(change)


def test_as_many_learners_as_the_settings_allow(backend: Backend) -> None:
    roster = Roster(V2Store(), backend, learners_max=2)
    for number in (1, 2):
        change = taken(f"http://l:{number}", member_id=number, is_learner=True)
        roster.check_change(change)
        roster.add_member(Member.from_json(change.context), mirror=True)

    with pytest.raises(TooManyLearners):
        roster.check_change(taken("http://l:3", is_learner=True))


@pytest.mark.parametrize("context", [b"", b"{", b"[]", b"{}", b'{"id":"x"}'])
def test_a_change_that_cannot_be_read_stops_the_member(books: Books, context: bytes) -> None:
    with pytest.raises(InvariantError, match="member 3 is unreadable"):
        books.roster.check_change(ConfChange(type=ConfChangeAddNode, node_id=3, context=context))


# -- versions


def test_a_version_is_told_to_the_server_with_the_one_before(books: Books) -> None:
    told: list[tuple[str, str]] = []
    books.roster.on_version = lambda previous, version: told.append((previous, version))
    books.roster.set_version("3.0.0", mirror=True)
    books.roster.set_version("3.5.0", mirror=True)

    assert told == [("", "3.0.0"), ("3.0.0", "3.5.0")]


def test_a_cluster_that_is_newer_than_we_are_is_not_ours_to_run_in(books: Books) -> None:
    with pytest.raises(StorageError, match="server version is lower than determined cluster version"):
        books.roster.set_version("3.6.0", mirror=True)
    assert books.bucket(buckets.CLUSTER) == {} and books.v2store.find_value("/0/version") is None


def test_a_newer_cluster_that_goes_back_to_our_version_lets_us_in(books: Books) -> None:
    books.roster.set_downgrade("3.5.0", mirror=True)
    books.roster.set_version("3.6.0", mirror=True)
    assert books.bucket(buckets.CLUSTER)[b"downgrade"] == b'{"target-version":"3.5.0","enabled":true}'
    assert books.reread().downgrade_target == "3.5.0"

    books.roster.set_downgrade("", mirror=True)
    assert books.bucket(buckets.CLUSTER)[b"downgrade"] == b'{"target-version":"","enabled":false}'
    with pytest.raises(StorageError, match="lower than determined"):
        books.reread()


def test_a_downgrade_that_cannot_be_read_is_a_broken_disk(books: Books) -> None:
    books.backend.put(buckets.CLUSTER, b"downgrade", b"{}")

    with pytest.raises(StorageError, match="downgrade in the bucket cluster"):
        books.reread()


def test_a_restart_reads_everything_from_the_v2_store(books: Books) -> None:
    books.roster.add_member(ONE, mirror=True)
    books.roster.add_member(TWO, mirror=True)
    books.roster.add_member(Member(id=0xC3, peer_urls=("http://c:1",), is_learner=True), mirror=True)
    books.roster.update_attributes(ONE.id, "one", ["http://c:1"])
    books.roster.remove_member(TWO.id, mirror=True)
    books.roster.set_version("3.5.0", mirror=True)

    found = books.reread()

    assert found.get_members() == books.roster.get_members()
    assert (found.version, found.is_removed(TWO.id), found.is_removed(ONE.id)) == ("3.5.0", True, False)


def test_a_member_of_whom_the_v2_store_knows_no_peers_is_refused(books: Books) -> None:
    books.v2store.set("/0/members/a1/attributes", "{}")

    with pytest.raises(InvariantError, match="/0/members/a1 without raftAttributes"):
        books.reread()
