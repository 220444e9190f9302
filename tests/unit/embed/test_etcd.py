"""One running member on real sockets: ready when it says so, gone when it is stopped, and failing as a whole."""

from __future__ import annotations

import asyncio
import errno
import gc
import os
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from etcdpy.base.errors import EtcdError, Stopped
from etcdpy.base.invariant import InvariantError, StorageError
from etcdpy.base.log import silent_logger
from etcdpy.embed.errors import MemberRemoved
from etcdpy.embed.etcd import Etcd, GuardedScheduler, serve
from etcdpy.pb import rpc_pb2
from etcdpy.pb.rpc_pb2 import PutRequest, PutResponse, RangeRequest, RangeResponse, WatchCreateRequest
from etcdpy.state.apply import proposal as kinds
from etcdpy.transport.grpc.channel import Channel
from tests.unit.embed.open_node import make_config
from tests.unit.server.membership_world import Lines, logger_with
from tests.unit.server.spine import run, until

PUT, RANGE = b"/etcdserverpb.KV/Put", b"/etcdserverpb.KV/Range"
TIMEOUT = 10.0


@pytest.fixture(autouse=True)
def _leave_the_collector_as_it_was() -> Iterator[None]:
    """A member freezes what lives as long as the process, and a test's process goes on."""
    thresholds = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*thresholds)


def config_in(directory: Path, **settings: Any) -> Any:
    """Port 0: the kernel chooses."""
    return make_config(
        directory,
        **{
            "listen_client_urls": ("http://127.0.0.1:0",),
            "advertise_client_urls": ("http://127.0.0.1:1",),
            "listen_peer_urls": ("http://127.0.0.1:0",),
            **settings,
        },
    )


@asynccontextmanager
async def running(directory: Path, **settings: Any) -> AsyncIterator[Etcd]:
    etcd = Etcd(config_in(directory, **settings), silent_logger())
    await etcd.start()
    try:
        yield etcd
    finally:
        await etcd.stop()


@asynccontextmanager
async def channel_to(endpoint: str) -> AsyncIterator[Channel]:
    channel = Channel(endpoint, connect_timeout=TIMEOUT)
    try:
        yield channel
    finally:
        channel.close()


async def put(channel: Channel, key: bytes) -> PutResponse:
    request = PutRequest(key=key, value=b"v")
    return PutResponse.FromString(await channel.unary(PUT, request.SerializeToString(), TIMEOUT))


async def get_http(endpoint: str, path: str) -> bytes:
    host, _, port = endpoint.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


def test_a_started_member_is_ready_at_once(tmp_path: Path) -> None:
    """It has published itself, and serves gRPC and HTTP on one port."""

    async def scenario() -> None:
        async with running(tmp_path) as etcd:
            (endpoint,) = etcd.client_endpoints
            async with channel_to(endpoint) as channel:
                assert (await put(channel, b"a")).header.revision == 2
                body = await channel.unary(RANGE, RangeRequest(key=b"a").SerializeToString(), TIMEOUT)
                assert [kv.value for kv in RangeResponse.FromString(body).kvs] == [b"v"]
            assert b'"health":"true"' in await get_http(endpoint, "/health")
            assert b"etcd_server_has_leader 1" in await get_http(endpoint, "/metrics")
            (member,) = etcd.node.roster.get_members()
            assert member.is_started and etcd.node.roster.version == "3.5.0"

    run(scenario())


def test_the_peer_port_tells_of_the_members(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as etcd:
            peer = f"127.0.0.1:{etcd._listeners[1].port}"
            answer = await get_http(peer, "/members")
            assert b'"id":15306742208207408090' in answer and b'"name":"default"' in answer
            assert b'"etcdserver":"3.5' in await get_http(peer, "/version")

    run(scenario())


def test_metrics_may_have_a_port_of_their_own(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path, listen_metrics_urls=("http://127.0.0.1:0",)) as etcd:
            port = etcd._listeners[2].port
            assert b"etcd_server_has_leader 1" in await get_http(f"127.0.0.1:{port}", "/metrics")
            assert await get_http(f"127.0.0.1:{port}", "/members") != b""
            assert etcd.client_endpoints == [f"127.0.0.1:{etcd._listeners[0].port}"]

    run(scenario())


def test_http_may_have_a_client_port_of_its_own(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path, listen_client_http_urls=("http://127.0.0.1:0",)) as etcd:
            (grpc_endpoint,) = etcd.client_endpoints
            http_port = etcd._listeners[1].port
            assert b'"health":"true"' in await get_http(f"127.0.0.1:{http_port}", "/health")
            assert b"health" not in await get_http(grpc_endpoint, "/health")
            async with channel_to(grpc_endpoint) as channel:
                await put(channel, b"a")

    run(scenario())


def test_a_restart_has_what_was_put(tmp_path: Path) -> None:
    async def scenario() -> None:
        for revision in (2, 3, 4):
            async with running(tmp_path) as etcd, channel_to(etcd.client_endpoints[0]) as channel:
                assert (await put(channel, b"a")).header.revision == revision

    run(scenario())


def test_a_port_in_use_fails_at_once_and_leaves_no_member_behind(tmp_path: Path) -> None:
    async def scenario() -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            url = f"http://127.0.0.1:{taken.getsockname()[1]}"
            etcd = Etcd(config_in(tmp_path, listen_peer_urls=(url,)), silent_logger())
            with pytest.raises(OSError, match="[Aa]ddress already in use"):
                await etcd.start()
            with pytest.raises(RuntimeError, match="was not started"):
                _ = etcd.node
            await etcd.stop()
        assert not (tmp_path / "data").exists()

    run(scenario())


def test_files_that_are_in_use_are_refused_and_the_ports_given_back(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as etcd:
            second = Etcd(config_in(tmp_path), silent_logger())
            with pytest.raises(StorageError):
                await second.start()
            await second.stop()
            async with channel_to(etcd.client_endpoints[0]) as channel:
                await put(channel, b"a")

    run(scenario())


def test_a_stop_ends_open_calls_with_unavailable(tmp_path: Path) -> None:
    """Before the connection goes: clients then look for another member."""

    async def scenario() -> None:
        etcd = Etcd(config_in(tmp_path), silent_logger())
        await etcd.start()
        async with channel_to(etcd.client_endpoints[0]) as channel:
            stream = await channel.stream(b"/etcdserverpb.Watch/Watch")
            create = rpc_pb2.WatchRequest(create_request=WatchCreateRequest(key=b"a"))
            await stream.write(create.SerializeToString())
            assert await stream.read() is not None
            await etcd.stop()
            with pytest.raises(EtcdError) as caught:
                while await stream.read() is not None:
                    pass
            assert caught.value.code == 14

    run(scenario())


def test_stopping_twice_or_before_a_start_does_nothing(tmp_path: Path) -> None:
    async def scenario() -> None:
        never_started = Etcd(config_in(tmp_path / "never"), silent_logger())
        await never_started.stop()
        etcd = Etcd(config_in(tmp_path), silent_logger())
        await etcd.start()
        await etcd.stop()
        await etcd.stop()

    run(scenario())


def test_a_stop_puts_everything_on_disk(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as etcd:
            async with channel_to(etcd.client_endpoints[0]) as channel:
                for number in range(20):
                    await put(channel, b"%d" % number)
            applied = etcd.node.member.applied_index
        async with running(tmp_path) as etcd:
            assert etcd.node.recovered.hard_state.commit == applied
            assert etcd.node.store.keys_total == 20

    run(scenario())


def test_a_failed_member_tells_why_and_acknowledges_nothing_more(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as etcd, channel_to(etcd.client_endpoints[0]) as channel:
            etcd.node.driver.fail(InvariantError("broken"))
            assert str(await etcd.wait_failed()) == "broken"
            with pytest.raises(EtcdError):
                await put(channel, b"a")

    run(scenario())


class FromHere:
    """Who calls the gateway's methods."""

    peer = "127.0.0.1:1"

    def metadata(self, name: bytes) -> bytes | None:
        return None


def test_what_a_failed_sync_did_not_make_durable_is_told_to_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A member alone has applied it by then: not even a revision of it may leave."""
    create = rpc_pb2.WatchRequest(create_request=WatchCreateRequest(key=b"a")).SerializeToString()
    everything = RangeRequest(key=b"\0", range_end=b"\0", serializable=True, count_only=True).SerializeToString()

    def fail(fd: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    async def scenario() -> None:
        async with running(tmp_path) as etcd, channel_to(etcd.client_endpoints[0]) as channel:
            told = []
            watch = await channel.stream(b"/etcdserverpb.Watch/Watch")
            await watch.write(create)
            assert rpc_pb2.WatchResponse.FromString(await watch.read() or b"").created
            with monkeypatch.context() as broken:
                broken.setattr(os, "fdatasync", fail)
                with pytest.raises(EtcdError) as caught:
                    await put(channel, b"a")
                told.append(caught.value.text)
            assert etcd.node.driver.has_failed and etcd.node.store.current_revision == 2
            for stream in (watch, await channel.stream(b"/etcdserverpb.Watch/Watch")):
                with pytest.raises(EtcdError) as caught:
                    await stream.write(create)
                    await stream.read()
                told.append(caught.value.text)
            for path in (b"Lease/LeaseLeases", b"Maintenance/Status", b"Cluster/MemberList", b"KV/RangeStream"):
                with pytest.raises(EtcdError) as caught:
                    await channel.unary(b"/etcdserverpb." + path, everything if b"KV" in path else b"", TIMEOUT)
                told.append(caught.value.text)
            assert etcd._api is not None
            with pytest.raises(EtcdError) as caught:
                await etcd._api.gateway.unary(b"/etcdserverpb.Maintenance/Status", b"", FromHere())
            told.append(caught.value.text)
            assert told == [Stopped.text] * 8

    run(scenario())


def test_what_a_callback_raises_ends_the_member_if_it_is_ours(tmp_path: Path) -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        told: list[dict[str, Any]] = []
        loop.set_exception_handler(lambda loop, context: told.append(context))

        def strange() -> None:
            raise KeyError("somebody else's")

        def ours() -> None:
            raise InvariantError("ours")

        async with running(tmp_path) as etcd:
            loop.call_soon(strange)
            await until(lambda: len(told) == 1)
            assert not etcd.node.driver.has_failed
            loop.call_soon(ours)
            assert str(await etcd.wait_failed()) == "ours"
            assert len(told) == 2, "it is reported as before, too"
        assert loop.get_exception_handler() is not None

    run(scenario())


def test_a_guarded_callback_that_raises_anything_ends_the_member(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as etcd:

            def broken() -> None:
                raise KeyError("a bug")

            GuardedScheduler(asyncio.get_running_loop(), etcd.node.driver).call_soon(broken)
            assert isinstance(await etcd.wait_failed(), KeyError)

    run(scenario())


def test_serve_runs_until_it_is_told_to_stop(tmp_path: Path) -> None:
    async def scenario() -> None:
        until_event, ready = asyncio.Event(), []

        def on_ready() -> None:
            ready.append(1)
            until_event.set()

        await serve(config_in(tmp_path), silent_logger(), on_ready=on_ready, until=until_event)
        assert ready == [1]

    run(scenario())


def test_serve_raises_what_ended_the_member(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        started: list[Etcd] = []
        start = Etcd.start

        async def start_and_break(etcd: Etcd) -> None:
            await start(etcd)
            started.append(etcd)

        monkeypatch.setattr(Etcd, "start", start_and_break)

        def on_ready() -> None:
            started[0].node.driver.fail(InvariantError("broken"))

        with pytest.raises(InvariantError, match="broken"):
            await serve(config_in(tmp_path), silent_logger(), on_ready=on_ready, until=asyncio.Event())

    run(scenario())


def test_a_member_that_fails_while_it_starts_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not wait for a leader that never comes."""

    async def scenario() -> None:
        async with running(tmp_path):
            pass

        def full(fd: int, data: bytes, offset: int) -> int:
            raise OSError(28, "No space left on device")

        etcd = Etcd(config_in(tmp_path), silent_logger())
        with monkeypatch.context() as patch:
            patch.setattr(os, "pwrite", full)
            with pytest.raises(StorageError, match="No space left"):
                await etcd.start()
            await etcd.stop()
        async with running(tmp_path) as etcd, channel_to(etcd.client_endpoints[0]) as channel:
            await put(channel, b"a")

    run(scenario())


def test_a_removed_member_ends_by_itself(tmp_path: Path) -> None:
    """Whoever hears of it first, the log or the transport."""

    async def scenario() -> None:
        async with running(tmp_path) as etcd:
            etcd.node.peers.on_removed_here()
            etcd.node.peers.on_removed_here()
            assert isinstance(await etcd.wait_failed(), MemberRemoved)

    run(scenario())


def test_without_a_quorum_a_stop_waits_for_nothing(tmp_path: Path) -> None:
    """Neither while the member still starts, nor for proposals that no leader takes."""
    lines = Lines()

    async def scenario() -> None:
        absent = "default=http://127.0.0.1:23480,second=http://127.0.0.1:1,third=http://127.0.0.1:2"
        etcd = Etcd(config_in(tmp_path, initial_cluster=absent), logger_with(lines))
        starting = asyncio.ensure_future(etcd.start())
        await until(lambda: etcd._node is not None and len(etcd.node.roster.get_members()) == 3)
        waiting = asyncio.ensure_future(etcd.node.service.call(kinds.PUT, PutRequest(key=b"a")))
        await until(lambda: bool(etcd.node.driver._pending))
        starting.cancel()
        ends = await asyncio.gather(starting, waiting, return_exceptions=True)
        assert isinstance(ends[0], asyncio.CancelledError)
        assert isinstance(ends[1], EtcdError)

    run(scenario())
    messages = [str(line["msg"]) for line in lines.lines]
    assert "closed etcd server" in messages
    assert not [message for message in messages if "did not finish in time" in message]
