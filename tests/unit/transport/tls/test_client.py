"""The opening side: whom it believes, and what its caller sees when nothing comes of it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
import uvloop

from etcdpy.transport.tls.client import HandshakeFailed
from tests.certificates import Authority
from tests.unit.transport.tls.secure import Silent, secure, settings_of


def failure(tmp_path: Path, **changes: str) -> str:
    async def scenario() -> str:
        settings = settings_of(tmp_path)
        async with secure(settings, client=replace(settings, **changes)) as made:  # type: ignore[arg-type]
            with pytest.raises(HandshakeFailed) as failed:
                await made.client.connect("127.0.0.1", made.port, Silent)
            return str(failed.value)

    return uvloop.run(scenario())


def test_a_server_of_another_authority(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    other = Authority(tmp_path / "x", "other")

    assert "certificate signed by unknown authority" in failure(tmp_path, trusted_ca_file=str(other.cert))


def test_a_server_of_another_name(tmp_path: Path) -> None:
    assert failure(tmp_path, allowed_cn="somebody") == "client certificate authentication failed"


def test_a_server_of_another_host(tmp_path: Path) -> None:
    async def scenario() -> None:
        pair = Authority(tmp_path, "ca").issue("server", hosts=("elsewhere",))
        settings = replace(settings_of(tmp_path), cert_file=str(pair.cert), key_file=str(pair.key))
        settings = replace(settings, trusted_ca_file=str(tmp_path / "ca.crt"))
        async with secure(settings) as made:
            with pytest.raises(HandshakeFailed):
                await made.client.connect("127.0.0.1", made.port, Silent)

    uvloop.run(scenario())


def test_nobody_there(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with secure(settings_of(tmp_path)) as made:
            port = made.port
        with pytest.raises(ConnectionRefusedError):
            await made.client.connect("127.0.0.1", port, Silent)

    uvloop.run(scenario())


def test_a_caller_who_gives_up_leaves_nothing_open(tmp_path: Path) -> None:
    async def scenario() -> None:
        settings = settings_of(tmp_path)
        closed = asyncio.Event()

        async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            closed.set()
            writer.close()

        async with secure(settings) as made, await asyncio.start_server(mute, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(made.client.connect("127.0.0.1", port, Silent), 0.2)
            await asyncio.wait_for(closed.wait(), 10)

    uvloop.run(scenario())
