"""Probing a peer: its answer in etcd's form, the round trip, and clocks that differ."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from pathlib import Path

import pytest

from etcdpy.transport.peer.client import PeerFailure
from etcdpy.transport.peer.probe import format_answer, parse_answer
from tests.unit.transport.peer.members import Member, ask, request, run, until


def test_our_answer_is_read_as_the_time_it_says() -> None:
    assert format_answer(0.25) == b'{"OK":true,"Now":"1970-01-01T00:00:00.250000Z"}\n'
    assert parse_answer(format_answer(1_700_000_000.5)) == 1_700_000_000.5


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-01T00:00:01.000000001Z", 1.000000001),
        ("1970-01-01T01:00:01+01:00", 1.0),
        ("1970-01-01T00:00:01.5Z", 1.5),
    ],
)
def test_go_writes_times_in_several_ways(text: str, seconds: float) -> None:
    assert parse_answer(b'{"OK":true,"Now":"%b"}' % text.encode()) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"1",
        b"\xff",
        b"{}",
        b'{"OK":false,"Now":"1970-01-01T00:00:01Z"}',
        b'{"OK":true,"Now":"1970-99-01T00:00:01Z"}',
        b'{"OK":true,"Now":5}',
        b"[" * 100_000,
    ],
)
def test_nonsense_is_a_failure(body: bytes) -> None:
    with pytest.raises(PeerFailure):
        parse_answer(body)


def test_any_method_is_answered(tmp_path: Path) -> None:
    async def body() -> None:
        one = await Member(tmp_path / "1", 1).start()
        for method in ("GET", "POST"):
            status, headers, text = await ask(one.port, request(method, "/raft/probing"))
            assert status == 200 and headers["content-type"] == "text/plain; charset=utf-8"
            assert abs(parse_answer(text) - time.time()) < 60
        await one.stop()

    run(body())


def test_clocks_that_run_apart_are_warned_of_and_silence_is_unhealthy(tmp_path: Path) -> None:
    async def body() -> None:
        bodies = [format_answer(time.time() - 3_600), b"nonsense"]

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with suppress(
                asyncio.IncompleteReadError, ConnectionError
            ):  # the member may leave in the middle of a request
                head = await reader.readuntil(b"\r\n\r\n")
                if b"/raft/probing" in head:
                    answer = bodies[0] if len(bodies) > 1 else bodies[-1]
                    bodies[:] = bodies[-1:]
                    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(answer) + answer)
            writer.close()

        strange = await asyncio.start_server(serve, "127.0.0.1", 0)
        one = await Member(tmp_path / "1", 1).start()
        one.network.add_peer(2, [f"http://127.0.0.1:{strange.sockets[0].getsockname()[1]}"])
        await until(lambda: {"prober found high clock drift", "prober detected unhealthy status"} <= set(one.logged()))
        await one.stop()
        strange.close()
        drift = next(line for line in one.log_lines() if line["msg"] == "prober found high clock drift")
        assert drift["remote-peer-id"] == "2" and drift["clock-drift"].startswith(("59m59", "1h0m"))

    run(body())
