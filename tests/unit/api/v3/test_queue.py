"""The queue behind locks and elections, on a whole member without listeners."""

from __future__ import annotations

import asyncio
from pathlib import Path

from etcdpy.api.v3.queue import SESSION_TTL_SECONDS, Queue, after
from etcdpy.pb import rpc_pb2
from tests.unit.api.v3.fake_call import FakeCall
from tests.unit.embed.open_node import open_node
from tests.unit.server.spine import run, until


def test_places_are_taken_in_order_and_given_up(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_node(tmp_path) as (node, api):
            queue = Queue(api.local, FakeCall(), b"q")
            first, second = await queue.enter(0), await queue.enter(0, b"value")
            assert node.lessor.leases()
            assert first.key == b"q/%x" % first.lease
            assert (await queue.enter(first.lease)).revision == first.revision
            assert not await queue.wait_turn(first)
            turn = asyncio.ensure_future(queue.wait_turn(second))
            await until(lambda: node.hub.watcher_count == 1)
            assert not turn.done()
            await queue.leave(first.key, first.revision)
            assert await turn
            assert (await queue.first()).kvs[0].value == b"value"
            assert await queue.check_still_there(first) is None
            assert await queue.check_still_there(second) is not None
            await until(lambda: node.hub.watcher_count == 0)

    run(scenario())


def test_who_stops_waiting_leaves_no_key_and_no_watcher(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_node(tmp_path) as (node, api):
            queue = Queue(api.local, FakeCall(), b"q")
            first, second = await queue.enter(0), await queue.enter(0)
            turn = asyncio.ensure_future(queue.wait_turn(second))
            await until(lambda: node.hub.watcher_count == 1)
            turn.cancel()
            await asyncio.wait({turn})
            assert await queue.check_still_there(second) is None
            assert await queue.check_still_there(first) is not None
            assert node.hub.watcher_count == 0

    run(scenario())


def test_a_waiter_survives_the_compaction_of_what_it_waits_for(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_node(tmp_path) as (node, api):
            queue = Queue(api.local, FakeCall(), b"q")
            first, second = await queue.enter(0), await queue.enter(0)
            await queue.leave(first.key, first.revision)
            compact = rpc_pb2.CompactionRequest(revision=node.store.current_revision).SerializeToString()
            await api.local.unary(b"/etcdserverpb.KV/Compact", compact, FakeCall())
            request = rpc_pb2.WatchCreateRequest(key=first.key, start_revision=1)
            async with queue.watch(request) as watching:
                created, gone = await watching.next(), await watching.next()
            assert created is not None and gone is None
            assert not await queue.wait_turn(second)

    run(scenario())


def test_a_session_lasts_a_minute_and_names_end_with_a_slash() -> None:
    assert SESSION_TTL_SECONDS == 60
    assert after(b"name/") == b"name0"
