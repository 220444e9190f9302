"""MemberList: who belongs to the cluster."""

from __future__ import annotations

from pathlib import Path

import pytest

from etcdpy.pb.rpc_pb2 import MemberListRequest, MemberListResponse
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
