"""RangeStream: the next message is made when the one before has left; who may not read, or not any more, is told."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from etcdpy.api.v3.range_stream import check_stream_request
from etcdpy.base.errors import INVALID_ARGUMENT, OUT_OF_RANGE, UNIMPLEMENTED, EtcdError
from etcdpy.embed.grpc_methods import GrpcApi
from etcdpy.embed.node import Node
from etcdpy.pb import rpc_pb2 as pb
from etcdpy.pb.rpc_pb2 import PutRequest, RangeRequest
from etcdpy.state.apply import proposal as kinds
from tests.unit.api.v3.auth_calls import open_auth_world
from tests.unit.api.v3.fake_call import FakeCall
from tests.unit.embed.open_node import open_node
from tests.unit.server.spine import run, until

PATH = b"/etcdserverpb.KV/RangeStream"
KEYS = 20
ALL = RangeRequest(key=b"a", range_end=b"b")


async def fill(node: Node) -> int:
    """Put values of 100 kB each, and return the revision after that."""
    revision = 0
    for number in range(KEYS):
        answer = await node.service.call(kinds.PUT, PutRequest(key=b"a%02d" % number, value=b"x" * 100_000))
        revision = answer.revision
    return revision


def begin(api: GrpcApi, call: FakeCall, request: RangeRequest) -> Any:
    method: Any = api.methods[PATH]
    handler = method.handler(call)
    handler.on_message(request.SerializeToString())
    handler.on_end()
    return handler


def parts(messages: Sequence[bytes]) -> list[pb.RangeResponse]:
    return [pb.RangeStreamResponse.FromString(message).range_response for message in messages]


def test_merged_it_is_the_answer_of_a_range(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_node(tmp_path) as (node, api):
            revision = await fill(node)
            for request in (
                ALL,
                RangeRequest(key=b"a", range_end=b"b", limit=7),
                RangeRequest(key=b"a", range_end=b"b", keys_only=True, serializable=True),
                RangeRequest(key=b"a", range_end=b"b", count_only=True),
                RangeRequest(key=b"a", range_end=b"b", revision=5, sort_order=RangeRequest.ASCEND),
                RangeRequest(key=b"none"),
            ):
                call = FakeCall()
                begin(api, call, request)
                await until(lambda call=call: call.status is not None)  # type: ignore[misc]

                assert call.status == (0, "")
                whole = pb.RangeResponse.FromString(node.service.range_now(request).body)
                whole.header.CopyFrom(parts(call.written)[-1].header)
                merged = pb.RangeStreamResponse.FromString(b"".join(call.written)).range_response
                assert merged == whole, request
                *before, last = parts(call.written)
                assert all(not part.HasField("header") and not part.more and not part.count for part in before)
                assert (last.header.revision, last.header.member_id) == (revision, node.member_id)

    run(scenario())


def test_a_reader_who_takes_nothing_costs_one_message(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_node(tmp_path) as (node, api):
            await fill(node)
            call = FakeCall(room=1)
            handler = begin(api, call, ALL)
            await until(lambda: len(call.written) == 1)
            await node.service.wait_linearizable()  # many turns of the loop
            assert len(call.written) == 1

            for taken in range(2, 4):
                call.room = 1
                handler.on_drain()
                await until(lambda taken=taken: len(call.written) == taken)  # type: ignore[misc]
                await node.service.wait_linearizable()
                assert len(call.written) == taken

            handler.on_close(8)
            call.closed = True
            await node.service.wait_linearizable()
            assert len(call.written) == 3 and call.status is None

    run(scenario())


def test_on_a_crowded_connection_nothing_is_made(tmp_path: Path) -> None:
    """Each of its thousands of streams would cost a message."""

    async def scenario() -> None:
        async with open_node(tmp_path) as (node, api):
            await fill(node)
            first, second, elsewhere = FakeCall(room=1), FakeCall(room=1), FakeCall(room=1)
            second.connection = first.connection
            first.is_crowded = second.is_crowded = True
            handlers = [begin(api, call, ALL) for call in (first, second, elsewhere)]
            await until(lambda: len(elsewhere.written) == 1)
            await node.service.wait_linearizable()
            assert not first.written and not second.written

            first.is_crowded = False
            await until(lambda: len(first.written) == 1)  # it was its turn first
            await node.service.wait_linearizable()
            assert not second.written
            second.is_crowded = False
            await until(lambda: len(second.written) == 1)

            handlers[0].on_close(8)  # in the middle: the others go on
            first.closed = True
            for call, handler in ((second, handlers[1]), (elsewhere, handlers[2])):
                call.room = 100
                handler.on_drain()
                await until(lambda call=call: call.status is not None)  # type: ignore[misc]
            assert second.status == elsewhere.status == (0, "")

    run(scenario())


def test_compaction_ends_a_stream_that_is_behind_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_node(tmp_path) as (node, api):
            await fill(node)
            call = FakeCall(room=1)
            handler = begin(api, call, ALL)
            await until(lambda: len(call.written) == 1)
            revision = await fill(node)
            await node.service.call(kinds.COMPACTION, pb.CompactionRequest(revision=revision))

            call.room = 100
            handler.on_drain()
            await until(lambda: call.status is not None)
            assert call.status == (OUT_OF_RANGE, "etcdserver: mvcc: required revision has been compacted")

    run(scenario())


@pytest.mark.parametrize(
    ("request_", "code", "text"),
    [
        (RangeRequest(), INVALID_ARGUMENT, "etcdserver: key is not provided"),
        (RangeRequest(key=b"a", revision=99), OUT_OF_RANGE, "etcdserver: mvcc: required revision is a future revision"),
    ],
)
def test_what_a_range_refuses_it_refuses(tmp_path: Path, request_: RangeRequest, code: int, text: str) -> None:
    async def scenario() -> None:
        async with open_node(tmp_path) as (_, api):
            call = FakeCall()
            begin(api, call, request_)
            await until(lambda: call.status is not None)
            assert call.status == (code, text) and not call.written

    run(scenario())


def test_what_needs_all_of_the_range_at_hand_is_refused() -> None:
    sort, filters = "RangeStream does not support custom sort orders", "RangeStream does not support revision filters"
    for request, text in (
        (RangeRequest(key=b"a", sort_order=RangeRequest.DESCEND), sort),
        (RangeRequest(key=b"a", sort_order=RangeRequest.ASCEND, sort_target=RangeRequest.MOD), sort),
        (RangeRequest(key=b"a", min_mod_revision=1), filters),
        (RangeRequest(key=b"a", max_mod_revision=1), filters),
        (RangeRequest(key=b"a", min_create_revision=1), filters),
        (RangeRequest(key=b"a", max_create_revision=1), filters),
    ):
        with pytest.raises(EtcdError) as refused:
            check_stream_request(request)
        assert (refused.value.code, refused.value.text) == (UNIMPLEMENTED, text)
    check_stream_request(RangeRequest(key=b"a", sort_target=RangeRequest.VALUE))  # NONE: unsorted, whatever the target


def test_permissions(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_auth_world(tmp_path) as world:
            await fill(world.node)
            await world.switch_on()

            async def status(token: bytes | None, request: RangeRequest) -> tuple[int, str] | None:
                call = FakeCall(metadata={} if token is None else {b"token": token})
                begin(world.api, call, request)
                await until(lambda: call.status is not None)
                return call.status

            user = world.tokens["u"]  # may read a, and nothing behind it
            assert await status(user, RangeRequest(key=b"a")) == (0, "")
            assert await status(user, ALL) == (7, "etcdserver: permission denied")
            assert await status(None, ALL) == (3, "etcdserver: user name is empty")
            for serializable in (False, True):
                request = RangeRequest(key=b"a", serializable=serializable)
                assert await status(b"x.1", request) == (16, "etcdserver: invalid auth token")

            # Permissions that change in the middle end it.
            call = FakeCall(room=1, metadata={b"token": world.tokens["root"]})
            handler = begin(world.api, call, ALL)
            await until(lambda: len(call.written) == 1)
            await world.ask("Auth/RoleAdd", pb.AuthRoleAddRequest(name=b"other"), "root")
            handler.on_drain()
            await until(lambda: call.status is not None)
            assert call.status is not None and call.status[1] == "etcdserver: revision of auth store is old"

    run(scenario())


def test_who_asks_for_a_leader_is_told_that_there_is_none(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_node(tmp_path, elect=False) as (_, api):
            request = RangeRequest(key=b"a", serializable=True)
            asking, content = FakeCall(metadata={b"hasleader": b"true"}), FakeCall()
            begin(api, asking, request)
            begin(api, content, request)
            await until(lambda: asking.status is not None and content.status is not None)
            assert asking.status == (14, "etcdserver: no leader")
            assert content.status == (0, "") and len(content.written) == 1

    run(scenario())
