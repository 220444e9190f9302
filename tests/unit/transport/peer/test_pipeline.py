"""Posts: a bounded number at once, a bounded number waiting, and every one that fails is reported."""

from __future__ import annotations

import socket
from pathlib import Path

from etcdpy.pb.raft_values import Message, Snapshot
from etcdpy.raft.constants import MSG_HEARTBEAT, MSG_SNAP
from etcdpy.transport.peer.pipeline import POSTS_AT_ONCE, WAITING_MAX
from tests.unit.transport.peer.members import Member, run, until


def test_many_posts_arrive_over_few_connections(tmp_path: Path) -> None:
    async def body() -> None:
        one, two = await Member(tmp_path / "1", 1).start(), await Member(tmp_path / "2", 2).start()
        one.network.add_remote(2, [two.url])
        for turn in range(3):
            one.network.send([Message(MSG_HEARTBEAT, 2, 1, term) for term in range(50)])
            await until(lambda turn=turn: len(two.recorder.received) == 50 * (turn + 1))  # type: ignore[misc]
            assert len(two.server.connections) <= POSTS_AT_ONCE
        await one.stop()
        await two.stop()

    run(body())


def test_what_does_not_fit_is_reported_at_once_and_the_rest_when_it_fails(tmp_path: Path) -> None:
    async def body() -> None:
        silent = socket.create_server(("127.0.0.1", 0))
        one = await Member(tmp_path / "1", 1).start()
        one.network.add_remote(2, [f"http://127.0.0.1:{silent.getsockname()[1]}"])
        one.network.send([Message(MSG_HEARTBEAT, 2, 1, term) for term in range(WAITING_MAX + 7)])
        assert one.recorder.unreachable == [2] and one.network.metrics().sent_failures[2] == 7
        silent.close()
        await until(lambda: one.network.metrics().sent_failures[2] == WAITING_MAX + 7)
        await one.stop()

    run(body())


def test_a_snapshot_without_a_database_is_reported_too(tmp_path: Path) -> None:
    async def body() -> None:
        one, two = await Member(tmp_path / "1", 1).start(), await Member(tmp_path / "2", 2).start()
        one.network.add_remote(2, [two.url])
        message = Message(MSG_SNAP, 2, 1, 3, snapshot=Snapshot(b"", 4, 3))
        one.network.send([message])
        await until(lambda: one.recorder.snapshots_reported == [(2, True)])
        await two.stop()
        one.network.send([message])
        await until(lambda: one.recorder.snapshots_reported == [(2, True), (2, False)])
        await one.stop()

    run(body())
