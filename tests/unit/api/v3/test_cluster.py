"""The Cluster service: who belongs to it, and changes of that."""

from __future__ import annotations

from pathlib import Path

import pytest

from etcdpy.base.errors import LearnerNotReady
from etcdpy.pb.rpc_pb2 import (
    MemberAddRequest,
    MemberAddResponse,
    MemberListRequest,
    MemberListResponse,
    MemberPromoteRequest,
    MemberPromoteResponse,
    MemberRemoveRequest,
    MemberRemoveResponse,
    MemberUpdateRequest,
    MemberUpdateResponse,
)
from tests.unit.api.v3.unary_call import UnaryCall, open_api
from tests.unit.embed.open_node import PEER_URL
from tests.unit.server.spine import run, until


@pytest.mark.parametrize("linearizable", [True, False])
def test_members_as_they_published_themselves(tmp_path: Path, linearizable: bool) -> None:
    async def scenario() -> None:
        async with open_api(tmp_path) as api:
            await api.node.housekeeper.publish("default", ["http://127.0.0.1:2379"])
            request = MemberListRequest(linearizable=linearizable)
            response = await api.ask(api.cluster.member_list, request, MemberListResponse)

            (member,) = response.members
            assert f"{member.ID:x}" == "d46c78f094ae4bda"
            assert (member.name, list(member.peerURLs), list(member.clientURLs), member.isLearner) == (
                "default",
                [PEER_URL],
                ["http://127.0.0.1:2379"],
                False,
            )
            assert (response.header.revision, response.header.raft_term) == (0, 2)

    run(scenario())


def test_without_a_leader_only_the_serializable_list_is_answered(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_api(tmp_path, elect=False, initial_election_tick_advance=False) as api:
            await api.ask(api.cluster.member_list, MemberListRequest(), MemberListResponse)
            waiting = UnaryCall(MemberListRequest(linearizable=True).SerializeToString())
            api.cluster.member_list(waiting)
            await until(lambda: bool(api.node.service._futures))
            assert not waiting.is_answered
            api.node.service.stop()
            await until(lambda: waiting.is_answered)

            assert waiting.status == (14, "etcdserver: server stopped")

    run(scenario())


# -- changes

NEW_URLS = ["http://127.0.0.1:4", "http://127.0.0.1:3"]


def test_a_learner_is_added_updated_and_removed(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_api(tmp_path) as api:
            add = MemberAddRequest(peerURLs=[" HTTP://127.0.0.1:4 ", NEW_URLS[1]], isLearner=True)
            added = await api.ask(api.cluster.member_add, add, MemberAddResponse)
            assert list(added.member.peerURLs) == sorted(NEW_URLS) and added.member.isLearner
            assert sorted(member.ID for member in added.members) == sorted([added.member.ID, api.node.member_id])
            assert (added.header.member_id, added.header.revision) == (api.node.member_id, 0)

            update = MemberUpdateRequest(ID=added.member.ID, peerURLs=NEW_URLS)
            updated = await api.ask(api.cluster.member_update, update, MemberUpdateResponse)
            assert [list(m.peerURLs) for m in updated.members if m.isLearner] == [NEW_URLS], "as they were given"

            remove = MemberRemoveRequest(ID=added.member.ID)
            removed = await api.ask(api.cluster.member_remove, remove, MemberRemoveResponse)
            assert [member.ID for member in removed.members] == [api.node.member_id]
            assert await api.refusal(api.cluster.member_remove, remove) == (5, "etcdserver: member not found")

    run(scenario())


@pytest.mark.parametrize("urls", [[], ["bad"], ["http://a"], ["http://a:1/"], ["ftp://a:1"], ["http://a:1", ""]])
def test_urls_that_are_none_change_nothing(tmp_path: Path, urls: list[str]) -> None:
    """MemberUpdate, too: a Go member that finds such a URL in the log panics, as does every other."""

    async def scenario() -> None:
        async with open_api(tmp_path) as api:
            log_end = api.node.member.last_index
            for handle, request in [
                (api.cluster.member_add, MemberAddRequest(peerURLs=urls)),
                (api.cluster.member_update, MemberUpdateRequest(ID=api.node.member_id, peerURLs=urls)),
            ]:
                refusal = await api.refusal(handle, request)
                assert refusal == (3, "etcdserver: given member URLs are invalid")

            assert api.node.member.last_index == log_end

    run(scenario())


def test_a_promotion_needs_a_learner_that_keeps_up(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_api(tmp_path) as api:
            promote = api.cluster.member_promote
            add = MemberAddRequest(peerURLs=NEW_URLS, isLearner=True)
            learner = (await api.ask(api.cluster.member_add, add, MemberAddResponse)).member.ID
            assert await api.refusal(promote, MemberPromoteRequest(ID=learner)) == (9, LearnerNotReady.text)
            progress = api.node.member._node.raft.tracker.progress
            progress[learner].maybe_update(progress[api.node.member_id].match)
            response = await api.ask(promote, MemberPromoteRequest(ID=learner), MemberPromoteResponse)

            assert [member.isLearner for member in response.members] == [False, False]

    run(scenario())


def test_who_stops_says_so_to_those_who_wait_for_a_change(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_api(tmp_path, elect=False, strict_reconfig_check=False) as api:
            call = UnaryCall(MemberAddRequest(peerURLs=NEW_URLS).SerializeToString())
            api.cluster.member_add(call)
            await until(lambda: bool(api.node.reconfiguration._waiting))
            api.node.reconfiguration.stop()
            await until(lambda: call.is_answered)

            assert call.status == (14, "etcdserver: server stopped")
            api.node.driver.campaign_when_applied()  # what was proposed finds its way into the log

    run(scenario())
