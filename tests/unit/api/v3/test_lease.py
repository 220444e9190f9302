"""The unary half of the Lease service, on a real node."""

from __future__ import annotations

from pathlib import Path

from etcdpy.pb.rpc_pb2 import (
    LeaseGrantRequest,
    LeaseGrantResponse,
    LeaseLeasesRequest,
    LeaseLeasesResponse,
    LeaseRevokeRequest,
    LeaseRevokeResponse,
    LeaseTimeToLiveRequest,
    LeaseTimeToLiveResponse,
    PutRequest,
    PutResponse,
)
from tests.unit.api.v3.unary_call import Api, open_api
from tests.unit.server.spine import run

NOT_FOUND = (5, "etcdserver: requested lease not found")


async def grant(api: Api, lease_id: int = 0, ttl: int = 60) -> LeaseGrantResponse:
    return await api.ask(api.lease.grant, LeaseGrantRequest(ID=lease_id, TTL=ttl), LeaseGrantResponse)


def test_an_id_is_chosen_where_none_was_given_positive_and_new(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_api(tmp_path) as api:
            ids = [(await grant(api)).ID for _ in range(3)]

            assert len(set(ids)) == 3
            assert all(0 < lease_id < 1 << 63 for lease_id in ids)

    run(scenario())


def test_grants_and_their_refusals(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_api(tmp_path) as api:
            granted = await grant(api, 7, 60)
            assert (granted.ID, granted.TTL, granted.error, granted.header.revision) == (7, 60, "", 1)
            assert (await grant(api, 8, 1)).TTL == 2, "not less than an election takes"

            refuse = api.refusal
            request = LeaseGrantRequest(ID=7, TTL=60)
            assert await refuse(api.lease.grant, request) == (9, "etcdserver: lease already exists")
            request = LeaseGrantRequest(ID=9, TTL=9_000_000_001)
            assert await refuse(api.lease.grant, request) == (11, "etcdserver: too large lease TTL")

    run(scenario())


def test_a_revoke_deletes_the_keys(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_api(tmp_path) as api:
            await grant(api, 7)
            await api.ask(api.kv.put, PutRequest(key=b"a", lease=7), PutResponse)
            revoked = await api.ask(api.lease.revoke, LeaseRevokeRequest(ID=7), LeaseRevokeResponse)

            assert revoked.header.revision == 3
            assert api.node.store.keys_total == 0
            assert await api.refusal(api.lease.revoke, LeaseRevokeRequest(ID=7)) == NOT_FOUND

    run(scenario())


def test_time_to_live_and_the_keys_where_asked_for(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_api(tmp_path) as api:
            await grant(api, 7, 60)
            for key in (b"b", b"a"):
                await api.ask(api.kv.put, PutRequest(key=key, lease=7), PutResponse)
            ask = api.lease.time_to_live
            left = await api.ask(ask, LeaseTimeToLiveRequest(ID=7, keys=True), LeaseTimeToLiveResponse)
            assert (left.ID, left.grantedTTL, list(left.keys)) == (7, 60, [b"a", b"b"])
            assert 0 < left.TTL <= 60
            silent = await api.ask(ask, LeaseTimeToLiveRequest(ID=7), LeaseTimeToLiveResponse)
            assert list(silent.keys) == []
            gone = await api.ask(ask, LeaseTimeToLiveRequest(ID=99), LeaseTimeToLiveResponse)
            assert (gone.ID, gone.TTL, gone.grantedTTL) == (99, -1, 0)

    run(scenario())


def test_all_leases(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_api(tmp_path) as api:
            await grant(api, 8, 100)
            await grant(api, 7, 50)
            response = await api.ask(api.lease.leases, LeaseLeasesRequest(), LeaseLeasesResponse)

            assert [lease.ID for lease in response.leases] == [7, 8]

    run(scenario())


def test_only_the_leader_knows_time_so_it_is_waited_for(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_api(tmp_path, elect=False) as api:
            assert not api.node.lessor.is_primary
            response = await api.ask(api.lease.time_to_live, LeaseTimeToLiveRequest(ID=7), LeaseTimeToLiveResponse)

            assert (response.ID, response.TTL) == (7, -1)
            assert api.node.lessor.is_primary

    run(scenario())
