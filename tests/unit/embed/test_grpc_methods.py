"""The table of what a member serves: etcd's own paths, streams where they are streams."""

from __future__ import annotations

from pathlib import Path

from etcdpy.pb import rpc_pb2
from etcdpy.pb.rpc_pb2 import PutRequest
from etcdpy.pb.rpc_pb2 import WatchCreateRequest as Create
from etcdpy.state.apply import proposal as kinds
from etcdpy.transport.http2._nghttp2 import StreamMethod, UnaryMethod
from tests.unit.api.v3.fake_call import FakeCall
from tests.unit.embed.open_node import open_node
from tests.unit.server.spine import run, until

STREAMS = {
    b"/etcdserverpb.Watch/Watch",
    b"/etcdserverpb.KV/RangeStream",
    b"/etcdserverpb.Lease/LeaseKeepAlive",
    b"/etcdserverpb.Maintenance/Snapshot",
    b"/grpc.health.v1.Health/Watch",
    b"/v3electionpb.Election/Observe",
}
# Unary on the wire; served as streams, for they have to know when their client goes away.
WAITING = {
    b"/v3lockpb.Lock/Lock",
    b"/v3lockpb.Lock/Unlock",
    b"/v3electionpb.Election/Campaign",
    b"/v3electionpb.Election/Proclaim",
    b"/v3electionpb.Election/Leader",
    b"/v3electionpb.Election/Resign",
}


def test_streams_are_streams_and_the_others_are_not(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_node(tmp_path, elect=False) as (_, api):
            streams = {path for path, method in api.methods.items() if isinstance(method, StreamMethod)}
            unary = {path for path, method in api.methods.items() if isinstance(method, UnaryMethod)}

            assert streams == STREAMS | WAITING
            assert streams | unary == set(api.methods)

    run(scenario())


def test_every_path_is_one_of_etcds(tmp_path: Path) -> None:
    etcds = {
        f"/etcdserverpb.{service.name}/{method.name}".encode()
        for service in rpc_pb2.DESCRIPTOR.services_by_name.values()
        for method in service.methods
    }

    async def scenario() -> None:
        async with open_node(tmp_path, elect=False) as (_, api):
            served = {path for path in api.methods if path.startswith(b"/etcdserverpb.")}
            assert served == etcds

    run(scenario())


def test_what_is_applied_reaches_a_watcher_through_the_api(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_node(tmp_path) as (node, api):
            call = FakeCall()
            stream = api.watch.open(call)
            stream.on_message(rpc_pb2.WatchRequest(create_request=Create(key=b"a")).SerializeToString())
            await until(lambda: len(call.written) == 1)
            await node.service.call(kinds.PUT, PutRequest(key=b"a", value=b"v"))
            await until(lambda: len(call.written) == 2)

            response = rpc_pb2.WatchResponse.FromString(call.written[1])
            assert [event.kv.value for event in response.events] == [b"v"]
            assert (response.header.revision, response.header.member_id) == (2, node.member_id)
            stream.on_close(0)

    run(scenario())


def test_a_lost_leader_cuts_watches_and_keep_alives_that_asked_for_one(tmp_path: Path) -> None:
    wants_leader = {b"hasleader": b"true"}

    async def scenario() -> None:
        async with open_node(tmp_path) as (_, api):
            picky, patient = FakeCall(metadata=wants_leader), FakeCall()
            keeping = FakeCall(metadata=wants_leader)
            api.watch.open(picky)
            api.watch.open(patient)
            api.keep_alive.open(keeping)
            api.cut_leaderless()
            await until(lambda: picky.status is not None and keeping.status is not None)

            assert picky.status == keeping.status == (14, "etcdserver: no leader")
            assert patient.status is None

    run(scenario())
