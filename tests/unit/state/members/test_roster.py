"""The roster: the v2 store, the buckets and the memory say the same."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from etcdpy.base.errors import MemberExist, MemberNotFound, PeerURLExist
from etcdpy.base.invariant import InvariantError
from etcdpy.state.members import Member, Roster
from etcdpy.state.v2store import V2Store
from etcdpy.storage.backend import Backend
from etcdpy.storage.schema import buckets

ONE = Member(id=0xA1, peer_urls=("http://a:1",))
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
    books.roster.update_peer_urls(ONE.with_peer_urls(["http://c:1"]), mirror=False)
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
    with pytest.raises(InvariantError, match="member b2"):
        books.roster.update_peer_urls(TWO, mirror=True)


def test_new_peer_urls_leave_the_rest_alone(books: Books) -> None:
    books.roster.add_member(ONE, mirror=True)
    books.roster.update_attributes(ONE.id, "one", ["http://c:1"])
    books.roster.update_peer_urls(Member(id=ONE.id, peer_urls=("http://z:1", "http://y:1")), mirror=True)

    (member,) = books.roster.get_members()
    assert (member.name, member.peer_urls) == ("one", ("http://y:1", "http://z:1"))
    assert books.bucket(buckets.MEMBERS) == {b"a1": member.to_json().encode()}


def test_the_version_stands_in_both_books(books: Books) -> None:
    assert books.roster.version == ""
    books.roster.set_version("3.5.0", mirror=True)

    assert books.bucket(buckets.CLUSTER) == {b"clusterVersion": b"3.5.0"}
    assert books.v2store.find_value("/0/version") == "3.5.0"


def test_who_may_join(books: Books) -> None:
    books.roster.add_member(ONE, mirror=True)
    books.roster.add_member(TWO, mirror=True)
    books.roster.remove_member(TWO.id, mirror=True)

    books.roster.check_new_member(Member(id=3, peer_urls=TWO.peer_urls))  # its URLs are free again
    for newcomer, refusal in [
        (ONE, MemberExist),
        (Member(id=TWO.id, peer_urls=("http://new:1",)), MemberNotFound),
        (Member(id=3, peer_urls=("http://new:1", "http://a:1")), PeerURLExist),
    ]:
        with pytest.raises(refusal):
            books.roster.check_new_member(newcomer)


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
