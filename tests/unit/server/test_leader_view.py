"""Where the leader is asked, as the roster knows it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from etcdpy.server.leader_view import RosterView
from etcdpy.state.members import Member

MEMBERS = {7: Member(id=7, peer_urls=("http://a:1", "http://b:1"))}


def view_of(leader_id: int, *, is_leader: bool = False) -> RosterView:
    member = SimpleNamespace(leader_id=leader_id, is_leader=is_leader)
    return RosterView(cast(Any, member), cast(Any, SimpleNamespace(find_member=MEMBERS.get)))


def test_the_leader_is_at_its_peer_urls() -> None:
    view = view_of(7, is_leader=True)

    assert (view.is_leader, view.leader_id, view.leader_peer_urls()) == (True, 7, ("http://a:1", "http://b:1"))


def test_nobody_leads_or_nobody_we_know() -> None:
    assert view_of(0).leader_peer_urls() == ()
    assert view_of(9).leader_peer_urls() == ()
