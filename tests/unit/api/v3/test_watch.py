"""Watch calls over a real store: requests, back-pressure, and how calls end. Then the same over a real connection."""

from __future__ import annotations

import asyncio
import gc
import random
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from etcdpy.api.v3.watch import MALFORMED_TEXT, WatchApi
from etcdpy.api.v3.watch_call import WatchCall
from etcdpy.base.errors import EtcdError, NoLeader
from etcdpy.pb import rpc_pb2
from etcdpy.state.mvcc.store import Store
from etcdpy.state.watch.hub import WatchHub
from etcdpy.storage.backend import Backend
from etcdpy.transport.grpc import Call, GrpcServer, StreamMethod
from etcdpy.transport.grpc.channel import Channel
from tests.unit.api.v3.fake_call import FakeCall

Response = rpc_pb2.WatchResponse


class Turns:
    """An event loop that runs when told to."""

    def __init__(self) -> None:
        self.callbacks: list[Callable[[], None]] = []
        self.later: list[Callable[[], None]] = []

    def call_soon(self, callback: Callable[[], None], /) -> None:
        self.callbacks.append(callback)

    def call_later(self, seconds: float, callback: Callable[[], None], /) -> None:
        self.later.append(callback)

    def wait(self) -> None:
        """Let the time pass for which something was to be put off."""
        due, self.later = self.later, []
        for callback in due:
            callback()
        self.run()

    def run(self) -> None:
        for _ in range(10_000):
            if not self.callbacks:
                return
            self.callbacks.pop(0)()
        raise AssertionError("never comes to rest")


class NoSecrets:
    """Keys that begin with `secret` may not be watched, and no open range may."""

    def check_watch(self, call: Call, key: bytes, range_end: bytes) -> str | None:
        if key.startswith(b"secret") or range_end == b"\0":
            return "rpc error: code = PermissionDenied desc = etcdserver: permission denied"
        return None


class Server:
    """Store, hub and api of one member."""

    def __init__(self, directory: Path) -> None:
        self.backend = Backend.open(directory)
        self.store = Store(self.backend)
        self.store.restore()
        self.hub = WatchHub(
            self.store,
            cluster_id=1,
            member_id=2,
            fragment_bytes_max=2 << 20,
            progress_interval_seconds=10.0,
            random=random.Random(1),
        )
        self.turns = Turns()
        self.leader = True
        self.api = WatchApi(
            self.hub,
            loop=self.turns,
            get_term=lambda: 3,
            has_leader=lambda: self.leader,
            permission=NoSecrets(),
        )
        self._index = 0

    def put(self, key: bytes, value: bytes = b"") -> None:
        self.store.put(key, value)
        self._index += 1
        self.backend.end_entry(self._index, 1)
        self.api.publish(self.store.take_changes())

    def open(self, call: FakeCall) -> WatchCall:
        return self.api.open(call)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path)
    yield made
    made.hub.check_invariants()
    made.backend.close()


def create(**options: object) -> bytes:
    request = rpc_pb2.WatchCreateRequest(**options)  # type: ignore[arg-type]
    return rpc_pb2.WatchRequest(create_request=request).SerializeToString()


def cancel(watch_id: int) -> bytes:
    request = rpc_pb2.WatchCancelRequest(watch_id=watch_id)
    return rpc_pb2.WatchRequest(cancel_request=request).SerializeToString()


PROGRESS = rpc_pb2.WatchRequest(progress_request=rpc_pb2.WatchProgressRequest()).SerializeToString()


def hear(call: FakeCall) -> list[Response]:
    return [Response.FromString(message) for message in call.take()]


def test_create_event_progress_cancel(server: Server) -> None:
    server.put(b"a", b"1")
    call = FakeCall()
    handler = server.open(call)
    handler.on_message(create(key=b"a", start_revision=2, prev_kv=True))
    server.turns.run()
    server.put(b"a", b"2")
    handler.on_message(PROGRESS)
    handler.on_message(cancel(0))

    created, past, live, progress, canceled = hear(call)
    header = rpc_pb2.ResponseHeader(cluster_id=1, member_id=2, revision=2, raft_term=3)
    assert created == Response(header=header, created=True)
    assert [(e.kv.value, e.HasField("prev_kv")) for e in past.events] == [(b"1", False)]
    assert [(e.kv.value, e.prev_kv.value) for e in live.events] == [(b"2", b"1")]
    header.revision = 3
    assert progress == Response(header=header, watch_id=-1)
    assert canceled == Response(header=header, canceled=True)


def test_history_of_a_real_store_with_deletions_and_compaction(server: Server) -> None:
    for number in range(300):
        server.put(b"k%d" % (number % 7), b"%d" % number)
        if number % 5 == 0:
            server.store.apply_delete_range(rpc_pb2.DeleteRangeRequest(key=b"k%d" % (number % 3)))
    server.store.compact(100)
    call = FakeCall()
    handler = server.open(call)
    handler.on_message(create(key=b"k", range_end=b"l", start_revision=99))
    handler.on_message(create(key=b"k", range_end=b"l", start_revision=100))
    server.turns.run()

    responses = hear(call)
    assert [r.compact_revision for r in responses if r.watch_id == 0 and r.canceled] == [100]
    revisions = [e.kv.mod_revision for r in responses if r.watch_id == 1 for e in r.events]
    assert revisions == list(range(100, server.store.current_revision + 1))


def test_permission_is_asked_with_the_range_as_it_was_sent(server: Server) -> None:
    call = FakeCall()
    handler = server.open(call)
    handler.on_message(create(key=b"secret"))
    handler.on_message(create(key=b"a", range_end=b"\0"))
    handler.on_message(create(key=b"a", range_end=b"b"))

    responses = hear(call)
    assert [(r.watch_id, r.created, r.canceled) for r in responses] == [
        (-1, True, True),
        (-1, True, True),
        (0, True, False),
    ]
    assert responses[0].cancel_reason == "rpc error: code = PermissionDenied desc = etcdserver: permission denied"


def test_garbage_ends_the_call_and_frees_its_watchers(server: Server) -> None:
    call = FakeCall()
    handler = server.open(call)
    handler.on_message(create(key=b"a"))
    handler.on_message(b"\xff\xff")
    assert call.status == (13, MALFORMED_TEXT)
    assert server.hub.is_idle and server.hub.stream_count == 0
    handler.on_message(create(key=b"a"))
    server.put(b"a")
    handler.on_close(8)
    assert len(hear(call)) == 1


def test_unknown_kind_of_request_is_passed_over(server: Server) -> None:
    call = FakeCall()
    handler = server.open(call)
    handler.on_message(b"")
    handler.on_message(create(key=b"a"))
    assert len(hear(call)) == 1


def test_client_that_asks_no_more_still_listens(server: Server) -> None:
    call = FakeCall()
    handler = server.open(call)
    handler.on_message(create(key=b"a"))
    handler.on_end()
    server.put(b"a")
    assert [len(response.events) for response in hear(call)] == [0, 1]
    assert call.status is None


def test_slow_reader_is_neither_written_to_nor_read_from(server: Server) -> None:
    slow, quick = FakeCall(room=2), FakeCall()
    for call in (slow, quick):
        server.open(call).on_message(create(key=b"a"))
    handler = next(iter(server.api._calls.values()))
    for number in range(20):
        server.put(b"a", b"%d" % number)
        server.turns.run()
    assert len(slow.written) == 2 and not slow.is_reading
    assert len(hear(quick)) == 21
    slow.room = 1 << 30
    handler.on_drain()
    server.turns.run()
    assert slow.is_reading
    values = [event.kv.value for response in hear(slow) for event in response.events]
    assert values == [b"%d" % number for number in range(20)]


def test_a_crowded_connection_is_told_nothing_and_nobody_on_it_misses_anything(server: Server) -> None:
    first, second, elsewhere = FakeCall(), FakeCall(), FakeCall()
    second.connection = first.connection
    handlers = [server.open(call) for call in (first, second, elsewhere)]
    for handler in handlers:
        handler.on_message(create(key=b"a", range_end=b"c"))
    for call in (first, second, elsewhere):
        hear(call)

    first.is_crowded = second.is_crowded = True
    for number in range(20):
        server.put(b"a", b"%d" % number)
        server.turns.run()
        server.turns.wait()
    assert not (first.written or second.written or first.is_reading or second.is_reading)
    assert [len(response.events) for response in hear(elsewhere)] == [1] * 20
    assert elsewhere.is_reading

    first.is_crowded = second.is_crowded = False
    server.turns.wait()
    assert first.is_reading and second.is_reading and not server.turns.later
    server.put(b"b")
    for call in (first, second):
        told = [(event.kv.key, event.kv.value) for response in hear(call) for event in response.events]
        assert told == [(b"a", b"%d" % number) for number in range(20)] + [(b"b", b"")]


def test_a_call_that_finds_no_crowd_is_told_though_others_on_its_connection_wait(server: Server) -> None:
    stalled, healthy = FakeCall(), FakeCall()
    healthy.connection = stalled.connection
    for call in (stalled, healthy):
        server.open(call).on_message(create(key=b"a"))
        hear(call)
    stalled.is_crowded = True

    for number in range(5):
        server.put(b"a", b"%d" % number)
        server.turns.wait()

    assert len(hear(healthy)) == 5 and not stalled.written


def test_calls_of_a_crowded_connection_go_on_one_after_the_other(server: Server) -> None:
    """What one of them writes crowds the connection again."""
    calls = [FakeCall() for _ in range(3)]
    for call in calls:
        call.connection = calls[0]
        server.open(call).on_message(create(key=b"a"))
        hear(call)
        call.is_crowded = True
    server.put(b"a")

    for call in calls:
        write = call.write

        def write_and_crowd(message: bytes | list[bytes], write: Any = write) -> bool:
            for each in calls:
                each.is_crowded = True
            return bool(write(message))

        call.write = write_and_crowd  # type: ignore[method-assign]
    for told in range(1, 4):
        for call in calls:
            call.is_crowded = False
        server.turns.wait()
        assert sum(len(call.written) for call in calls) == told
    assert [len(hear(call)) for call in calls] == [1, 1, 1]


def test_a_crowd_that_vanished_is_let_go(server: Server) -> None:
    calls = [FakeCall() for _ in range(3)]
    handlers = []
    for call in calls:
        call.connection = calls[0]
        handlers.append(server.open(call))
        handlers[-1].on_message(create(key=b"a"))
    for call in calls:
        call.is_crowded = True
    server.put(b"a")
    assert not any(call.is_reading for call in calls)
    for handler in handlers:
        handler.on_close(8)
    server.turns.wait()

    assert server.hub.stream_count == 0 and not server.turns.later
    again = FakeCall()
    again.connection = calls[0]
    server.open(again).on_message(create(key=b"a"))
    server.put(b"a")
    assert len(hear(again)) == 2


def test_calls_that_came_and_went_on_a_crowded_connection_leave_nothing(server: Server) -> None:
    """A client that never reads may go on like this for as long as it likes."""
    stuck = FakeCall()
    stuck.is_crowded = True
    handler = server.open(stuck)
    handler.on_message(create(key=b"a"))
    assert not stuck.is_reading

    gone = []
    for _ in range(10):
        call = FakeCall()
        call.connection, call.is_crowded = stuck.connection, True
        gone.append(weakref.ref(call))
        server.open(call).on_message(create(key=b"a"))
        server.turns.wait()
    del call
    for closed in list(handler.crowd.held):
        if closed is not handler:
            closed.on_close(8)
    del closed
    gc.collect()
    assert not any(call() for call in gone)

    handler.on_close(8)
    again = FakeCall()
    again.connection = stuck.connection
    server.open(again).on_message(create(key=b"a"))
    server.turns.wait()
    server.put(b"a")
    assert len(hear(again)) == 2 and not server.turns.later


def test_nothing_is_made_for_a_call_that_waits_for_its_end_on_a_crowded_connection(server: Server) -> None:
    """Its deadline has passed; until its client takes what was written it stays."""
    call = FakeCall()
    server.open(call).on_message(create(key=b"a"))
    call.is_crowded = True
    server.put(b"a", b"0")
    call.closed = True
    for number in range(5):
        server.api.tick(0.0)
        server.put(b"a", b"%d" % number)
        server.turns.wait()

    call.is_crowded = False
    call.take()
    server.turns.later.pop()()
    assert sum(len(response.events) for response in hear(call)) == 1, "what was kept"


def test_progress_notifications_come_by_tick(server: Server) -> None:
    call = FakeCall()
    server.open(call).on_message(create(key=b"a", progress_notify=True))
    server.api.tick(0.0)
    server.api.tick(5.0)
    assert len(hear(call)) == 1
    server.api.tick(11.0)
    assert [(r.watch_id, r.header.revision) for r in hear(call)] == [(0, 1)]


def test_calls_that_require_a_leader(server: Server) -> None:
    loyal, other = FakeCall(metadata={b"hasleader": b"true"}), FakeCall()
    for call in (loyal, other):
        server.open(call).on_message(create(key=b"a"))
    server.leader = False
    server.api.cut_leaderless()
    assert loyal.status == (14, "etcdserver: no leader") and other.status is None
    with pytest.raises(NoLeader):
        server.open(FakeCall(metadata={b"hasleader": b"true"}))


def test_over_a_real_connection(tmp_path: Path) -> None:
    """Hundreds of watchers, a reader that waits, and a close: nothing lost, nothing left."""
    asyncio.run(asyncio.wait_for(watch_over_tcp(tmp_path), 30))


async def watch_over_tcp(directory: Path) -> None:
    server = Server(directory)
    loop = asyncio.get_running_loop()
    server.api = WatchApi(server.hub, loop=loop, get_term=lambda: 3, has_leader=lambda: True)
    grpc = GrpcServer({b"/etcdserverpb.Watch/Watch": StreamMethod(server.api.open)}, loop=loop)
    tcp = await loop.create_server(grpc.connection, "127.0.0.1", 0)
    channel = Channel(f"127.0.0.1:{tcp.sockets[0].getsockname()[1]}")
    try:
        await watch_as_client(server, channel)
    finally:
        channel.close()
        tcp.close()
        await tcp.wait_closed()
        grpc.close_gracefully()
        server.backend.close()


async def watch_as_client(server: Server, channel: Channel) -> None:
    stream = await channel.stream(b"/etcdserverpb.Watch/Watch")
    for _ in range(300):
        await stream.write(create(key=b"a", range_end=b"b"))
    for _ in range(300):
        assert Response.FromString(await read(stream)).created
    for number in range(50):  # 50 x 300 x 2 KiB: far more than the windows hold, and nobody reads
        server.put(b"a%d" % number, b"x" * 2000)
        await asyncio.sleep(0)
    heard: dict[int, list[int]] = {}
    while sum(map(len, heard.values())) < 50 * 300:
        response = Response.FromString(await read(stream))
        heard.setdefault(response.watch_id, []).extend(event.kv.mod_revision for event in response.events)
    assert heard == {watch_id: list(range(2, 52)) for watch_id in range(300)}
    stream.cancel()
    while server.hub.stream_count:
        await asyncio.sleep(0.001)
    server.hub.check_invariants()


async def read(stream: object) -> bytes:
    message: bytes | None = await stream.read()  # type: ignore[attr-defined]
    if message is None:
        raise EtcdError("the stream ended")
    return message
