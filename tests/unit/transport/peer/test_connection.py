"""The answering end: whose paths are whose, one request after another, and what a stranger may cost."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from etcdpy.pb.raft_values import Message
from etcdpy.raft.constants import MSG_HEARTBEAT
from etcdpy.transport.peer.connection import HEAD_BYTES_MAX, is_own_path
from tests.unit.transport.peer.members import Member, ask, read_answer, request, run, until


@pytest.mark.parametrize(
    ("start", "is_own"),
    [
        (b"GET /raft/str", None),
        (b"", None),
        (b"POST /raft HTTP/1.1\r\n", True),
        (b"GET /raft/stream/msgapp/1 HTTP/1.1\r\n", True),
        (b"GET /raft/probing?x=1 HTTP/1.1\r\n", True),
        (b"GET /raft/ HTTP/1.1\r\n", False),
        (b"GET /raft/stream HTTP/1.1\r\n", False),
        (b"GET /members HTTP/1.1\r\n", False),
        (b"garbage\r\n", False),
        (b"x" * (HEAD_BYTES_MAX + 1), False),
    ],
)
def test_whose_path_it_is(start: bytes, is_own: bool | None) -> None:
    assert is_own_path(start) is is_own


def test_requests_of_both_kinds_come_on_one_connection_in_any_pieces(tmp_path: Path) -> None:
    async def body() -> None:
        one = await Member(tmp_path / "1", 1).start()
        reader, writer = await asyncio.open_connection("127.0.0.1", one.port)
        post = request("POST", "/raft", Message(MSG_HEARTBEAT, 1, 2, 5).encode())
        for data in (post, post):
            for at in range(len(data)):
                writer.write(data[at : at + 1])
                await asyncio.sleep(0)
            status, headers, _ = await read_answer(reader)
            assert status == 204 and "connection" not in headers
        assert len(one.recorder.received) == 2
        writer.write(request("GET", "/members"))
        assert (await read_answer(reader))[2] == b"other /members"
        assert one.server.connection_count() == 1 and not one.server.connections
        writer.close()
        await one.stop()

    run(body())


def test_what_comes_behind_an_unanswered_request_ends_the_connection(tmp_path: Path) -> None:
    async def body() -> None:
        one = await Member(tmp_path / "1", 1).start()
        reader, writer = await asyncio.open_connection("127.0.0.1", one.port)
        post = request("POST", "/raft", Message(MSG_HEARTBEAT, 1, 2, 5).encode())
        writer.write(post + post)
        assert (await read_answer(reader))[:1] == (204,)
        assert await reader.read() == b"" and len(one.recorder.received) == 1
        writer.close()
        await one.stop()

    run(body())


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"POST /raft HTTP/1.1\r\nX: " + b"x" * (HEAD_BYTES_MAX + 1), 431),
        (b"POST /raft HTTP/1.1\r\n" + b"garbage\r\n\r\n", 400),
        (b"POST /raft HTTP/9\r\n\r\n", 400),
    ],
    ids=["head", "header", "version"],
)
def test_bytes_that_are_no_request_are_refused(tmp_path: Path, data: bytes, status: int) -> None:
    async def body() -> None:
        one = await Member(tmp_path / "1", 1).start()
        answer = await ask(one.port, data)
        assert answer[0] == status and answer[1]["connection"] == "close"
        await until(lambda: not one.server.connections)
        await one.stop()

    run(body())


@pytest.mark.parametrize(
    "start",
    [b"G", b"POST /raft HTTP/1.1\r\n", request("POST", "/raft", b"xx")[:-1]],
    ids=["path", "head", "body"],
)
def test_a_silent_connection_is_closed(tmp_path: Path, start: bytes) -> None:
    async def body() -> None:
        one = await Member(tmp_path / "1", 1).start()
        reader, writer = await asyncio.open_connection("127.0.0.1", one.port)
        writer.write(start)
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            async with asyncio.timeout(20):
                await reader.readexactly(1)
        writer.close()
        await one.stop()

    run(body())


def test_a_waiting_client_is_told_to_continue(tmp_path: Path) -> None:
    async def body() -> None:
        one = await Member(tmp_path / "1", 1).start()
        reader, writer = await asyncio.open_connection("127.0.0.1", one.port)
        message = Message(MSG_HEARTBEAT, 1, 2, 5).encode()
        writer.write(request("POST", "/raft", message, Expect="100-continue")[: -len(message)])
        assert (await read_answer(reader))[0] == 100
        writer.write(message)
        assert (await read_answer(reader))[0] == 204
        writer.close()
        await one.stop()

    run(body())
