"""One member's JSON, as Go prints and reads it."""

from __future__ import annotations

import pytest

from etcdpy.state.members import Member
from etcdpy.state.members.member import is_promotion, promotion_json

ONE = Member(id=0xD46C78F094AE4BDA, peer_urls=("http://a:1", "http://b:2"))


def test_a_member_that_was_only_added_has_no_name() -> None:
    assert ONE.to_json() == '{"id":15306742208207408090,"peerURLs":["http://a:1","http://b:2"]}'
    assert not ONE.is_started


def test_a_member_that_published_itself_has_started() -> None:
    started = ONE.with_attributes("one", ["http://c:1"])

    assert started.is_started
    assert started.attributes_json() == '{"name":"one","clientURLs":["http://c:1"]}'
    assert started.to_json().endswith(',"name":"one","clientURLs":["http://c:1"]}')


def test_a_learner_says_so_and_only_a_learner() -> None:
    learner = Member(id=1, peer_urls=("http://a:1",), is_learner=True)

    assert learner.raft_attributes_json() == '{"peerURLs":["http://a:1"],"isLearner":true}'
    assert ONE.raft_attributes_json() == '{"peerURLs":["http://a:1","http://b:2"]}'


def test_empty_attributes_are_left_out() -> None:
    assert ONE.attributes_json() == "{}"


def test_characters_that_html_could_take_amiss_are_escaped_as_go_does() -> None:
    named = ONE.with_attributes("<a&b>ü", [])

    assert named.attributes_json() == '{"name":"\\u003ca\\u0026b\\u003eü"}'
    assert Member.from_json(named.to_json()).name == "<a&b>ü"


@pytest.mark.parametrize(
    "member",
    [ONE, ONE.with_attributes("one", ["http://d:1", "http://c:1"]), Member(id=1, peer_urls=("x",), is_learner=True)],
)
def test_what_is_printed_is_read_again(member: Member) -> None:
    assert Member.from_json(member.to_json()) == member


def test_urls_keep_their_order() -> None:
    assert ONE.with_peer_urls(["http://z:1", "http://a:1"]).peer_urls == ("http://z:1", "http://a:1")
    member = Member.from_json(
        '{"id":1,"peerURLs":["http://z:1","http://a:1"],"clientURLs":["http://z:1","http://a:1"]}'
    )
    assert member.peer_urls == member.client_urls == ("http://z:1", "http://a:1")


def test_a_promotion_says_so_as_a_go_member_does() -> None:
    assert promotion_json(4660) == '{"id":4660,"peerURLs":null,"isPromote":true}'
    assert is_promotion(promotion_json(1)) and not is_promotion(ONE.to_json())
    assert not is_promotion('{"id":1,"peerURLs":null,"isPromote":false}')


def test_a_promoted_learner_is_a_voter_and_otherwise_the_same() -> None:
    learner = Member(id=1, peer_urls=("http://a:1",), is_learner=True, name="one")

    assert learner.as_voter() == Member(id=1, peer_urls=("http://a:1",), name="one")


def test_gos_nil_lists_are_empty() -> None:
    assert Member.from_json('{"id":1,"peerURLs":null,"clientURLs":null}') == Member(id=1, peer_urls=())


@pytest.mark.parametrize("text", ["{}", "", "null[", '{"id":"x"}'])
def test_what_describes_no_member_is_refused(text: str) -> None:
    with pytest.raises((ValueError, KeyError)):
        Member.from_json(text)
