"""The Election service on a whole member."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from etcdpy.base.errors import EtcdError
from etcdpy.embed.grpc_methods import GrpcApi
from etcdpy.pb import v3election_pb2 as pb
from tests.unit.api.v3.fake_call import FakeCall
from tests.unit.embed.open_node import open_node
from tests.unit.server.spine import run


async def ask(api: GrpcApi, method: str, request: Any, response: Any) -> Any:
    path = f"/v3electionpb.Election/{method}".encode()
    return response.FromString(await api.local.unary(path, request.SerializeToString(), FakeCall()))


def test_a_leader_campaigns_proclaims_and_resigns_before_an_observer(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_node(tmp_path) as (_, api):
            with api.local.open(b"/v3electionpb.Election/Observe", FakeCall()) as observing:
                await observing.send(pb.LeaderRequest(name=b"e").SerializeToString())
                elected = await ask(api, "Campaign", pb.CampaignRequest(name=b"e", value=b"1"), pb.CampaignResponse)
                for value in (b"1", b"2"):
                    seen = pb.LeaderResponse.FromString(await observing.receive() or b"")
                    assert (seen.kv.key, seen.kv.value) == (elected.leader.key, value)
                    proclaim = pb.ProclaimRequest(leader=elected.leader, value=b"2")
                    await ask(api, "Proclaim", proclaim, pb.ProclaimResponse)
            await ask(api, "Resign", pb.ResignRequest(leader=elected.leader), pb.ResignResponse)
            with pytest.raises(EtcdError, match="election: no leader"):
                await ask(api, "Leader", pb.LeaderRequest(name=b"e"), pb.LeaderResponse)
            with pytest.raises(EtcdError, match="election: not leader"):
                await ask(api, "Proclaim", pb.ProclaimRequest(leader=elected.leader), pb.ProclaimResponse)
            with pytest.raises(EtcdError, match='"leader" field must be provided'):
                await ask(api, "Resign", pb.ResignRequest(), pb.ResignResponse)

    run(scenario())
