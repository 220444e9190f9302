"""One TLS connection, both sides ours: bytes, back-pressure, ends and cuts."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from pathlib import Path

import pytest
import uvloop

from etcdpy.transport.grpc import Call, GrpcServer, UnaryMethod
from etcdpy.transport.grpc.channel import Channel
from etcdpy.transport.tls import Credentials, HandshakeGate, TlsServer
from etcdpy.transport.tls import connection as connection_module
from tests.unit.transport.tls.secure import DEADLINE_SECONDS, LOG, Echo, Silent, secure, settings_of

LARGE = bytes(range(256)) * 16_384  # 4 MiB


def test_bytes_go_both_ways_whole(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with secure(settings_of(tmp_path)) as made:
            client = await made.client.connect("127.0.0.1", made.port, Silent)
            client.transport.write(b"first")
            client.transport.writelines([b"", LARGE, b"last"])

            assert await client.wait_received(len(LARGE) + 9) == b"first" + LARGE + b"last"
            client.transport.close()
            await asyncio.wait_for(made.served[0].lost.wait(), DEADLINE_SECONDS)

    uvloop.run(scenario())


def test_a_regular_end_and_a_cut_are_told_apart(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with secure(settings_of(tmp_path)) as made:
            ending, cutting = [await made.client.connect("127.0.0.1", made.port, Silent) for _ in range(2)]
            for client in (ending, cutting):
                client.transport.write(b"x")
                await client.wait_received(1)

            ending.transport.close()
            cutting.transport.abort()

            for app in made.served:
                await asyncio.wait_for(app.lost.wait(), DEADLINE_SECONDS)
            assert (made.served[0].error, made.served[0].events) == (None, ["eof"])
            assert isinstance(made.served[1].error, ConnectionResetError)

    uvloop.run(scenario())


def test_a_paused_reader_is_given_nothing_and_loses_nothing(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with secure(settings_of(tmp_path)) as made:
            client = await made.client.connect("127.0.0.1", made.port, Silent)
            client.transport.write(b"x")
            await client.wait_received(1)
            client.transport.pause_reading()
            assert not client.transport.is_reading()
            made.served[0].transport.write(LARGE)

            # The sender is told to wait, for nobody reads.
            async with asyncio.timeout(DEADLINE_SECONDS):
                while "pause" not in made.served[0].events:
                    await asyncio.sleep(0)
            assert len(client.received) == 1
            client.transport.resume_reading()

            assert await client.wait_received(1 + len(LARGE)) == b"x" + LARGE
            assert made.served[0].events == ["pause", "resume"]

    uvloop.run(scenario())


def test_what_is_no_tls_is_refused(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with secure(settings_of(tmp_path)) as made:
            reader, writer = await asyncio.open_connection("127.0.0.1", made.port)
            writer.write(b"GET / HTTP/1.1\r\n\r\n")

            assert b"HTTP" not in await asyncio.wait_for(reader.read(), DEADLINE_SECONDS)
            writer.close()
            await writer.wait_closed()
            assert (made.served, made.server.unfinished, made.gate.busy_count) == ([], set(), 0)

    uvloop.run(scenario())


@pytest.mark.parametrize("says", [b"", b"\x16\x03\x01\x02\x00\x01"], ids=["silent", "half a hello"])
def test_a_handshake_has_a_deadline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: bytes) -> None:
    async def scenario() -> None:
        async with secure(settings_of(tmp_path)) as made:
            reader, writer = await asyncio.open_connection("127.0.0.1", made.port)
            writer.write(says)

            try:
                assert await asyncio.wait_for(reader.read(), DEADLINE_SECONDS) == b""
            except ConnectionResetError:
                pass
            writer.close()
            with contextlib.suppress(ConnectionResetError):
                await writer.wait_closed()
            assert (made.server.unfinished, made.gate.busy_count) == (set(), 0)

    assert connection_module.HANDSHAKE_SECONDS == 10.0  # GHSA-6vch
    monkeypatch.setattr(connection_module, "HANDSHAKE_SECONDS", 0.2)
    uvloop.run(scenario())


def test_half_done_handshakes_do_not_keep_others_out(tmp_path: Path) -> None:
    """Three times as many as there are places, and none of them goes on."""

    async def scenario() -> None:
        async with secure(settings_of(tmp_path), places=4) as made:
            attackers = [socket.create_connection(("127.0.0.1", made.port)) for _ in range(12)]
            for attacker in attackers:
                attacker.sendall(b"\x16\x03\x01\x02\x00\x01")
            good = await asyncio.wait_for(made.client.connect("127.0.0.1", made.port, Echo), 9.0)

            good.transport.abort()
            for attacker in attackers:
                attacker.close()
            assert made.gate.evicted_count > 0

    uvloop.run(scenario())


def test_the_other_sides_common_name(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with secure(settings_of(tmp_path)) as made:
            client = await made.client.connect("127.0.0.1", made.port, Silent)
            client.transport.write(b"x")
            await client.wait_received(1)

            assert made.served[0].transport.get_extra_info("common_name") == "member"
            assert made.served[0].transport.get_extra_info("peername")[0] == "127.0.0.1"
            assert made.served[0].transport.get_extra_info("nothing", 7) == 7
            client.transport.abort()

    uvloop.run(scenario())


class PausesAtOnce(Silent):
    """Wants one piece, and then none until it says so."""

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self.transport.pause_reading()


def test_a_reader_may_pause_in_the_middle_of_what_has_come(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with secure(settings_of(tmp_path)) as made:
            client = await made.client.connect("127.0.0.1", made.port, PausesAtOnce)
            client.transport.write(LARGE)
            await client.wait_received(1)

            while len(client.received) < len(LARGE):
                before = len(client.received)
                client.transport.resume_reading()
                await client.wait_received(before + 1)
                assert len(client.received) - before <= 16 * 1024  # one record

            assert client.received == LARGE
            client.transport.abort()
            await asyncio.wait_for(client.lost.wait(), DEADLINE_SECONDS)

    uvloop.run(scenario())


class PausesOnce(Silent):
    """Wants no more after its first piece until it says so."""

    def data_received(self, data: bytes) -> None:
        is_first = not self.received
        super().data_received(data)
        if is_first:
            self.transport.pause_reading()


def test_a_cut_that_came_while_the_reader_paused_is_told_after_what_came_before_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with secure(settings_of(tmp_path)) as made:
            client = await made.client.connect("127.0.0.1", made.port, PausesOnce)
            client.transport.write(b"a")  # two records that travel together, there and back
            client.transport.write(b"b")
            await client.wait_received(1)
            assert client.received == b"a"

            client.transport.eof_received()  # as the loop would say it
            client.transport.resume_reading()

            await asyncio.wait_for(client.lost.wait(), DEADLINE_SECONDS)
            assert client.received == b"ab"
            assert isinstance(client.error, ConnectionResetError)

    uvloop.run(scenario())


def test_a_call_knows_the_clients_common_name(tmp_path: Path) -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        names: list[bytes | None] = []

        def who(call: Call) -> None:
            names.append(call.peer_common_name())
            call.respond(b"")

        grpc = GrpcServer({b"/a.B/Who": UnaryMethod(who)}, loop=loop)
        plain = await loop.create_server(grpc.connection, "127.0.0.1", 0)
        credentials = Credentials(settings_of(tmp_path), LOG)
        tls = TlsServer(credentials, HandshakeGate(loop), loop=loop, log=LOG, checks_addresses=False)
        encrypted = await loop.create_server(lambda: tls.connection(grpc.connection), "127.0.0.1", 0)
        for server, context in ((plain, None), (encrypted, credentials.client_context())):
            channel = Channel(f"127.0.0.1:{server.sockets[0].getsockname()[1]}", ssl_context=context)
            assert await channel.unary(b"/a.B/Who", b"", timeout=DEADLINE_SECONDS) == b""
            channel.close()
            server.close()
        grpc.abort()

        assert names == [None, b"member"]

    uvloop.run(scenario())
