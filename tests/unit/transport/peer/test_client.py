"""The asking end: answers in any form, limits on what a peer may answer, connections that are kept."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from etcdpy.transport.peer.client import (
    ANSWER_BODY_BYTES_MAX,
    ANSWER_HEAD_BYTES_MAX,
    Answer,
    KeptConnections,
    MemberRemoved,
    PeerFailure,
    check_post_answer,
    request_head,
)
from etcdpy.transport.peer.urls import parse_peer_url
from tests.unit.transport.peer.members import Member, run

Ask = Callable[[], Awaitable[Answer]]


def with_answers(tmp_path: Path, answers: list[bytes], test: Callable[[Ask, list[int]], Awaitable[None]]) -> None:
    """Run `test` with a way to ask a server that gives these answers, and the count of its connections."""

    async def body() -> None:
        opened: list[int] = []

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            opened.append(1)
            try:
                while answers:
                    await reader.readuntil(b"\r\n\r\n")
                    writer.write(answers.pop(0))
                await reader.read()
            except (asyncio.IncompleteReadError, ConnectionError):
                return
            finally:
                writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        one = await Member(tmp_path / "1", 1).start()
        url = parse_peer_url(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        kept = KeptConnections(one.network.world)
        try:
            await test(lambda: kept.fetch(url, request_head(one.network.world, url, "GET", "/x")), opened)
        finally:
            kept.close()
            await one.stop()
            server.close()

    run(body())


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def test_an_idle_connection_is_used_again(tmp_path: Path) -> None:
    async def test(ask: Ask, opened: list[int]) -> None:
        for _ in range(3):
            assert (await ask()).text == "ok"
        assert len(opened) == 1

    with_answers(tmp_path, [OK, OK, OK], test)


@pytest.mark.parametrize(
    "first", [b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", OK + OK], ids=["close", "unasked"]
)
def test_a_doubtful_connection_is_not_used_again(tmp_path: Path, first: bytes) -> None:
    async def test(ask: Ask, opened: list[int]) -> None:
        assert (await ask()).text == "ok"
        assert (await ask()).text == "ok"
        assert len(opened) == 2

    with_answers(tmp_path, [first, OK], test)


def test_a_chunked_answer_is_read(tmp_path: Path) -> None:
    async def test(ask: Ask, opened: list[int]) -> None:
        answer = await ask()
        assert (answer.status, answer.headers["x-a"], answer.text) == (412, "b", "cluster ID mismatch")

    chunked = (
        b"HTTP/1.1 412 X\r\nX-A: b\r\nTransfer-Encoding: chunked\r\n\r\n8\r\ncluster \r\nb\r\nID mismatch\r\n0\r\n\r\n"
    )
    with_answers(tmp_path, [chunked], test)


@pytest.mark.parametrize(
    "bad",
    [
        b"garbage\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * (ANSWER_HEAD_BYTES_MAX + 1),
        b"HTTP/1.1 200 OK\r\nContent-Length: 9999999\r\n\r\n" + b"x" * (ANSWER_BODY_BYTES_MAX + 1),
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok",
    ],
    ids=["garbage", "head", "body", "stops"],
)
def test_a_bad_answer_is_a_failure(tmp_path: Path, bad: bytes) -> None:
    async def test(ask: Ask, opened: list[int]) -> None:
        with pytest.raises(PeerFailure):
            await ask()
        assert (await ask()).text == "ok"

    with_answers(tmp_path, [bad, OK], test)


@pytest.mark.parametrize(
    ("status", "text", "failure"),
    [
        (204, "", None),
        (410, "", MemberRemoved),
        (403, '{"message":"cannot process message from removed member"}', MemberRemoved),
        (403, '{"message":"cannot process message to mismatch member"}', PeerFailure),
        (412, "cluster ID mismatch\n", PeerFailure),
        (412, "else", PeerFailure),
        (500, "", PeerFailure),
    ],
)
def test_what_an_answer_to_a_post_means(status: int, text: str, failure: type[PeerFailure] | None) -> None:
    answer = Answer(status, {}, text.encode())
    if failure is None:
        check_post_answer(answer, "/raft", 1)
        return
    with pytest.raises(PeerFailure) as caught:
        check_post_answer(answer, "/raft", 1)
    assert type(caught.value) is failure
