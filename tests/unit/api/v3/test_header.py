"""Headers spliced from kept bytes are the ones that protobuf encodes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from etcdpy.api.v3.header import HeaderEncoder
from etcdpy.pb.rpc_pb2 import MemberListResponse, PutResponse, ResponseHeader
from etcdpy.state.mvcc.answer import Answer

CLUSTER, MEMBER = 0xAA60E965F8E2BDA6, 0xD46C78F094AE4BDA


class Now:
    term = 2
    revision = 7


def encoder(now: Now) -> HeaderEncoder:
    return HeaderEncoder(
        cluster_id=CLUSTER, member_id=MEMBER, get_term=lambda: now.term, get_revision=lambda: now.revision
    )


def encoded(revision: int, term: int) -> bytes:
    header = ResponseHeader(cluster_id=CLUSTER, member_id=MEMBER, revision=revision, raft_term=term)
    return PutResponse(header=header).SerializeToString()


@given(
    st.lists(st.tuples(st.integers(1, 5), st.one_of(st.integers(1, 300), st.integers(1, (1 << 63) - 1))), max_size=20)
)
def test_any_order_of_terms_and_revisions_gives_what_protobuf_gives(steps: list[tuple[int, int]]) -> None:
    now = Now()
    header = encoder(now)
    for term, revision in steps:
        now.term = term
        assert header.encode(revision) == encoded(revision, term)


def test_revisions_around_the_length_of_their_varint() -> None:
    header = encoder(Now())
    for bits in range(7, 63, 7):
        for revision in ((1 << bits) - 1, 1 << bits):
            assert header.encode(revision) == encoded(revision, 2)


def test_zero_stands_for_the_current_revision_and_follows_it() -> None:
    now = Now()
    header = encoder(now)
    assert header.encode(0) == encoded(7, 2)
    now.revision = 8

    assert header.encode(0) == encoded(8, 2)


def test_a_new_term_shows_at_the_same_revision() -> None:
    now = Now()
    header = encoder(now)
    assert header.encode(7) == encoded(7, 2)
    now.term = 3

    assert header.encode(7) == encoded(7, 3)


def test_answers_about_members_carry_no_revision() -> None:
    response = MemberListResponse.FromString(encoder(Now()).encode_without_revision())

    expected = ResponseHeader(cluster_id=CLUSTER, member_id=MEMBER, raft_term=2)
    assert response.header == expected


def test_a_complete_answer_is_header_and_body() -> None:
    body = PutResponse(prev_kv={"key": b"a"}).SerializeToString()  # type: ignore[arg-type]
    response = PutResponse.FromString(encoder(Now()).complete(Answer(9, body)))

    assert (response.header.revision, response.prev_kv.key) == (9, b"a")
