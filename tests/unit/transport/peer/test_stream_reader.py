"""Reading a stream: garbage and silence end it, and it is dialled again."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from etcdpy.pb.raft_values import Message
from etcdpy.raft.constants import MSG_HEARTBEAT
from etcdpy.transport.peer.frames import encode_message_frame
from tests.unit.transport.peer.members import Member, run, until

HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def streamed(tmp_path: Path, first: bytes, *, silent: bool = False) -> tuple[Member, int]:
    """Let a member read streams that begin with `first` until it has dialled four times; return it and that count."""
    one = Member(tmp_path / "1", 1)
    dialled: list[bytes] = []

    async def body() -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                head = await reader.readuntil(b"\r\n\r\n")
                if b"/raft/stream/message" in head:
                    dialled.append(head)
                    writer.write(first)
                    if silent:
                        await reader.read()
            except (asyncio.IncompleteReadError, ConnectionError):
                return
            finally:
                writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        await one.start()
        one.network.add_peer(2, [f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"])
        await until(lambda: len(dialled) >= 2)
        await one.stop()
        server.close()

    run(body())
    assert b"GET /raft/stream/message/1 HTTP/1.1\r\n" in dialled[0] and b"X-Raft-To: 2\r\n" in dialled[0]
    return one, len(dialled)


GOOD = encode_message_frame(Message(MSG_HEARTBEAT, 1, 2, 5))


@pytest.mark.parametrize(
    "garbage",
    [
        b"garbage",
        HEAD + b"zz\r\n",
        HEAD + chunk(b"\xff" * 8),
        HEAD + chunk((1).to_bytes(8, "big") + b"\xff"),
        b"HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000,
        b"HTTP/1.1 404 X\r\nContent-Length: 999999\r\n\r\n" + b"x" * 100_000,
    ],
    ids=["http", "chunk", "length", "message", "status", "head", "refusal"],
)
def test_garbage_ends_a_stream_and_it_is_dialled_again(tmp_path: Path, garbage: bytes) -> None:
    one, _ = streamed(tmp_path, garbage)

    assert not one.recorder.received


def test_a_stream_that_falls_silent_is_dialled_again(tmp_path: Path) -> None:
    one, _ = streamed(tmp_path, HEAD + chunk(GOOD), silent=True)

    assert {message.term for message in one.recorder.received} == {5}
    lost = [line for line in one.log_lines() if line["msg"] == "lost TCP streaming connection with remote peer"]
    assert any(line.get("error") == "i/o timeout" for line in lost)
